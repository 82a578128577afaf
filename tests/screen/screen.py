#!/usr/bin/python3
"""screen.py CASE: drives the real hakmem-top in a tmux pane, against a mock target or a real program."""
import os
import re
import signal
import subprocess
import sys

from terminal import HERE, LIBRARY, TOP, Mock, Screen, wait
from support import Folder, check, equal

PANELS = ("Overview", "Slots", "Classes", "Stages", "LRU", "Threads", "Events", "Procs", "Changes", "Sites")
# What only that panel shows.
MARKS = ("Top classes", "by class and fill", r"Class +Size", "System calls", "LRU cache", r"Thread +Name", "events, 0 lost", r"PID.*Command",
         "since the ", r"Call site *$")


def attached(folder, mock, options="-d 0.1", **how):
    return Screen(folder, f"{TOP} {options} {mock.pid}", HAKMEM_DIR=folder / "run", **how)


def panels(folder):
    """Every panel by its number, by Tab and back; help; quitting leaves the terminal as it was."""
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.sees(rf"mockingbird \({mock.pid}\)", " live", *PANELS)
        for number, mark in enumerate(MARKS, 1):
            screen.keys(str(number % 10))
            screen.sees(mark)
        screen.keys("Tab")
        screen.sees(MARKS[0])
        screen.keys("BTab")
        screen.sees(MARKS[-1])
        for key in ("F1", "h", "?"):
            screen.keys(key)
            screen.sees("Tab Shift-Tab +the next, the previous panel")
            screen.keys("PPage", "NPage", "NPage", "NPage")
            screen.sees("F10 q Ctrl-C +quit", "8 Procs +your HAKMEM")
            screen.keys("x")
            screen.sees(MARKS[-1])
        screen.keys("F10")
        screen.restored(0)


def moves(folder):
    """The figures go on, and so does the sparkline."""
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        first = re.search(r"up (\d+):(\d+)", screen.sees(r"up \d+:\d+"))
        wait(lambda: (lambda now: now and now.groups() != first.groups())(re.search(r"up (\d+):(\d+)", screen.text())),
             "a later frame")
        screen.sees(r"Allocs +[\d.]+[kMG]?/s .*[▁▂▃▄▅▆▇█]{3}")
        screen.keys("q")
        screen.restored(0)


def pause(folder):
    """Space freezes the panel, the header's time runs on, Space goes on."""
    def body(text):
        return text.split("\n")[2:-1]

    def uptime(text):
        return re.search(r"up (\d+:\d+)", text).group(1)

    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.sees(MARKS[0])
        for key in ("Space", "Z"):
            screen.keys(key)
            frozen = screen.sees("PAUSED", "Go on")
            later = wait(lambda: screen.text() if uptime(screen.text()) != uptime(frozen) else None, "the header's time")
            equal(body(later), body(frozen), "a paused panel")
            screen.keys(key)
            wait(lambda: "PAUSED" not in screen.text(), "the end of the pause")
            wait(lambda: body(screen.text()) != body(frozen), "the panel to go on")


def sort(folder):
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.keys("3")
        screen.sees("▼Live")
        screen.keys("F6")
        screen.sees("▼Slack")
        screen.keys("<", "<")
        screen.sees("▼ ?Size")
        screen.keys("<")
        text = screen.sees("▲Class", r"^ 0 C0 ")
        check(text.index(" C0 ") < text.index(" C1 "), "classes are not in order")
        screen.keys("r")
        screen.sees("▼Class")
        screen.keys("r", ">", ">", "End")
        screen.sees("▼Live", r"^ 0 C0 .*\nF1Help")


def slots(folder):
    """The cursor explains the slot it is on; the map scrolls; cells show fill, class or age."""
    with Mock(folder / "run", "--slabs", "60") as mock, attached(folder, mock) as screen:
        screen.sees(" live")
        screen.keys("Space", "2")
        screen.sees("0x7f5a00000000 slot 0:")
        screen.keys("Right", "Right", "Down")
        screen.sees("0x7f5a00200000 slot 2:")
        screen.keys("G")
        screen.sees(r"0x7f5a07600000 slot 2 \(in LRU\): UNUSED", r"^ +59 .*L")
        screen.keys("PPage", "PPage", "PPage", "PPage", "g")
        screen.sees("0x7f5a00000000 slot 2:")
        for mode in ("by class  0-9", "by fill", "by age", "by class and fill"):
            screen.keys("c")
            screen.sees(mode)


