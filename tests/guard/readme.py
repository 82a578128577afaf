#!/usr/bin/python3
"""README's table of what checkers make of planted bugs has a row for each bug, and HAKMEM's cells say what expected.py promises."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from expected import BUGS, LEVELS
from support import SOURCE, check


def cells():
    """{a bug's name in README: {column: cell}}"""
    text = re.search(r"<!-- guards compared -->\n(.*?)<!-- end -->", (SOURCE / "README.md").read_text(), re.S)[1]
    head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in text.splitlines())
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def mistakes(table):
    if set(table) != {row.says for row in BUGS.values()}:
        yield f"rows: {sorted(set(table) ^ {row.says for row in BUGS.values()})}"
        return
    for bug, row in BUGS.items():
        for level in LEVELS:
            cell, promised = table[row.says][f"HAKMEM {level}"], row.levels[level]
            named = re.match(r"named ?(\w*)", cell)
            if promised and not (named and any(seen.functions & row.functions <= set(named[1]) for seen in promised)):
                yield f"{bug} at level {level}: README says {cell!r}"
            if not promised and named and bug != "leak":
                yield f"{bug} at level {level}: README says {cell!r}, of which expected.py knows nothing"


def main():
    wrong = list(mistakes(cells()))
    print("\n".join(wrong))
    check(not wrong, f"{len(wrong)} differences between README's table and expected.py")


main()
