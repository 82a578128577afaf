#!/usr/bin/python3
"""loads.py CASE: the loads that allocators are compared by. No speed is judged here, only that
figures come and that they are of what they say."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, check, equal, run

LOADS = BUILD / "bench_loads"
LINE = r"load=(\S+) operations=(\d+) bytes=(\d+) wall_s=(\d+\.\d{6}) cpu_s=(\d+\.\d{6}) peak_kib=(\d+) end_kib=(\d+)\n"
PAIR = ["--only", "hakmem", "--only", "glibc"]


def names():
    rows = [line.split("\t") for line in run([LOADS, "--list"]).stdout.splitlines()]
    check(len(rows) > 30 and all(len(row) == 5 and row[1] in ("speed", "memory") for row in rows), "rows of --list")
    return [row[0] for row in rows]


def figures(load, operations, seed=7, library=None):
    """(operations, bytes, peak, end) of a run of about so many operations."""
    match = re.fullmatch(LINE, run([LOADS, load, operations, seed, 20], library=library).stdout)
    check(match and match[1] == load, f"line of {load}")
    made, requested, peak, end = (int(match[i]) for i in (2, 3, 6, 7))
    check(made >= 0.9 * operations, f"{load} made {made} operations of {operations}")
    check(peak > 0 and end > 0 and float(match[4]) > 0 and float(match[5]) > 0, f"figures of {load}")
    return made, requested, peak, end


def usage():
    """Bad arguments: a usage line and status 2."""
    for words in ("", "unknown", "ping_pong 0", "ping_pong -1", "ping_pong 1x", "ping_pong ", "ping_pong 1 0",
                  "ping_pong 1 4294967296", "ping_pong 1 1 x", "ping_pong 1 1 1 1", "fixed:0", "fixed:", "fixed", "--list x"):
        arguments = words.split(" ") if words else []
        result = run([LOADS, *arguments], expect=2)
        check(result.stderr.startswith("usage: ") and result.stderr.count("\n") == 1, f"usage after {arguments}")
        equal(result.stdout, "", "output")


def every_load():
    """Each load runs, with HAKMEM too, and does the same work under both."""
    for library, name in (LIBRARY, "libhakmem.so"), (None, "libc.so"):
        check(f"/{name}" in run([LOADS, "--allocator"], library=library).stdout, f"malloc does not come from {name}")
    for load in [*names(), "fixed:48", "fixed:1048576"]:
        operations = 5 if load == "start" else 3000
        theirs, ours = figures(load, operations), figures(load, operations, library=LIBRARY)
        equal(ours[:2], theirs[:2], f"operations and bytes of {load}")


def same_work():
    """A seed makes the same operations each time, and another seed others, however the threads are scheduled."""
    for load in ("random_4093", "lcg_8_threads", "remote_50", "remote_90", "one_way", "server_8_threads"):
        first = figures(load, 1000000)
        equal(figures(load, 1000000)[:2], first[:2], f"{load} again")
        check(figures(load, 1000000, seed=8)[1] != first[1], f"{load} with another seed")


def held_memory():
    """The end is measured while the blocks are held that a load holds, and after the others are free."""
    _, requested, peak, end = figures("idle_1024", 100000)
    check(peak * 1024 > requested and end < peak / 4, f"idle_1024: {requested} bytes, {peak} and {end} KiB")
    check(figures("kept_1024", 100000)[3] > 2 * end, "kept_1024 holds no more than idle_1024")
    _, requested, _, end = figures("threads_hold", 20000)
    check(end * 1024 > requested, f"threads_hold: {end} KiB resident for {requested} bytes")


CASES = {case.__name__: case for case in (usage, every_load, same_work, held_memory)}
CASES[sys.argv[1]]()