def events(folder):
    """New events come at the end; scrolling up stops that, End follows again."""
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.keys("7")
        screen.sees(r"^ [3-9]\d events", r"drain +class=6 drained=32 kept=11")
        screen.keys("Up")
        screen.sees("stopped: End follows")
        stopped = screen.rows()[3]
        count = re.search(r"(\d+) events", screen.text()).group(1)
        wait(lambda: re.search(r"(\d+) events", screen.text()).group(1) != count, "more events")
        equal(screen.rows()[3], stopped, "the first row while stopped")
        screen.keys("End")
        wait(lambda: "stopped" not in screen.text() and screen.rows()[3] != stopped, "following")
    with Mock(folder / "run") as mock, attached(folder, mock, "--readonly -d 0.1") as screen:
        screen.sees(" live")
        screen.keys("7")
        screen.sees("No events yet")


def sites(folder):
    """Call sites: a table with the stack of the one under the cursor, a tree both ways, filters."""
    with Mock(folder / "run") as mock, attached(folder, mock, height=30) as screen:
        screen.keys("0")
        screen.sees(r"607K .* live in 63 blocks; 77 samples, one every 512K", r"586K +\d+K .*libsong.so\+0x200", r"^ libsong\.so\+0x200",
                    r"^ mockingbird\+0x300")
        screen.keys("Down")
        screen.sees(r"^Stack ─+freed after: <1ms 62%, <10ms 21%, <100ms 10%, longer 6%")
        screen.keys("t")
        screen.sees("top-down", r"605K .*- mockingbird\+0x300", r"^ +586K .*    libsong\.so\+0x200")
        screen.keys("Enter")
        screen.sees(r"605K .*\+ mockingbird\+0x300")
        screen.keys("F5")
        screen.sees("bottom-up", r"\+ libsong\.so\+0x200")
        screen.keys("F5", "F4")
        screen.raw("class=large song")
        screen.sees(r"live in 3 blocks that pass")
        screen.keys("Escape", "F4")
        screen.raw("thread=1")
        screen.sees("Nothing passes the filter")


def sizes(folder):
    """From very small to very large, every panel and help, while the size changes under it."""
    with Mock(folder / "run", "--slabs", "30") as mock, attached(folder, mock) as screen:
        screen.sees(" live")
        for width, height in ((40, 10), (200, 60), (20, 5), (300, 100), (2, 2), (80, 24)):
            screen.resize(width, height)
            for number in range(10):
                screen.keys(str(number))
            screen.keys("F1", "x", "1")
            if width >= 40:
                screen.sees("Memory ", r"^F1Help")
                equal(len(screen.rows()), height, "rows of the screen")
        screen.keys("q")
        screen.restored(0)


def terminals(folder):
    """Each kind of terminal with each character set: ASCII where the locale isn't UTF-8, colours where there are some."""
    with Mock(folder / "run") as mock:
        for term in ("xterm-256color", "linux", "vt100", "screen"):
            for locale in ("C", "C.UTF-8"):
                with attached(folder, mock, term=term, locale=locale) as screen:
                    text = screen.sees("Memory ", "Top classes", " live")
                    if locale == "C":
                        check(text.isascii(), f"{term} in the C locale shows {sorted(set(text) - set(map(chr, range(128))))}")
                        check("####" in text, f"{term} in the C locale shows no bars")
                    else:
                        check("████" in text, f"{term} in C.UTF-8 shows no bars")
                    for number in range(2, 9):
                        screen.keys(str(number))
                        screen.sees(MARKS[number - 1])
                    colours = re.search("\x1b\\[[0-9;]*3[0-8]", screen.text(colours=True)) is not None
                    equal(colours, term != "vt100", f"colours on {term}")
                    screen.keys("q")
                    screen.restored(0)
                    (folder / "after").unlink()


def dumb(folder):
    """Where the terminal can't be driven there are frames of text instead."""
    with Mock(folder / "run") as mock:
        for term in ("dumb", "no-such-terminal", ""):
            with attached(folder, mock, "-d 0.05 -n 3", term=term, height=60) as screen:
                text = screen.sees("Top classes", "^status 0$")
                check("\x1b" not in screen.text(colours=True), f"escape codes on TERM={term!r}")
                check("F10Quit" not in text, f"a screen on TERM={term!r}")


