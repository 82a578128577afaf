#!/usr/bin/python3
"""every_key.py WIDTH HEIGHT TERM LOCALE: presses every key of viewer/keys.def, and waits for what it does.

A key without a step here fails the test, so one who adds a row to keys.def adds its steps. Keys are sent as that kind of terminal sends
them, and what is looked for is there at every size.
"""
import curses
import re
import subprocess
import sys

from mock_target import superslab_rows
from screen import launched
from terminal import TOP, Mock, Screen, wait
from support import SOURCE, Folder, check, equal

SLABS = 60
# A click on the first tab, as the terminal's kmous announces it; Linux's console sends none.
CLICKS = {b"\x1b[<": "\x1b[<0;2;2M\x1b[<0;2;2m", b"\x1b[M": "\x1b[M \"\"\x1b[M#\"\"", None: "1"}
LAST_TICK = 39
# terminfo's names for keys.def's.
CAPABILITIES = {"Shift-Tab": "kcbt", "Up": "kcuu1", "Down": "kcud1", "Left": "kcub1", "Right": "kcuf1", "PgUp": "kpp", "PgDn": "knp",
                "Home": "khome", "End": "kend", "Backspace": "kbs", **{f"F{i}": f"kf{i}" for i in range(1, 13)}}
CHARACTERS = {"Space": " ", "Tab": "\t", "Enter": "\r", "Esc": "\x1b", "Ctrl-C": "\x03", "Ctrl-L": "\x0c"}
# The mock's call sites; as a table and as trees.
SITES = "607K .*live"
PANELS = {"1": "Memory ", "2": "by class", "3": "Class +Size", "4": "stage 1 ", "5": "LRU cache", "6": "Thread +Name", "7": "events, 0 lost",
          "8": "PID.*Command", "9": "since the ", "0": SITES}


def wanted():
    """Each act with each of its keys."""
    pairs = set()
    for act, keys in re.findall(r'^HAK_KEY\((\w+), "(.*?)"', (SOURCE / "viewer/keys.def").read_text(), re.M):
        for key in keys.replace("\\\\", "\\").split():
            first, last = (key[0], key[2]) if re.fullmatch(r"\d-\d", key) else (key, key)
            pairs |= {(act, chr(code)) for code in range(ord(first), ord(last) + 1)} if first != last else {(act, key)}
    return pairs


class Keys:
    """Presses keys on a screen and notes which."""

    def __init__(self, term):
        curses.setupterm(term, 1)
        self.pressed, self.screen = set(), None

    def send(self, key):
        text = CHARACTERS.get(key, key)
        if key in CAPABILITIES:
            text = curses.tigetstr(CAPABILITIES[key])
            # A terminal without the key; what others send for it is understood all the same.
            text = text.decode() if text else {"Home": "\x1b[1~", "End": "\x1b[4~", "Shift-Tab": "\x1b[Z"}[key]
        self.screen.raw(text)

    def press(self, act, key, *patterns):
        """Presses a key and waits for all patterns; one that begins with ! must not be there."""
        self.send(key)
        self.pressed.add((act, key))
        self.sees(*patterns)

    def sees(self, *patterns):
        wait(lambda: all((re.search(pattern.lstrip("!"), text, re.M) is None) == pattern.startswith("!") for text in [self.screen.text()]
                         for pattern in patterns), f"{patterns} on\n{self.screen.text()}")


def at(superslab, slot):
    """The map's last row when the cursor is there."""
    return rf"0x{0x7f5a00000000 + superslab * 0x200000:x} slot {slot}\b|^{superslab}\.{slot} "


def panels(keys):
    for key, mark in PANELS.items():
        keys.press("PANEL", key, mark)
    keys.press("NEXT_PANEL", "Tab", PANELS["1"])
    keys.press("PREVIOUS_PANEL", "Shift-Tab", PANELS["0"])
    for key in ("F1", "h", "?"):
        keys.press("HELP", key, "this page; any other key leaves it")
        keys.send("x")
        keys.sees(PANELS["0"])


