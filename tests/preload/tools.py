#!/usr/bin/python3
"""tools.py CASE: programs on the preloaded library under the tools that people debug with: gdb on a core dump, and valgrind's."""
import pathlib
import re
import resource
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check, check_trace, equal, program, run, skip, tool, traced

MIB = 1 << 20
# memcheck and massif look at every page of a reservation, which takes them a minute for what they grant of 1 TiB.
SMALL = {"HAKMEM_RESERVE": "1G"}
LEAK = """#include <stdlib.h>
#include <string.h>
int main(void) { char *volatile a = malloc(1234), *volatile b = malloc(10); memset(a, 1, 1234); b[10] = 1; a = NULL; free(b); return 0; }
"""


def core_dump():
    """A core dump holds the program's blocks and not what is reserved, and gdb finds strings in it."""
    if pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip() != "core":
        skip("core dumps don't go to the program's directory here")
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    with Folder() as folder:
        run([program("crash")], library=LIBRARY, expect=-signal.SIGABRT, cwd=folder,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
        dumps = list(folder.glob("core*"))
        if not dumps:
            skip("no core dump was written")
        check(dumps[0].stat().st_size < 64 * MIB, f"a core dump of {dumps[0].stat().st_size} bytes")
        said = run([tool("gdb"), "-nx", "-batch", "-iex", "set debuginfod enabled off", "-ex", "x/s small_string",
                    "-ex", "x/s large_string", program("crash"), dumps[0]]).stdout
        for text in ("small and still there", "large and still there"):
            check(f'"{text}"' in said, f"gdb does not find the string {text!r}:\n{said[-2000:]}")


def memcheck():
    """memcheck puts its own malloc in place of ours, and sees what it is there to see."""
    with Folder() as folder:
        (folder / "leak.c").write_text(LEAK)
        run([tool("gcc"), "-g", "-o", folder / "leak", folder / "leak.c"])
        said = run([tool("valgrind"), "--leak-check=full", folder / "leak"], library=LIBRARY, env=SMALL).stderr
        check("Invalid write of size 1" in said and "0 bytes after a block of size 10" in said, f"no overflow seen:\n{said}")
        check(re.search(r"definitely lost: 1,234 bytes in 1 blocks", said), f"no leak seen:\n{said}")
        check("total heap usage: 2 allocs, 1 frees, 1,244 bytes allocated" in said, f"calls were missed:\n{said}")
        check("hakmem:" not in said, f"HAKMEM speaks:\n{said}")


def runs_hakmem(*options, **env):
    """The tool's program runs on HAKMEM, though valgrind has less address space to give than is asked for."""
    with Folder() as folder:
        result = run([tool("valgrind"), *options, "--log-file=" + str(folder / "valgrind"), program("early")], library=LIBRARY,
                     env={**traced(folder / "log"), **env}, cwd=folder)
        equal((result.stdout, result.stderr), ("early blocks are whole\n", ""), f"output under {options}")
        check_trace(folder / "log")


def callgrind():
    runs_hakmem("--tool=callgrind", "--callgrind-out-file=/dev/null")


def cachegrind():
    runs_hakmem("--tool=cachegrind", "--cachegrind-out-file=/dev/null")


def massif():
    runs_hakmem("--tool=massif", "--pages-as-heap=yes", "--massif-out-file=/dev/null", **SMALL)


CASES = (core_dump, memcheck, callgrind, cachegrind, massif)

next(case for case in CASES if case.__name__ == sys.argv[1])()
