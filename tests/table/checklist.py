#!/usr/bin/python3
"""The table of promises in tests/README.md: every test it names is one that ctest runs, every case or function it names exists in that
test's source, and no line is without a test."""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, SOURCE, check, run, tool


def rows():
    """(promise, tests) of each line of the table."""
    text = (SOURCE / "tests/README.md").read_text()
    table = text.split("| what is promised | held by |\n|---|---|\n")[1].split("\n\n")[0]
    for line in table.splitlines():
        promise, tests = re.fullmatch(r"\| (.*?) \| (.*?) ?\|", line).groups()
        yield promise, re.findall(r"`(.*?)`", tests)


def has_case(test, case):
    """Whether the source of a test has a case or a function of that name."""
    folder, name = test.split("/")
    sources = [SOURCE / "tests" / folder / (name + suffix) for suffix in ("_test.c", ".c", ".cpp", ".py")]
    texts = [source.read_text() for source in sources if source.exists()]
    if folder == "unit":
        return any(f"UNIT({case})" in text for text in texts)
    # Named by its definition and called, so at least twice.
    return any(re.search(rf"^(static .*|def ){case}\(", text, re.M) and len(re.findall(rf"\b{case}\(", text)) > 1 for text in texts)


def problems(known):
    promises = 0
    for promise, tests in rows():
        if promise.startswith("**"):
            continue
        promises += 1
        if not tests:
            yield f"no test holds: {promise}"
        for test, _, case in (word.partition(":") for word in tests):
            if test not in known:
                yield f"{test} is no test of ctest's"
            elif case and not has_case(test, case):
                yield f"{test} has no case {case}"
    if promises < 35:
        yield f"only {promises} promises were found"


def main():
    listed = json.loads(run([tool("ctest"), "--test-dir", BUILD, "--show-only=json-v1"]).stdout)
    found = list(problems({test["name"] for test in listed["tests"]}))
    for problem in found:
        print(problem)
    check(not found, f"{len(found)} mistakes in the table of promises")


main()
