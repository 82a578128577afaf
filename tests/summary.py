#!/usr/bin/python3
"""Adds up what the configurations of `./build.sh test` left in a folder.

NAME.xml is ctest's JUnit report; NAME.built says that a configuration which is only built was built, or only checked has no
finding; NAME.failed that a build, the check or ctest itself failed; NAME.log is what the build said. Prints why tests were skipped and which failed; the last line is "N passed, M failed[, K skipped]". The exit
status is 0 if at least one test passed and none failed.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def skip_reason(case):
    """The last line in the test's output that says why it was skipped."""
    output = case.findtext("system-out") or ""
    reasons = [line.strip() for line in output.splitlines() if line.startswith("SKIP: ")]
    return reasons[-1][len("SKIP: "):] if reasons else "no reason given"


def read_report(path, outcome):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f'{path.stem}: {case.get("name")}'
        status = case.get("status")
        if status == "run":
            outcome["passed"].append(name)
        elif case.find("skipped") is not None and status in ("notrun", "disabled") and "SKIP: " in (
                case.findtext("system-out") or ""):
            outcome["skipped"].append(f"{name}: {skip_reason(case)}")
        else:
            outcome["failed"].append(name)


def main():
    outcome = {"passed": [], "failed": [], "skipped": []}
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if path.suffix == ".xml":
            read_report(path, outcome)
        elif path.suffix in (".built", ".failed"):
            outcome["passed" if path.suffix == ".built" else "failed"].append(path.read_text().strip())
    print()
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
