#!/usr/bin/python3
"""detect.py LEVEL [core] [BUG…]: the programs with planted bugs under HAKMEM_GUARD=LEVEL. Of each, what expected.py promises must be reported:
the kind, the block, and the functions that play a part, by their stacks; once, and then the process ends or goes on as HAKMEM_ON_ERROR has it.
libhakmem-core.so knows no stacks, and leaves a fault to the system."""
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from checkers import hakmem, leaks
from expected import BUGS, FUNCTIONS, LEVELS
from reports import reports
from support import CORE_LIBRARY, LIBRARY, check

SEEDS = 16  # of places at a page's one end or the other, enough that not all are the wrong one but once in 65,536
GOES_ON = ("FOREIGN_FREE", "WRONG_SIZE")  # what HAKMEM_ON_ERROR=auto lets pass, since it does no harm


def end_of(seen):
    """The status that a process ends with after a report. A fault takes the course that it takes without HAKMEM."""
    return -signal.SIGSEGV if seen.is_fault else -signal.SIGABRT


def problem(seen, outcome, has_stacks):
    """What is wrong with an outcome in which `seen` should be reported, None if nothing is."""
    report = next((one for one in reports(outcome.text) if one.kind == seen.text), None)
    if report is None:
        return f"no report of a {seen.text!r}: {outcome.text or 'nothing was said'}"
    address, (start, length) = report.number("address"), outcome.misuse
    if (set(seen.functions) & {"m"} or seen.is_damage) and not start <= address < start + length:
        return f"address {address:#x}, where {length} bytes at {start:#x} were misused: {report.line}"
    if seen.names_block:
        block, size = outcome.block
        told = report.number("block"), report.number("bytes"), report.number("offset")
        if told != (block, size, address - block):
            return f"block, bytes and offset {told}, not {(block, size, address - block)}: {report.line}"
    for letter in seen.functions if has_stacks else ():
        who = {"a": "allocated", "o": "allocated", "m": "access", "f": "freed" if "freed" in report.stacks else "access"}[letter]
        if not any(re.search(rf"\b{FUNCTIONS[letter]}", frame) for frame in report.stacks.get(who, ())):
            return f"no {FUNCTIONS[letter]} in the stack {who!r}: {outcome.text}"
    return None


def ends_rightly(level, bug, seen, seed, library):
    """The other settings of what follows a report. One mistake is one report where the program goes on."""
    for setting, status in (("abort", end_of(seen)), ("exit:23", 23)):
        outcome = hakmem(level, seed, library=library).run(bug, HAKMEM_ON_ERROR=setting)
        if outcome.status != status or outcome.went_on != seen.at_end:
            yield f"{bug}: status {outcome.status} with HAKMEM_ON_ERROR={setting}, not {status}"
    outcome = hakmem(level, seed, library=library).run(bug, HAKMEM_ON_ERROR="report")
    if outcome.status != 0 or not outcome.went_on:
        yield f"{bug}: status {outcome.status} with HAKMEM_ON_ERROR=report, where it should go on\n{outcome.text}"
    elif len(reports(outcome.text)) != seen.times:
        yield f"{bug}: {len(reports(outcome.text))} reports with HAKMEM_ON_ERROR=report, not {seen.times}\n{outcome.text}"


def found(level, bug, library):
    """(the report that came, the seed it came with); else what went wrong, as text."""
    row, wrong = BUGS[bug], {}
    for seed in range(1, SEEDS + 1):
        outcome = hakmem(level, seed, library=library).run(bug)
        for seen in row.levels[level]:
            if seen.is_fault and library == CORE_LIBRARY:
                if outcome.status == end_of(seen):
                    return seen, seed
                wrong[seen] = f"status {outcome.status}"
                continue
            wrong[seen] = problem(seen, outcome, library == LIBRARY)
            if wrong[seen] is None:
                status = 0 if seen.kind in GOES_ON else end_of(seen)
                if outcome.status == status:
                    return seen, seed
                wrong[seen] = f"status {outcome.status}, not {status}\n{outcome.text}"
        if level != "sample" or row.chance == 1:
            break
    return "; or ".join(wrong.values()), 0


def missed(level, bugs, library):
    """What is promised and isn't so, a line each."""
    for bug in bugs:
        row = BUGS[bug]
        if not row.levels[level]:
            continue
        seen, seed = found(level, bug, library)
        if isinstance(seen, str):
            yield f"{bug}: {seen}"
            continue
        print(f"{bug:26} {seen.text}", flush=True)
        if not seen.is_fault or library != CORE_LIBRARY:
            yield from ends_rightly(level, bug, seen, seed, library)


def leak(level):
    """A leak is found by the profiler, at any level."""
    outcome = hakmem(level).run("leak", **leaks(level))
    if not re.search(BUGS["leak"].family, outcome.text) or "a" not in outcome.functions():
        yield f"leak: it is not told: {outcome.text}"


def main():
    level, bugs = sys.argv[1], sys.argv[2:]
    library = CORE_LIBRARY if bugs[:1] == ["core"] else LIBRARY
    bugs = bugs[library == CORE_LIBRARY:] or list(BUGS)
    check(level in LEVELS, f"{level} is no level")
    wrong = [*missed(level, bugs, library), *(leak(level) if "leak" in bugs and library == LIBRARY else [])]
    print("\n".join(wrong))
    check(not wrong, f"{len(wrong)} of the promises at level {level} are broken")


if __name__ == "__main__":
    main()
