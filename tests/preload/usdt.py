#!/usr/bin/python3
"""usdt.py CASE: HAKMEM's probes as other people's tools see them. Each case runs a program in which slabs are acquired: no probe is
reached unless the tool counts its semaphore up, as nothing else here asks for events."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, SOURCE, Folder, check, equal, run, skip, tool

PROGRAM = [BUILD / "bench_random_mixed_system", "50000", "4096", "1234567"]
SUPERSLAB = 2 << 20
# The semaphores of the groups ACQUIRE and LRU, and the places that the probe stage2 was put into.
SEMAPHORES = "print *(unsigned short *)&hakmem_stage2_semaphore\nprint *(unsigned short *)&hakmem_lru_push_semaphore\n"
GDB = """
set debuginfod enabled off
set startup-with-shell off
set breakpoint always-inserted on
set environment LD_PRELOAD {library}
break main
run
info probes stap hakmem
{semaphores}
break -probe-stap hakmem:stage2
{semaphores}
continue
print $_probe_argc
print $_probe_arg0
print $_probe_arg1
print $_probe_arg2
delete 2
{semaphores}
continue
"""
PERF = """
mount -t tracefs tracefs /sys/kernel/tracing && perf buildid-cache --add {library} || exit 77
perf probe --quiet sdt_hakmem:stage2 || exit 77
perf record --quiet -o {folder}/data -e sdt_hakmem:stage2 -- env LD_PRELOAD={library} {program}
status=$?
perf script -i {folder}/data
perf probe --quiet -d sdt_hakmem:stage2
exit $status
"""


def rows():
    return set(re.findall(r"^HAK_EVENT[2-5]\((\w+),", (SOURCE / "lib/trace_events.def").read_text(), re.M))


def check_arguments(size_class, ss, slab, what):
    check(0 <= size_class < 40 and ss and ss % SUPERSLAB == 0 and 0 <= slab < 32,
          f"{what}: class {size_class}, SuperSlab {ss:#x}, slab {slab}")


def gdb():
    """gdb lists every probe, stops at one, and the semaphore of its group alone is counted up, and down again."""
    with Folder() as folder:
        (folder / "commands").write_text(GDB.format(library=LIBRARY, semaphores=SEMAPHORES))
        said = run([tool("gdb"), "-nx", "-batch", "-x", folder / "commands", "--args", *PROGRAM]).stdout
    listed = re.findall(r"^stap +hakmem +(\w+) +0x\w+ +(0x\w+)", said, re.M)
    equal({name for name, _ in listed}, rows(), "probes that gdb lists")
    check(all(int(semaphore, 16) for _, semaphore in listed), f"a probe without a semaphore:\n{said}")
    places = sum(name == "stage2" for name, _ in listed)
    check(re.search(r"^Breakpoint 2, .*stage2", said, re.M), f"gdb does not stop at the probe:\n{said[-2000:]}")
    values = [int(value) for value in re.findall(r"^\$\d+ = (\d+)$", said, re.M)]
    equal(len(values), 10, f"values printed in:\n{said[-2000:]}\nnumber")
    equal(values[:4], [0, 0, places, 0], "semaphores of acquire and lru, before and with the breakpoint")
    equal(values[4], 5, "arguments of the probe")
    check_arguments(*values[5:8], "arguments")
    equal(values[8:], [0, 0], "semaphores when the breakpoint is gone")
    check("exited normally" in said, f"the program does not go on:\n{said[-2000:]}")


def perf():
    """perf records the probe's arguments."""
    for name in ("perf", "unshare"):
        tool(name)
    if os.geteuid() != 0:
        skip("perf sets uprobes for root alone")
    with Folder() as folder:
        script = PERF.format(library=LIBRARY, folder=folder, program=" ".join(str(word) for word in PROGRAM))
        result = run(["unshare", "-m", "sh", "-c", script], expect=None, env={"HOME": folder})
        if result.returncode == 77:
            skip("perf can't set a uprobe here: " + " ".join(result.stderr.split())[:200])
        equal(result.returncode, 0, f"status of perf, which said {result.stderr[-1000:]!r},")
    found = re.findall(r"sdt_hakmem:stage2: .*arg1=(\d+) arg2=(\d+) arg3=(\d+)", result.stdout)
    check(len(found) >= 10, f"perf recorded {len(found)} events:\n{result.stdout[-1000:]}")
    for arguments in found:
        check_arguments(*(int(word) for word in arguments), "an event of perf's")


CASES = (gdb, perf)

next(case for case in CASES if case.__name__ == sys.argv[1])()