def cursor(keys):
    keys.press("PANEL", "2", at(0, 0))
    keys.press("DOWN", "Down", at(1, 0))
    keys.press("DOWN", "j", at(2, 0))
    keys.press("UP", "Up", at(1, 0))
    keys.press("UP", "k", at(0, 0))
    keys.press("RIGHT", "Right", at(0, 1))
    keys.press("RIGHT", "l", at(0, 2))
    keys.press("LEFT", "Left", at(0, 1))
    keys.press("PAGE_DOWN", "PgDn", "!" + at(0, 1), "!" + at(1, 1))
    keys.press("PAGE_UP", "PgUp", at(0, 1))
    for last, first in (("End", "Home"), ("G", "g")):
        keys.press("LAST", last, at(SLABS - 1, 1))
        keys.press("FIRST", first, at(0, 1))


def map_of_slots(keys):
    keys.press("ENTER", "Enter", "SuperSlab 0 ", "!State ")
    keys.send("Enter")
    keys.sees(r"SuperSlab 0 .*slot 1\b", "State ")
    keys.press("LEAVE", "Esc", "SuperSlab 0 ", "!State ")
    keys.press("LEAVE", "Backspace", at(0, 1))
    for mode in ("by class  0", "by fill", "by age", "by class and fill"):
        keys.press("MODE", "c", mode)
    # Where class 6 is, by the rule that the mock's heap follows.
    found = [(row, next(slot for slot, cells in enumerate(superslab_rows(row, LAST_TICK)) if cells[1] == 6))
             for row in range(SLABS - 1) if any(cells[1] == 6 for cells in superslab_rows(row, LAST_TICK))][:2]
    keys.press("FIND", "F3", "Search:")
    keys.screen.raw("C6")
    keys.sees("Search: C6")
    keys.send("Enter")
    keys.sees(at(*found[0]), "!Search:")
    keys.press("FIND_NEXT", "n", at(*found[1]))
    keys.press("FIND_PREVIOUS", "N", at(*found[0]))
    keys.press("FIND", "/", "Search: C6")
    keys.send("Esc")
    keys.sees("!Search:")


def tables(keys):
    keys.press("PANEL", "3", "[▼v]Live")
    for on, back in (("F6", "<"), (">", ","), (".", "<")):
        keys.press("NEXT_SORT", on, "[▼v]Slack")
        keys.press("PREVIOUS_SORT", back, "[▼v]Live")
    keys.press("REVERSE", "r", r"[▲^]Live")
    keys.press("REVERSE", "I", "[▼v]Live")
    keys.press("PANEL", "6", " worker", " main ")
    for key in ("F4", "\\"):
        keys.press("FILTER", key, "Filter:")
        keys.screen.raw("wo")
        keys.sees("Filter: wo", " worker", "! main ")
        keys.send("Esc")
        keys.sees("!Filter:", " main ")


def trees(keys):
    keys.press("PANEL", "0", SITES, r"^ libsong\.so\+0x200|[^ ]B? +libsong\.so\+0x200")
    keys.press("TREE", "t", r"- mockingbird\+0x300")
    keys.press("TREE", "F5", r"\+ libsong\.so\+0x200")
    keys.press("PANEL", "6", "Thread +Name")


