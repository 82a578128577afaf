"""Loads run in rounds, as compare and experiments do: all allocators, or all settings of one, run each load in turn, in
every round in another order, so that what else the machine does falls on all of them alike.

`options` are those of the command line: rounds, scale, seed, wait, quick.
"""
import fnmatch
import math
import statistics
import sys

import allocators
from allocators import end

MEMORY_ROUNDS = 3  # what is held at the end differs little, and each run waits for seconds


def say(text):
    print(text, file=sys.stderr, flush=True)


def choose_loads(patterns):
    """The loads whose names match one of the patterns; without patterns, those that allocators are compared by."""
    loads = allocators.list_loads()
    matching = {pattern: fnmatch.filter([load.name for load in loads], pattern) for pattern in patterns}
    for pattern, names in matching.items():
        if not names:
            end(f"no load matches {pattern}")
    if not patterns:
        return [load for load in loads if load.kind != "pool"]
    return [load for load in loads if any(load.name in names for names in matching.values())]


def operations_of(load, options):
    if options.quick:
        return 5 if load.name == "start" else 2000
    return max(1, int(load.operations * options.scale))


def wait_of(options):
    """Milliseconds that a load ticks over before it measures what it holds."""
    return 20 if options.quick else int(options.wait * 1000)


def rounds_of(load, options):
    return 1 if options.quick else min(options.rounds, MEMORY_ROUNDS) if load.kind == "memory" else options.rounds


def measure(loads, chosen, options, also=None):
    """{load: {allocator: its runs}}, in whole rounds. `also` has, by a load's name, more allocators for that one."""
    runs = {load.name: {} for load in loads}
    count = 1 if options.quick else options.rounds
    for number in range(count):
        say(f"round {number + 1} of {count}")
        for load in loads:
            if number >= rounds_of(load, options):
                continue
            turn = chosen + (also or {}).get(load.name, [])
            for i in range(len(turn)):
                allocator = turn[(i + number) % len(turn)]
                operations = operations_of(load, options)
                result = load.run(allocator, operations, options.seed, wait_of(options))
                runs[load.name].setdefault(allocator.name, []).append(result)
    check_same_work(runs)
    return runs


def check_same_work(runs):
    for name, by_allocator in runs.items():
        if len({(run["operations"], run["bytes"]) for runs in by_allocator.values() for run in runs}) != 1:
            end(f"{name}: the runs did not do the same work")


def values_of(runs, field):
    """A figure of each run: nanoseconds per operation for cpu_s, mebibytes for sizes."""
    if field == "cpu_s":
        return [run["cpu_s"] * 1e9 / run["operations"] for run in runs]
    return [run[field] / 1024 for run in runs]


def geometric_mean(values):
    return math.exp(statistics.mean(math.log(value) for value in values))
