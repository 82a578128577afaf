#!/usr/bin/python3
"""sampling.py [RUNS]: level sample finds overflows and uses after free as often as HAKMEM_GUARD_RATE predicts. Each program runs RUNS times at
a rate of 8 mallocs, with seeds of its own. A run finds the bug with the probability that its block is guarded, 1/8, times that of the page's
right end where only one will do. The number of runs that find it is then binomial, and the first of them geometric: each has to lie where it
does with 95 %, for all programs together, and so has the sum of all. The seeds are the same each time, and so is what is found; where they are
bad luck, since a libc makes other mallocs before, a second lot has to be right."""
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from checkers import hakmem
from expected import BUGS
from support import check

RATE = 8
DOUBT = 0.05
RUNS = 200
# Those whose one block decides.
CHOSEN = ("overflow_by_1", "overflow_by_page", "overflow_in_libc", "overflow_read", "overflow_aligned", "overflow_across_threads", "underflow",
          "write_after_free", "read_after_free")


def binomial(runs, probability):
    """The probability of each number of successes."""
    return [math.comb(runs, k) * probability**k * (1 - probability)**(runs - k) for k in range(runs + 1)]


def sum_of(first, second):
    """The distribution of the sum of two independent numbers."""
    total = [0.0] * (len(first) + len(second) - 1)
    for i, p in enumerate(first):
        if p > 1e-15:
            for k, q in enumerate(second):
                total[i + k] += p * q
    return total


def interval(distribution, doubt):
    """The numbers between which one lies but for `doubt`, at most half of it at each side."""
    below, low = 0.0, 0
    while below + distribution[low] <= doubt / 2:
        below += distribution[low]
        low += 1
    above, high = 0.0, len(distribution) - 1
    while above + distribution[high] <= doubt / 2:
        above += distribution[high]
        high -= 1
    return low, high


def finds(bug, seed):
    """Whether a run finds the bug; other mistakes, which come of it where the block isn't guarded, don't count."""
    row = BUGS[bug]
    outcome = hakmem("sample", seed, RATE, churned=0).run(bug)
    return any(f"hakmem: {seen.text} (" in outcome.said for seen in row.levels["sample"])


def lot(runs, seed):
    """What is wrong with one lot of runs, from this seed on."""
    doubt, everything, total = DOUBT / len(CHOSEN), [1.0], 0
    print(f"{'':26} found  expected  95 %    the first  at the latest")
    for bug in CHOSEN:
        probability = BUGS[bug].chance / RATE
        found = [run for run in range(1, runs + 1) if finds(bug, seed + run)]
        seed += runs
        distribution = binomial(runs, probability)
        everything, total = sum_of(everything, distribution), total + len(found)
        low, high = interval(distribution, doubt)
        latest = math.ceil(math.log(doubt) / math.log(1 - probability))
        print(f"{bug:26} {len(found):5}  {runs * probability:8.1f}  {low}-{high}  {found[0] if found else '':8}  {latest}", flush=True)
        if not low <= len(found) <= high or not found or found[0] > latest:
            yield bug
    low, high = interval(everything, DOUBT)
    print(f"{'all':26} {total:5}  {sum(k * p for k, p in enumerate(everything)):8.1f}  {low}-{high}")
    if not low <= total <= high:
        yield "their sum"


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    wrong = list(lot(runs, 0))
    if wrong:
        print(f"not as the rate predicts: {', '.join(wrong)}; once more, with other seeds")
        wrong = list(lot(runs, runs * len(CHOSEN)))
    check(not wrong, f"not as the rate predicts: {', '.join(wrong)}")


main()
