#!/usr/bin/python3
"""golden.py CASE [write]: what the screen shows of a target that is always the same, cell by cell, with its colours.

A case is a kind of terminal; golden/CASE.txt has a screen for each of its keys, as it was when somebody last looked at it and found it
good: rows of text, then rows of colours, `12a3b` being twelve cells of look a and three of look b. With `write` the file is made anew
(look at what git says has changed). The case `readme` compares the screens in README.md with those; `golden.py all write` does it all.
"""
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from terminal import DEADLINE, HERE, TOP, Mock, Screen
from support import SOURCE, Folder, check, fail

# A screen's name and the keys that lead to it from the one before it.
OVERVIEW = ("overview", ["1"])
MAP = ("slots", ["2"])
CLASSES, STAGES, LRU = ("classes", ["3"]), ("stages", ["4"]), ("lru", ["5"])
THREADS, EVENTS, CHANGES = ("threads", ["6"]), ("events", ["7"]), ("changes", ["9"])
SITES = ("sites", ["0"])
# All that show nothing of the machine that the test runs on; processes are looked at by screen.py.
PANELS = [OVERVIEW, MAP, CLASSES, STAGES, LRU, THREADS, EVENTS, CHANGES, SITES]
ZOOMS = [("superslab", ["2", "Right", "Right", "Down", "Enter"]), ("slot", ["Enter"]), ("folded", ["Escape", "Escape", "Escape"])]
# Orders and searches, help and its end, and the panel on its own.
OTHERS = [("by_slack", ["3", "F6"]), ("search", ["6", "/", "w", "o"]), ("not_found", ["x"]), ("filter", ["Escape", "7", "F4", "l", "r", "u"]),
          ("filtered", ["BSpace", "BSpace", "BSpace", "d", "r", "a", "i", "n", "Enter"]), ("expanded", ["e"]), ("help", ["e", "F1"]), ("help_end", ["End"])]
MODES = [("by_class", ["2", "c"]), ("by_fill", ["c"]), ("by_age", ["c"])]

TERMINALS = {
    "80x24": (80, 24, "xterm-256color", "C.UTF-8", [*PANELS, ("tree", ["t"]), *MODES, ("mixed", ["c"]), *ZOOMS, *OTHERS]),
    "40x10": (40, 10, "xterm-256color", "C.UTF-8", [*PANELS, *ZOOMS, ("help", ["h"])]),
    "200x60": (200, 60, "xterm-256color", "C.UTF-8", [*PANELS, *ZOOMS, ("help", ["h"])]),
    "80x24_ascii": (80, 24, "xterm-256color", "C", [OVERVIEW, MAP, STAGES, MODES[0]]),
    "80x24_linux": (80, 24, "linux", "C.UTF-8", [OVERVIEW, MAP, EVENTS, *MODES]),
    "80x24_screen": (80, 24, "screen", "C", [OVERVIEW, MAP, CLASSES]),
    "80x24_16": (80, 24, "xterm-256color", "C.UTF-8", [OVERVIEW, *MODES]),
    "80x24_mono": (80, 24, "vt100", "C", [OVERVIEW, *MODES]),
}
# The fences of README.md that show one of the screens: <!-- screen CASE NAME -->.
FENCE = re.compile(r"(<!-- screen (\w+) (\w+) -->\n```\n)(.*?)(```\n)", re.S)


def cells(text):
    """The rows of `capture-pane -e`: their text, and the look of each cell."""
    rows, look = [], {}
    for line in text.split("\n")[:-1]:
        letters, looks = "", []
        for codes, letter in re.findall(r"\x1b\[([0-9;]*)m|\x1b[()].|[\x0e\x0f]|(.)", line):
            if letter:
                letters += letter
                # How a blank came to be, written or erased, is not seen.
                parts = ("bg",) if letter == " " and "reverse" not in look else ("fg", "bg", "bold", "dim", "reverse")
                looks.append(" ".join(look[part] for part in parts if part in look) or "plain")
            else:
                apply(look, [int(code or 0) for code in codes.split(";")])
        # Those at the end of a row tmux leaves out, unless something was written behind them once.
        end = len(letters.rstrip(" "))
        rows.append((letters[:end], looks[:end]))
    return rows


