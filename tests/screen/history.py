#!/usr/bin/python3
"""history.py CASE: what hakmem-top does with time and files: differences, recordings, pages."""
import copy
import json
import sys

from batch import one_line, top
from mock_target import snapshot as mock_snapshot
from terminal import Mock
from support import Folder, check, equal


def written(folder, name, document):
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def diff(folder):
    """--diff A B: growth first, in text and as JSON; the exit status judges the growth."""
    before = mock_snapshot(0, 4)
    after = copy.deepcopy(before)
    after["seq"], after["time_us"], after["uptime_us"] = 9, after["time_us"] + 2500000, after["uptime_us"] + 2500000
    after["classes"][3]["live_blocks"] += 1000
    after["classes"][9]["live_blocks"] -= 7
    after["memory"]["live_bytes"] += 64000
    after["stages"]["stage1"] += 30
    after["stages"]["stage3"] += 10
    del after["superslabs"][2]
    a, b = written(folder, "a.json", before), written(folder, "b.json", after)
    text = top(folder, "--diff", a, b).stdout
    check("2.5 s between them" in text and "+62.5K" in text, f"the growth isn't told: {text}")
    check(text.index("  C3 ") < text.index("  C9 "), "classes aren't ordered by growth")
    check("75.0%" in text and "25.0%" in text, "the stages' shares aren't told")
    check("1 changed, 0 of them new, 1 gone" in text, "the SuperSlab that is gone isn't told")
    document = json.loads(top(folder, "--json", "--diff", a, b).stdout)
    equal(document["memory"]["live_bytes"]["growth"], 64000, "growth of live bytes")
    equal([(row["class"], row["live_blocks"]["growth"]) for row in document["classes"]], [(3, 1000), (9, -7)], "classes")
    equal([(row["index"], row["state"]) for row in document["superslabs"]], [(2, "gone")], "SuperSlabs")
    equal((document["same_process"], document["seconds"], document["type"]), (True, 2.5, "diff"), "the head")
    # The judgement: more than is allowed, as much, and less.
    for allowed, status in (("0", 3), ("63999", 3), ("64000", 0), ("1M", 0), ("62K", 3)):
        result = top(folder, "--diff", a, b, "--fail-if-growth", allowed, expect=status)
        equal("live bytes grew by 64000" in result.stderr, status == 3, f"what --fail-if-growth {allowed} says")
    top(folder, "--diff", b, a, "--fail-if-growth", "0")
    for bad in ("", "-1", "1.5", "2X", "1KB", "99999999999999999999", "9999999999G"):
        one_line(top(folder, "--diff", a, b, "--fail-if-growth", bad, expect=2), "--fail-if-growth", "integer")
    # A process that runs is one of the two, too.
    with Mock(folder / "run", "--slabs", "4") as mock:
        document = json.loads(top(folder, "--json", "--diff", a, str(mock.pid)).stdout)
        equal(document["after"]["pid"], mock.pid, "the process")
        equal(document["same_process"], False, "two processes")
    one_line(top(folder, "--diff", a, expect=2), "hakmem-top --diff BEFORE AFTER")
    one_line(top(folder, "--diff", a, folder / "none.json", expect=1), "none.json", "No such file")
    one_line(top(folder, "--fail-if-growth", "1", a, expect=2), "--diff")
    evil = copy.deepcopy(after)
    evil["process"]["exe"] = "/bin/\u001b[31mred\u0007"
    for words in ((), ("--json",)):
        text = top(folder, *words, "--diff", a, written(folder, "\u001b[1mevil.json", evil)).stdout
        check(not any(ord(letter) < 32 and letter != "\n" for letter in text), "control characters in a difference")


CASES = {case.__name__: case for case in (diff,)}


def main():
    with Folder() as folder:
        CASES[sys.argv[1]](folder)


if __name__ == "__main__":
    main()
