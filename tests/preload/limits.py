#!/usr/bin/python3
"""limits.py CASE: programs under limits. Out of memory is NULL and ENOMEM and passes; a small address space is enough to run."""
import pathlib
import resource
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check_trace, equal, program, run, tool, traced

MIB = 1 << 20


def limited(kind, megabytes):
    def apply():
        resource.setrlimit(kind, (megabytes * MIB, megabytes * MIB))
    return apply


def out_of_memory():
    result = run([program("out_of_memory")], library=LIBRARY, preexec_fn=limited(resource.RLIMIT_AS, 400), timeout=280)
    equal(result.stdout, "memory ran out and came back\n", "output")
    equal(result.stderr, "", "messages")


def full_heap():
    result = run([program("full_heap")], library=LIBRARY, env={"HAKMEM_RESERVE": "64M"})
    equal(result.stdout, "found what was freed\n", "output")
    equal(result.stderr, "", "messages")


def small_address_space():
    """Real programs under `ulimit -v 500000` and the like."""
    for megabytes in (200, 500, 2000):
        with Folder() as folder:
            result = run([tool("perl"), "-e", 'my @a = map { "x" x $_ } 1 .. 5000; print scalar(@a), "\\n"'], library=LIBRARY,
                         env=traced(folder / "log"), preexec_fn=limited(resource.RLIMIT_AS, megabytes))
            equal(result.stdout, "5000\n", f"output under {megabytes} MiB")
            check_trace(folder / "log")


def one_big_block():
    """More than twice what is reserved at first is served in one piece, where the limit allows it."""
    code = "import ctypes; m = ctypes.CDLL(None).malloc; m.restype = ctypes.c_void_p; print(bool(m(2000 << 20)))"
    result = run([tool("python3"), "-c", code], library=LIBRARY, preexec_fn=limited(resource.RLIMIT_AS, 4000))
    equal(result.stdout, "True\n", "malloc of 2,000 MiB under a limit of 4,000 MiB")


def locked_memory():
    """Memory that may not be locked, and little data: the program starts all the same."""
    for kind, megabytes in ((resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_DATA, 300), (resource.RLIMIT_CORE, 0)):
        with Folder() as folder:
            run([tool("perl"), "-e", "my %h = map { $_ => [$_] } 1 .. 20000;"], library=LIBRARY, env=traced(folder / "log"),
                preexec_fn=limited(kind, megabytes))
            check_trace(folder / "log")


{"out_of_memory": out_of_memory, "full_heap": full_heap, "small_address_space": small_address_space, "one_big_block": one_big_block,
 "locked_memory": locked_memory}[sys.argv[1]]()