def lost(folder):
    """The target goes; its last screen stays, and says so."""
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.sees(" live", "Top classes")
        mock.stop()
        screen.sees("ENDED", "the process has ended", "Top classes")
        screen.keys("2")
        screen.sees("by class and fill", "7f5a|00000000")
        screen.keys("Space", "q")
        screen.restored(0)


def stopped(folder):
    """A target that is stopped is no idle one."""
    with Mock(folder / "run") as mock, attached(folder, mock) as screen:
        screen.sees(" live")
        os.kill(mock.pid, signal.SIGSTOP)
        screen.sees(r"no news for \d+ s", "Top classes")
        os.kill(mock.pid, signal.SIGCONT)
        wait(lambda: "no news" not in screen.text(), "the news")


def hiccup(folder):
    """What one bad message was about is forgotten with the next good one."""
    with Mock(folder / "run", "--hostile", "hiccup") as mock, attached(folder, mock, "-d 1") as screen:
        screen.sees(r"memory\.live_bytes is missing")
        wait(lambda: "live_bytes" not in screen.text(), "the note to go")
        screen.sees("Top classes", " live")


def nonsense(folder):
    """A message that no target should send is told, and the last good screen stays; the next good one is shown."""
    for kind, said in (("nesting", "ends in the middle|not JSON"), ("huge", r"classes\.allocs is missing or not an integer")):
        with Mock(folder / "run", "--hostile", kind) as mock, attached(folder, mock, "-d 0.5") as screen:
            screen.sees(said, "Top classes", r"Live +\d")
            wait(lambda: re.search(said, screen.text()) is None, "the note to go")
            screen.sees("Top classes", r"up 0:0[4-9]")


def names(folder):
    """Escape sequences in names are text on every panel: no colour, title or column comes of them."""
    with Mock(folder / "run", "--hostile", "escape") as mock, attached(folder, mock) as screen:
        screen.sees(r"\?\[31mred\?\?\?", " live")
        title = subprocess.run([*screen.tmux, "display-message", "-p", "#{pane_title}"], check=True, stdout=subprocess.PIPE, text=True).stdout
        for number, mark in enumerate(MARKS, 1):
            screen.keys(str(number))
            screen.sees(mark)
            check(title == subprocess.run([*screen.tmux, "display-message", "-p", "#{pane_title}"], check=True, stdout=subprocess.PIPE,
                                          text=True).stdout, f"panel {number} sets the terminal's title")
        screen.keys("6")
        screen.sees(r"\?\]0;title\?")


def peers(folder):
    """A target of a later HAKMEM says things that aren't known, one of an earlier leaves some out; one of another protocol is refused, and
    what was watched goes on."""
    for kind in ("newer", "older"):
        with Mock(folder / "run", "--hostile", kind) as mock, attached(folder, mock) as screen:
            screen.sees(r"up 0:0[2-9]", " live", "Top classes")
            screen.keys("2")
            screen.sees(r"0x7f5a00000000 slot 0: EMPTY C0 16B")
    with Mock(folder / "run") as mock, Mock(folder / "run", "--hostile", "protocol") as other, attached(folder, mock, width=120) as screen:
        screen.keys("8")
        screen.sees(rf"^ +{other.pid} .*open")
        screen.keys("/")
        screen.raw(str(other.pid))
        screen.keys("Enter", "Enter")
        screen.sees("speaks protocol 2, this hakmem-top 1", rf"mockingbird \({mock.pid}\)", " live")
        screen.keys("x")
        screen.sees("^F1Help", rf"^ +{mock.pid} .*watched")


def zoomed(folder):
    """The size changes while one looks at a SuperSlab, at a slot, at the folded map and at help."""
    with Mock(folder / "run", "--slabs", "60") as mock, attached(folder, mock) as screen:
        screen.sees(" live")
        screen.keys("2", "Down")
        for keys, mark in ((["Enter"], "SuperSlab 1 0x7f5a00200000"), (["Enter"], r"slot 0\b(.*\n)+ State "),
                           (["Escape", "Escape", "Escape"], r"^ ?(SuperSlab )?1: "), (["F1"], "this page")):
            screen.keys(*keys)
            for width, height in ((40, 10), (200, 60), (20, 5), (80, 24)):
                screen.resize(width, height)
                screen.sees(mark if width >= 40 else "mockingbird")
                equal(len(screen.rows()), height, "rows of the screen")


