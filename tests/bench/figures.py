#!/usr/bin/python3
"""Prints the figures of README.md, measured here and now: throughput against glibc, interleaved; what a run costs; the stage tables.
figures.py [RUNS]"""
import pathlib
import re
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BENCH, BUILD, Folder, run, tool

SYSTEM = BUILD / "bench_random_mixed_system"
RUNS = (["10000000", "256", "42"], ["10000000", "4096", "1234567"], ["10000000", "65536", "7"], ["200000", "4096", "1234567"])
CALLS = "mmap,munmap,mincore,madvise,mprotect,mremap"


def millions(program, arguments):
    return int(re.match(r"Throughput = (\d+) ", run([program, *arguments]).stdout)[1]) / 1e6


def throughput(runs):
    print("| iterations, working set, seed | HAKMEM | glibc | ratio |\n|---|---|---|---|")
    for arguments in RUNS:
        pairs = [(millions(BENCH, arguments), millions(SYSTEM, arguments)) for _ in range(runs)]
        ours, theirs = (statistics.median(values) for values in zip(*pairs))
        print(f"| `{' '.join(arguments)}` | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")


def costs():
    with Folder() as folder:
        run([tool("strace"), "-f", "-c", "-o", folder / "calls", "-e", f"trace={CALLS}", BENCH, *RUNS[-1]])
        print((folder / "calls").read_text())


def main():
    throughput(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
    print()
    costs()
    for shared in (1, 0):
        print(f"HAKMEM_SS_SHARED={shared}")
        print(run([BENCH, *RUNS[-1]], env={"HAKMEM_SS_SHARED": shared}).stdout)


main()
