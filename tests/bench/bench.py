#!/usr/bin/python3
"""bench.py CASE: the benchmark's promises: what it prints, and what a run may cost."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BENCH, BUILD, LIBRARY, Folder, check, equal, run, skip, tool

SYSTEM = BUILD / "bench_random_mixed_system"
RUN = ["200000", "4096", "1234567"]
CALLS = ("mmap", "munmap", "mincore", "madvise", "mprotect", "mremap")
STAGES = ["Depot", "Stage 1", "Stage 2", "Stage 2", "Stage 3", "Stage 3", "Total"]


def superslabs(**variables):
    return int(re.search(r"^SuperSlabs made: (\d+)$", run([BENCH, *RUN], env=variables).stdout, re.M)[1])


def usage():
    """Bad arguments: a usage line and status 2."""
    for program in (BENCH, SYSTEM):
        for arguments in ([], ["1", "2"], ["1", "2", "3", "4"], ["0", "10", "1"], ["10", "0", "1"], ["10", "10", "0"],
                          ["-5", "10", "1"], ["ten", "10", "1"], ["10", "10", "4294967296"], ["10x", "10", "1"], ["", "10", "1"]):
            result = run([program, *arguments], expect=2)
            check(result.stderr.startswith("usage: ") and result.stderr.count("\n") == 1, f"usage after {arguments}")
            equal(result.stdout, "", "output")


def figures():
    """Throughput and elapsed time from both programs; the stage table from the one with HAKMEM, its rows adding up."""
    head = r"Throughput = (\d+) operations per second\nElapsed: [0-9.]+ s for 200000 iterations\n"
    check(re.fullmatch(head, run([SYSTEM, *RUN]).stdout), "output of the system benchmark")
    check(re.fullmatch(head, run([SYSTEM, *RUN], library=LIBRARY).stdout), "output of the preloaded benchmark")
    text = run([BENCH, *RUN]).stdout
    check(re.match(head + r"SuperSlabs made: \d+\n\nStage +Description +Count +Percentage\n", text), "head of the output")
    rows = [re.fullmatch(r"(Depot|Stage \d|Total) +(.*?) +(\d+) +([0-9.]+)%", line) for line in text.splitlines()[5:]]
    equal([row and row[1] for row in rows], STAGES, "rows of the stage table")
    equal(sum(int(row[3]) for row in rows[:-1]), int(rows[-1][3]), "sum of the stages")
    check(int(rows[-1][3]) > 50, "hardly any slab was acquired")
    check(abs(sum(float(row[4]) for row in rows[:-1]) - 100) < 0.5, "the percentages don't add up")


def syscalls():
    """The budget: at most 8 SuperSlabs, and 60 calls of the memory family, start-up of the process included."""
    made = superslabs()
    check(1 <= made <= 8, f"{made} SuperSlabs made")
    with Folder() as folder:
        log = folder / "calls"
        traced = run([tool("strace"), "-f", "-c", "-o", log, "-e", "trace=" + ",".join(CALLS), BENCH, *RUN], expect=None)
        if traced.returncode != 0 and "ptrace" in traced.stderr.lower():
            skip("ptrace is not allowed here")
        equal(traced.returncode, 0, "exit status under strace")
        counts = {line.split()[-1]: int(line.split()[3]) for line in log.read_text().splitlines()
                  if line.split() and line.split()[-1] in CALLS}
    total = sum(counts.values())
    print(f"{made} SuperSlabs, {total} calls: {counts}")
    check(0 < total <= 60, f"{total} calls: {counts}")


def shared():
    """One class a SuperSlab, as before SP-SLOT, takes several times as many."""
    together, apart = superslabs(), superslabs(HAKMEM_SS_SHARED=0)
    print(f"{together} SuperSlabs shared, {apart} not")
    check(apart >= 3 * together, f"{apart} SuperSlabs with HAKMEM_SS_SHARED=0, {together} with 1")


def policies():
    """Every combination of policies does the work."""
    for is_shared in (0, 1):
        for affinity in (0, 1):
            for free_list in (0, 256):
                for lru in (0, 16):
                    superslabs(HAKMEM_SS_SHARED=is_shared, HAKMEM_SS_AFFINITY=affinity, HAKMEM_SS_FREE_LIST=free_list,
                               HAKMEM_SS_LRU=lru, HAKMEM_PURGE_DELAY_MS=0)


{"usage": usage, "figures": figures, "syscalls": syscalls, "shared": shared, "policies": policies}[sys.argv[1]]()