def typed(folder):
    """Keys that come all at once, as a paste does, do what they do one by one."""
    with Mock(folder / "run", "--slabs", "60") as mock, attached(folder, mock) as screen:
        screen.sees(" live")
        screen.raw("2jjj\r")
        screen.sees("SuperSlab 3 0x7f5a00600000")
        screen.keys("Escape")
        screen.sees("0x7f5a00600000 slot 0")
        screen.raw("/lru\r\r")
        screen.sees("SuperSlab 59 0x7f5a07600000 .*in the LRU cache")


def settings(folder):
    """A line of top.conf that isn't understood is told on the screen, by its number; the others count."""
    conf = folder / "hakmem/top.conf"
    conf.parent.mkdir()
    for text, said in (("panel = lru\ncolours = mauve\n", "line 2: colours are all, 16, 8 or none, not \"mauve\""),
                       ("panel = lru\n\x1b[31m = 7\n", r"line 2: \"\?\[31m\" is not known")):
        conf.write_text(text)
        with Mock(folder / "run") as mock, attached(folder, mock, width=140, XDG_CONFIG_HOME=folder) as screen:
            screen.sees("LRU cache", re.escape(str(conf)) + ", " + said)
            screen.keys("x")
            screen.sees("^F1Help", "LRU cache")


def interrupt(folder):
    """Ctrl-C and SIGTERM leave the terminal as it was."""
    with Mock(folder / "run") as mock:
        with attached(folder, mock) as screen:
            screen.sees(" live")
            screen.keys("C-c")
            screen.restored(0)
        (folder / "after").unlink()
        script = f"{TOP} {mock.pid} & echo $! >{folder}/pid; fg >/dev/null"
        with Screen(folder, f"set -m; {script}", HAKMEM_DIR=folder / "run") as screen:
            screen.sees(" live")
            os.kill(int((folder / "pid").read_text()), signal.SIGTERM)
            screen.restored(128 + signal.SIGTERM)


def launched(folder, options, until, status=5):
    """A mock as the command of a launch. Any library can stand in for libhakmem.so, as the mock has an endpoint of its own."""
    (folder / "run").mkdir(mode=0o700, exist_ok=True)
    return (f"{TOP} --library {stand_in()} -d 0.1 {options} -- {sys.executable} {HERE}/mock_target.py {folder}/run "
            f"--until {until} --exit {status}")


def stand_in():
    """The path of libm, which every Python has loaded or can load."""
    maps = subprocess.run([sys.executable, "-c", "import math; print(open('/proc/self/maps').read())"], text=True,
                          stdout=subprocess.PIPE, check=True).stdout
    return re.search(r"(/\S*/libm\.so\S*)", maps).group(1)


def launch(folder):
    """A command is run and watched; its output is captured, its status passed on, its last screen kept."""
    script = launched(folder, "", folder / "stop")
    with Screen(folder, script, HAKMEM_DIR=folder / "run") as screen:
        screen.sees(r"mockingbird \(\d+\)", " live", r"^ 1 Overview .* 9  0  o$")
        screen.keys("o")
        screen.sees(r"^ready \d+ ")
        (folder / "stop").touch()
        screen.sees("ENDED", "ended with status 5")
        screen.keys("1")
        screen.sees("Top classes")
        screen.keys("q")
        screen.restored(5)
        screen.sees(r"^ready \d+ ")


def launch_quit(folder):
    """Quitting the screen doesn't end the command; the signal that ends it is seen in the status. -o takes its output."""
    script = launched(folder, f"-o {folder}/out", folder / "stop")
    with Screen(folder, script, HAKMEM_DIR=folder / "run") as screen:
        text = screen.sees(r"mockingbird \(\d+\)", " live")
        check(re.search("^1Overview .* 9Changes 0Sites$", text, re.M), "an output panel although the output goes to a file")
        pid = int(re.search(r"mockingbird \((\d+)\)", text).group(1))
        screen.keys("q")
        wait(lambda: "mockingbird" not in screen.text(), "the screen to close")
        os.kill(pid, 0)
        os.kill(pid, signal.SIGUSR1)
        screen.restored(128 + signal.SIGUSR1)
        check((folder / "out").read_text().startswith(f"ready {pid} "), "the output file lacks the command's output")