def looks(keys, folder):
    keys.press("EXPAND", "e", "!F1Help", "!6 ?Threads")
    keys.press("EXPAND", "e", "F1Help", "6 ?Threads")
    keys.press("FASTER", "+", r"a frame every 0\.05 s")
    keys.press("SLOWER", "-", r"a frame every 0\.1 s")
    for colours in ("at most 16", "at most 8", "no", "at most 256"):
        keys.press("COLOURS", "C", f"{colours} colours")
    for key in ("F2", "S"):
        kept = folder / "hakmem/top.conf"
        kept.unlink(missing_ok=True)
        keys.press("SAVE", key, "kept in ")
        wait(kept.exists, f"{key} to write the file")
        check("panel = threads\n" in kept.read_text(), "top.conf hasn't the panel")
    # Another program writes over the screen.
    path = subprocess.run([*keys.screen.tmux, "display-message", "-p", "#{pane_tty}"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    with open(path, "w", encoding="ascii") as terminal:
        terminal.write("\x1b[3;1Hnot ours")
    keys.sees("^not ours")
    keys.press("REDRAW", "Ctrl-L", "!not ours", "Thread +Name")
    keys.screen.raw(CLICKS[curses.tigetstr("kmous")])
    keys.pressed.add(("MOUSE", "mouse"))
    keys.sees(PANELS["1"])


def time(keys):
    """The mock's moments are a second apart."""
    def ago(seconds):
        return rf"\b{seconds}s ago|-{seconds}s "
    now = r"!s ago|-[\d.]+s "
    for on, off in (("Space", "Z"), ("Z", "z"), ("z", "Space")):
        keys.press("PAUSE", on, "PAUSED")
        keys.press("RESUME", off, "!PAUSED")
    keys.press("BACK", "[", ago(r"1\.0"))
    keys.press("BACK", "Left", ago(r"2\.0"))
    keys.press("FAR_BACK", "{", ago(r"12\.0"))
    keys.press("FAR_FORWARD", "}", ago(r"2\.0"))
    keys.press("FORWARD", "]", ago(r"1\.0"))
    keys.press("FORWARD", "Right", now)
    keys.press("BEGINNING", "B", ago(rf"{LAST_TICK}\.0"))
    keys.press("MARK", "m")
    keys.press("NOW", "End", now)
    keys.press("CHANGES", "d", "since the mark")
    keys.send("[")
    keys.sees(ago(r"1\.0"))
    keys.press("LAST_MOMENT", "E", now)


def live(keys, folder, how):
    with Mock(folder / "run", "--still", str(LAST_TICK + 1), "--slabs", str(SLABS)) as mock, \
            Screen(folder, f"{TOP} -d 0.02 {mock.socket}", HAKMEM_DIR=folder / "run", XDG_CONFIG_HOME=folder, **how) as keys.screen:
        keys.sees(f"up 0:{LAST_TICK + 1}")
        panels(keys)
        cursor(keys)
        map_of_slots(keys)
        tables(keys)
        trees(keys)
        looks(keys, folder)
        time(keys)
        keys.press("QUIT", "q")
        keys.screen.restored(0)


def replayed(keys, folder, how):
    """A recording runs, faster and slower."""
    with Mock(folder / "run", "--slabs", "4") as mock:
        subprocess.run([TOP, "--json", "-n", "30", "-d", "0.02", "--record", folder / "r.hrec", mock.socket], check=True, stdout=subprocess.DEVNULL)
    with Screen(folder, f"{TOP} {folder}/r.hrec", XDG_CONFIG_HOME=folder, **how) as keys.screen:
        keys.sees(" replay", r"0:0\d")
        wide = how["width"] >= 70
        keys.press("RUN_FASTER", "+", *(["2x"] if wide else []))
        keys.press("RUN_FASTER", "=", *(["4x"] if wide else []))
        keys.press("RUN_SLOWER", "-", *(["2x"] if wide else []))
        keys.press("QUIT", "Ctrl-C")
        keys.screen.restored(0)


def commanded(keys, folder, how):
    """What a command printed has a panel of its own; another process is watched."""
    with Mock(folder / "run") as mock, Screen(folder, launched(folder, "", folder / "stop"), HAKMEM_DIR=folder / "run", XDG_CONFIG_HOME=folder, **how) as keys.screen:
        keys.sees(r"mockingbird \(\d+\)", " live")
        own = re.search(r"mockingbird \((\d+)\)", keys.screen.text()).group(1)
        keys.press("PANEL", "o", f"^ready {own} ")
        keys.send("8")
        keys.sees(rf"^ +{mock.pid} ", rf"^ +{own} .*watched")
        keys.send("F3")
        keys.screen.raw(str(mock.pid))
        keys.send("Enter")
        keys.press("SWITCH", "Enter", rf"mockingbird \({mock.pid}\)", rf"^ +{mock.pid} .*watched", " live")
        keys.press("QUIT", "F10")
        (folder / "stop").touch()
        keys.screen.restored(5)


def main():
    width, height, term, locale = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    keys, how = Keys(term), {"width": width, "height": height, "term": term, "locale": locale}
    with Folder() as folder:
        for part in (live, replayed, commanded):
            part(keys, folder, how)
            (folder / "after").unlink()
    equal(sorted(keys.pressed), sorted(wanted()), "keys that were pressed; keys.def has")


if __name__ == "__main__":
    main()
