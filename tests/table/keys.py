#!/usr/bin/python3
"""hakmem-top.1 has each key of keys.def, in its words, between `.\\" keys` and `.\\" end`. Usage: keys.py [write], to put them there."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import SOURCE, check

PAGE = SOURCE / "viewer/man/hakmem-top.1"


def rows():
    """[keys, help] of each help line: rows without words belong to the one above."""
    lines = []
    text = (SOURCE / "viewer/keys.def").read_text()
    for keys, words in re.findall(r'^HAK_KEY\(\w+, "(.*?)", [A-Z_ |]+, ".*?", \d+, "(.*?)"\)$', text, re.M):
        keys = keys.replace("\\\\", "\\").split()
        if words:
            lines.append([[keys], words])
        else:
            lines[-1][0].append(keys)
    check(len(re.findall(r"^HAK_KEY", text, re.M)) == sum(len(keys) for keys, _ in lines), "a row of keys.def is not in the form that it describes")
    return [(joined(keys), words) for keys, words in lines]


def joined(rows_of_keys):
    names = [row[n] for n in range(max(map(len, rows_of_keys))) for row in rows_of_keys if n < len(row)]
    return list(dict.fromkeys(names))


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def page_text():
    for keys, words in rows():
        yield ".TP"
        yield ".BR " + ' ", " '.join(roff(key) for key in keys)
        yield roff(words[0].upper() + words[1:] + ".")


def main():
    text = PAGE.read_text()
    parts = re.search(r'(\.\\" keys\n)(.*?)(\.\\" end\n)', text, re.S)
    check(parts, f"{PAGE.name} has no list of keys")
    wanted = "\n".join(page_text()) + "\n"
    if sys.argv[1:] == ["write"]:
        PAGE.write_text(text[:parts.start(2)] + wanted + text[parts.end(2):])
        return
    check(parts[2] == wanted, f"{PAGE.name} differs from keys.def: tests/table/keys.py write puts it right")


main()