def apply(look, codes):
    """What a sequence of SGR codes makes of a look."""
    while codes:
        code = codes.pop(0)
        if code == 0:
            look.clear()
        elif code in (1, 2, 7):
            look[{1: "bold", 2: "dim", 7: "reverse"}[code]] = {1: "bold", 2: "dim", 7: "reverse"}[code]
        elif code in (38, 48):
            look["fg" if code == 38 else "bg"] = f"{'' if code == 38 else 'on '}{codes[1]}"
            del codes[:2]
        elif code in (39, 49):
            look.pop("fg" if code == 39 else "bg", None)
        else:
            ground, base = ("fg", 30) if code < 40 or 90 <= code < 100 else ("bg", 40)
            number = code - base if code < 90 else code - base - 60 + 8
            look[ground] = f"{'' if ground == 'fg' else 'on '}{number}"


def render(name, rows):
    """A screen as it stands in the file."""
    letters = {}
    lines = [f"== {name}"] + [f"|{text}" for text, _ in rows]
    for _, looks in rows:
        line, count = "", 0
        for i, look in enumerate(looks):
            letter = letters.setdefault(look, chr(ord("a") + len(letters)) if len(letters) < 26 else chr(ord("A") + len(letters) - 26))
            count += 1
            if i + 1 == len(looks) or looks[i + 1] != look:
                line, count = line + f"{count if count > 1 else ''}{letter}", 0
        lines.append(":" + line)
    return "\n".join(lines + [f"{letter} {look}" for look, letter in letters.items()]) + "\n"


def steady(screen, name, previous):
    """The screen when it has stood still for a while, other than the one before: only what is written anew is taken so."""
    last, since = None, time.monotonic()
    deadline = since + DEADLINE
    while time.monotonic() < deadline:
        now = render(name, cells(screen.text(colours=True) + "\n"))
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() > since + 0.5 and now.split("\n", 1)[1] != previous:
            return now
        time.sleep(0.02)
    return fail(f"{name} never stood still, or is the same as the screen before it")


def awaited(screen, name, wanted):
    """Waits for the screen that the file has."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        now = render(name, cells(screen.text(colours=True) + "\n"))
        if now == wanted:
            return
        time.sleep(0.01)
    for old, new in zip(wanted.split("\n"), now.split("\n")):
        if old != new:
            print(f"- {old}\n+ {new}")
    fail(f"the screen {name} is another one; if it is meant to be, renew it: tests/screen/golden.py all write")


def read(case):
    text = (HERE / "golden" / f"{case}.txt").read_text(encoding="utf-8")
    return {part.split("\n", 1)[0]: "== " + part for part in text.split("== ")[1:]}


def compare(case, write=False):
    path = HERE / "golden" / f"{case}.txt"
    known = read(case) if not write else {}
    with Folder() as folder:
        if case == "80x24_16":
            (folder / "hakmem").mkdir()
            (folder / "hakmem/top.conf").write_text("colours = 16\n", encoding="ascii")
        made = walk(folder, case, known, write)
    if write:
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(made), encoding="utf-8")


def walk(folder, case, known, write):
    """Goes from screen to screen; returns them where they are to be written."""
    width, height, term, locale, screens = TERMINALS[case]
    made, previous = [], ""
    with Mock(folder / "run", "--still", "40") as mock, \
            Screen(folder, f"{TOP} -d 0.02 {mock.socket}", width=width, height=height, term=term, locale=locale,
                   HAKMEM_DIR=folder / "run", XDG_CONFIG_HOME=folder) as screen:
        screen.sees("up 0:40")
        for name, keys in screens:
            screen.keys(*keys)
            if write:
                made.append(steady(screen, name, previous))
                previous = made[-1].split("\n", 1)[1]
            else:
                check(name in known, f"golden/{case}.txt has no screen {name}")
                awaited(screen, name, known[name])
    return made


def readme(write=False):
    text = (SOURCE / "README.md").read_text(encoding="utf-8")
    shown = FENCE.findall(text)
    check(shown, "README.md shows no screen")

    def current(match):
        rows = re.findall(r"^\|(.*)$", read(match[2])[match[3]], re.M)
        return match[1] + "\n".join(row.rstrip() for row in rows).rstrip() + "\n" + match[5]
    renewed = FENCE.sub(current, text)
    if write:
        (SOURCE / "README.md").write_text(renewed, encoding="utf-8")
    check(write or renewed == text, "README.md shows screens that are no longer so: tests/screen/golden.py readme write")


EVERYTHING = (*TERMINALS, "readme")


def main():
    write = sys.argv[2:] == ["write"]
    for case in EVERYTHING if sys.argv[1] == "all" else [sys.argv[1]]:
        if case == "readme":
            readme(write)
        else:
            compare(case, write)


if __name__ == "__main__":
    main()
