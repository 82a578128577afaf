#!/usr/bin/python3
"""Adds up what the configurations of `./build.sh test` left in a folder.

NAME.xml is ctest's JUnit report; NAME.built says that a configuration which is only built was built, or only checked has no
finding; NAME.failed that a build, the check or ctest itself failed; NAME.log is what the build said. Prints what tests that passed
left out and why, why tests were skipped, and which failed; the last line is "N passed, M failed[, K skipped]". The exit status is 0
if at least one test passed and none failed.
"""
import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def skip_reason(case):
    """The last line in the test's output that says why it was skipped."""
    output = case.findtext("system-out") or ""
    reasons = [line.strip() for line in output.splitlines() if line.startswith("SKIP: ")]
    return reasons[-1][len("SKIP: "):] if reasons else "no reason given"


def left_out(case):
    """What a test that passed says it left out: pairs of a place, its name or name:case of a unit test (UNIT_LEAVE_IF), and the reason."""
    output, name = case.findtext("system-out") or "", case.get("name")
    for unit_case, reason in re.findall(r"Test: (\w+) \.\.\.(?:(?!Test: ).)*?\(left out: (.*?)\) ", output, re.S):
        yield f"{name}:{unit_case}", reason
    for reason in re.findall(r"^left out: (.*)", output, re.M):
        yield name, reason


def left_out_lines(places):
    """One line for all places that left something out for the same reason in the same configurations."""
    together = collections.defaultdict(list)
    for (place, reason), configurations in places.items():
        together[reason, ", ".join(configurations)].append(place)
    return sorted(f"left out ({configurations}): {' '.join(sorted(names))}: {reason}" for (reason, configurations), names in together.items())


def read_report(path, outcome):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f'{path.stem}: {case.get("name")}'
        status = case.get("status")
        if status == "run":
            outcome["passed"].append(name)
            for place in left_out(case):
                outcome["left out"].setdefault(place, {})[path.stem] = True
        elif case.find("skipped") is not None and status in ("notrun", "disabled") and "SKIP: " in (
                case.findtext("system-out") or ""):
            outcome["skipped"].append(f"{name}: {skip_reason(case)}")
        else:
            outcome["failed"].append(name)


def main():
    outcome = {"passed": [], "failed": [], "skipped": [], "left out": {}}
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if path.suffix == ".xml":
            read_report(path, outcome)
        elif path.suffix in (".built", ".failed"):
            outcome["passed" if path.suffix == ".built" else "failed"].append(path.read_text().strip())
    print()
    print("".join(f"{line}\n" for line in left_out_lines(outcome["left out"])), end="")
    for name in outcome["skipped"]:
        print(f"skipped: {name}")
    for name in outcome["failed"]:
        print(f"FAILED: {name}")
    line = f'{len(outcome["passed"])} passed, {len(outcome["failed"])} failed'
    if outcome["skipped"]:
        line += f', {len(outcome["skipped"])} skipped'
    print(line)
    sys.exit(0 if outcome["passed"] and not outcome["failed"] else 1)


main()
