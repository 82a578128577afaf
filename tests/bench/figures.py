#!/usr/bin/python3
"""The figures of README.md, measured here and now.

    figures.py [RUNS]                     prints throughput against glibc, interleaved; what a run costs; stage tables
    figures.py experiments [OPTION…]      puts what experiments finds into README.md, between the marks
                                          <!-- experiment NAME --> and <!-- end -->; options are passed on to it
    figures.py experiments --into FILE …  the same for another file than README.md
"""
import pathlib
import re
import statistics
import subprocess
import sys

sys.dont_write_bytecode = True

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BENCH, BUILD, SOURCE, Folder, run, tool

SYSTEM = BUILD / "bench_random_mixed_system"
RUNS = (["10000000", "256", "42"], ["10000000", "4096", "1234567"], ["10000000", "65536", "7"], ["200000", "4096", "1234567"])
CALLS = "mmap,munmap,mincore,madvise,mprotect,mremap"
MARKED = re.compile(r"(<!-- experiment (\w+) -->\n).*?(<!-- end -->\n)", re.S)


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


def experiments(file, options):
    """Each experiment is written as soon as it is done, so that what is done is kept if a later one fails."""
    for _, name, _ in MARKED.findall(file.read_text()):
        command = [sys.executable, SOURCE / "tests/bench/experiments", "--markdown", "-l", name, *options]
        result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if result.returncode != 0:
            print(result.stdout, end="")
            sys.exit(result.returncode)
        file.write_text(MARKED.sub(lambda mark: f"{mark[1]}{result.stdout}{mark[3]}" if mark[2] == name else mark[0],
                                   file.read_text()))


def main():
    if sys.argv[1:2] == ["experiments"]:
        into = sys.argv[2:3] == ["--into"]
        experiments(pathlib.Path(sys.argv[3]) if into else SOURCE / "README.md", sys.argv[4 if into else 2:])
        return
    throughput(int(sys.argv[1]) if len(sys.argv) > 1 else 11)
    print()
    costs()
    for shared in (1, 0):
        print(f"HAKMEM_SS_SHARED={shared}")
        print(run([BENCH, *RUNS[-1]], env={"HAKMEM_SS_SHARED": shared}).stdout)


main()