def launch_interrupt(folder):
    """Ctrl-C reaches the command, as it would without us."""
    with Screen(folder, launched(folder, "", folder / "stop"), HAKMEM_DIR=folder / "run") as screen:
        screen.sees(" live")
        screen.keys("C-c")
        screen.restored("(1|130)")  # Python turns SIGINT into an exception, then ends by the signal
        screen.sees("KeyboardInterrupt")


def real(folder):
    """A real program on the real library, seen live."""
    program = ("import sys,time\nkept=[]\nwhile len(kept)<900:\n  kept.append([bytes(200+len(kept)%900) for _ in range(20)])\n"
               "  time.sleep(0.002)\nprint('all kept'); sys.exit(3)")
    (folder / "program.py").write_text(program)
    script = f"{TOP} -d 0.1 --library {LIBRARY} -- {sys.executable} {folder}/program.py"
    with Screen(folder, script, HAKMEM_DIR=folder / "run", PYTHONMALLOC="malloc") as screen:
        screen.sees(r"python3[.\d]* \(\d+\)", " live", r"Live +[\d.]+M")
        screen.keys("7")
        screen.sees(r"(stage2|depot_hit|drain) +class=\d+")
        screen.keys("2")
        screen.sees("ACTIVE C|large allocation")
        screen.sees("ended with status 3")
        screen.keys("q")
        screen.restored(3)
        screen.sees("all kept")


def chooser(folder):
    """Several processes: a list to choose from."""
    with Mock(folder / "run") as one, Mock(folder / "run") as two:
        first, second = sorted((one.pid, two.pid))
        with Screen(folder, str(TOP), HAKMEM_DIR=folder / "run") as screen:
            screen.sees("Which process", f"{first} .*mockingbird", f"{second} .*mockingbird")
            screen.keys("Down", "Enter")
            screen.sees(rf"mockingbird \({second}\)", " live")
            screen.keys("q")
            screen.restored(0)
        (folder / "after").unlink()
        with Screen(folder, str(TOP), width=40, height=10, HAKMEM_DIR=folder / "run") as screen:
            screen.sees("Which process")
            screen.keys("q")
            screen.restored(0)


def mouse(folder):
    """Clicks on tabs, column heads, rows and keys; the wheel."""
    def click(screen, x, y, button=0):
        screen.raw(f"\x1b[<{button};{x + 1};{y + 1}M\x1b[<{button};{x + 1};{y + 1}m")

    with Mock(folder / "run", "--slabs", "60") as mock, attached(folder, mock, height=24) as screen:
        screen.sees(" live")
        click(screen, 20, 1)
        screen.sees(MARKS[2])
        click(screen, 10, 2)
        screen.sees("▼ ?Size|▲ ?Size")
        click(screen, 12, 1)
        screen.sees(MARKS[1])
        click(screen, 15 + 2 * 7, 3 + 4)
        screen.sees("0x7f5a00800000 slot 7:")
        click(screen, 20, 10, button=65)
        screen.sees("0x7f5a00e00000 slot 7:")
        click(screen, 1, 23)
        screen.sees("Tab Shift-Tab +the next, the previous panel")
        click(screen, 3, 1)
        screen.sees(MARKS[0])


def dump_file(folder):
    """A dump on the screen."""
    with Mock(folder / "run") as mock:
        subprocess.run([TOP, "--dump", folder / "heap.json", mock.socket], check=True)
    with Screen(folder, f"{TOP} {folder}/heap.json") as screen:
        screen.sees("mockingbird", " dump", "Top classes")
        screen.keys("7")
        screen.sees("The dump holds no events")
        screen.keys("q")
        screen.restored(0)


CASES = {case.__name__: case for case in (
    panels, moves, pause, sort, slots, events, sites, sizes, terminals, dumb, lost, stopped, hiccup, nonsense, names, peers, zoomed, typed, settings, interrupt, launch, launch_quit, launch_interrupt,
    real, chooser, mouse, dump_file)}


def main():
    with Folder() as folder:
        CASES[sys.argv[1]](folder)


if __name__ == "__main__":
    main()
