#!/usr/bin/python3
"""history.py CASE: what hakmem-top does with time and files: differences, recordings, pages."""
import copy
import html.parser
import json
import re
import struct
import subprocess
import sys
import time
import xml.dom.minidom
import zlib

import jsonschema

from batch import one_line, top
from mock_target import snapshot as mock_snapshot
from terminal import LIBRARY, TOP, Mock, Screen, wait
from support import SOURCE, Folder, check, clean_environment, equal, run, tool


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


def recorded(folder, *words, slabs="4", frames="12", path=None):
    """A recording of a mock's `frames` moments."""
    path = path or folder / "r.hrec"
    with Mock(folder / "run", "--slabs", slabs) as mock:
        result = top(folder, "--json", "-n", frames, "-d", "0.02", "--record", path, *words, str(mock.pid))
    return path, [json.loads(line) for line in result.stdout.splitlines()]


def same(document, frame):
    """A moment of a recording says what the target's message said."""
    for name in ("seq", "time_us", "uptime_us", "memory", "stages", "pool", "lru", "drain", "syscalls", "threads", "trace"):
        got = document[name]
        if isinstance(frame[name], dict):
            got = {key: got[key] for key in frame[name]}
        equal(got, frame[name], f"{name} of moment {frame['seq']}")
    equal([row["live_blocks"] for row in document["classes"]], [row["live_blocks"] for row in frame["classes"]], "classes")
    for got, sent in zip(document["superslabs"], frame["superslabs"], strict=True):
        equal((got["ss"], got["index"], got["in_lru"]), (sent["ss"], sent["index"], sent["in_lru"]), "a SuperSlab")
        for a, b in zip(got["slots"], sent["slots"], strict=True):
            check(a[:5] == b[:5] and abs(a[5] - b[5]) <= 2, f"a slot is {a}, not {b}")


def record(folder):
    """What is recorded comes back as it was: as JSON, as text, each moment by its name; and is compared."""
    path, frames = recorded(folder)
    moments = [json.loads(line) for line in top(folder, "--json", path).stdout.splitlines()]
    equal(len(moments), len(frames), "moments")
    for moment, frame in zip(moments, frames):
        same(moment, frame)
    text = top(folder, "-b", "--replay", path).stdout
    equal(text.count("Memory "), len(frames), "text frames")
    check("0:11 of 0:11" in text and "\x1b" not in text, "the frames don't say which moment they show")
    equal(top(folder, "-b", "-n", "3", path).stdout.count("Memory "), 3, "frames with -n 3")
    for name, number in (("start", 0), ("end", -1), ("3", 3), ("4.9", 4)):
        equal([json.loads(line)["seq"] for line in top(folder, "--json", f"{path}@{name}").stdout.splitlines()],
              [frames[number]["seq"]], f"@{name}")
    document = json.loads(top(folder, "--json", "--diff", f"{path}@start", path).stdout)
    equal(document["memory"]["live_bytes"]["growth"], frames[-1]["memory"]["live_bytes"] - frames[0]["memory"]["live_bytes"],
          "the difference of two moments")
    equal(document["seconds"], 11.0, "seconds between them")
    one_line(top(folder, "--json", f"{path}@mark", expect=1), str(path), "@mark")
    one_line(top(folder, "--json", f"{path}@later", expect=1), "seconds from the start")
    one_line(top(folder, "--dump", folder / "x", path, expect=2), "is a recording")
    # At a speed, each comes at its time: eleven seconds at 50 times the speed take 0.2 at least.
    began = time.monotonic()
    top(folder, "-b", "--speed", "50", path)
    check(time.monotonic() - began >= 0.2, "--speed 50 is too fast")


def record_schema(folder):
    """A real program's recorded moments are valid messages of the protocol."""
    validator = jsonschema.Draft202012Validator(json.loads((SOURCE / "introspect/schema.json").read_text()))
    program = "import time\nkept = []\nfor i in range(60):\n  kept.append([bytes(700)] * 1)\n  kept.append(list(range(3000)))\n  time.sleep(0.02)"
    top(folder, "-b", "-d", "0.1", "--record", folder / "real.hrec", "--library", LIBRARY, "--", sys.executable, "-c", program,
        PYTHONMALLOC="malloc")
    moments = [json.loads(line) for line in top(folder, "--json", folder / "real.hrec").stdout.splitlines()]
    check(len(moments) >= 3, f"only {len(moments)} moments")
    for moment in moments:
        error = next(validator.iter_errors(moment), None)
        check(error is None, f"not valid: {error and error.message[:200]}")
    check("ended with status 0" in top(folder, "-b", folder / "real.hrec").stdout, "the program's end isn't told")


def record_killed(folder):
    """A viewer that is killed leaves a recording that is read up to its last whole moment, wherever it is cut."""
    path = folder / "k.hrec"
    with Mock(folder / "run") as mock:
        process = subprocess.Popen([TOP, "--json", "-d", "0.01", "--record", path, str(mock.pid)], stdout=subprocess.PIPE,
                                   env=clean_environment(HAKMEM_DIR=folder / "run"))
        for _ in range(30):
            process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
    whole = path.read_bytes()
    count = top(folder, "--json", path).stdout.count("\n")
    check(count >= 29, f"only {count} of 30 moments are left")
    for cut in (1, 100, len(whole) // 3):
        path.write_bytes(whole[:-cut])
        result = top(folder, "--json", path)
        check(0 < result.stdout.count("\n") <= count, "moments of a recording that is cut")
        check("ends in the middle" in result.stderr, f"{result.stderr!r} doesn't say that it is cut")


def record_bad(folder):
    """Bad recordings and bad uses of --record: one line that names the thing, nothing raw, no harm."""
    path, _ = recorded(folder)
    good = path.read_bytes()
    bad = folder / "bad.hrec"
    # An empty file is what a dump that was never written looks like; the first bytes tell a recording from a dump.
    for length in (0, 1, 7, 8, 31, 32, 60, 200):
        bad.write_bytes(good[:length])
        one_line(top(folder, "-b", bad, expect=1), str(bad))
    bad.write_bytes(good[:8] + struct.pack("<II", 2, 0) + good[16:28] + struct.pack("<I", zlib.crc32(good[:8] + struct.pack("<II", 2, 0) + good[16:28])) + good[32:])
    one_line(top(folder, "-b", bad, expect=1), "version 2", "reads version 1")
    bad.write_text("{}")
    one_line(top(folder, "--replay", bad, expect=1), "no recording", "--record")
    one_line(top(folder, "--replay", folder / "none", expect=1), "none", "No such file")
    # What unpacks to gigabytes is refused by its head, and a head that lies by its bytes.
    for raw, stored in ((1 << 31, zlib.compress(bytes(1 << 20))), (1000, zlib.compress(bytes(30 << 20))), (32 << 20, zlib.compress(bytes(32 << 20)))):
        head = struct.pack("<IB3xQIII", 0x4b4d4148, ord("W"), 1, len(stored), raw, zlib.crc32(stored))
        layout = good[32:64 + struct.unpack("<I", good[48:52])[0]]
        bad.write_bytes(good[:32] + layout + head + struct.pack("<I", zlib.crc32(head)) + stored)
        result = run(["sh", "-c", f'ulimit -v 400000; exec "$0" -b "$1"', TOP, bad], expect=1, env={"LC_ALL": "C.UTF-8"})
        one_line(result, str(bad))
    one_line(top(folder, "--record", folder / "r", "--replay", path, expect=2), "--record")
    one_line(top(folder, "--record", folder / "r", path, expect=2), "--record")
    for speed in ("0", "-1", "x", "nan", "1e9"):
        one_line(top(folder, "-b", "--speed", speed, path, expect=2), "--speed")
    letter = folder / "letter.txt"
    letter.write_text("Dear all, this is no recording.")
    with Mock(folder / "run") as mock:
        one_line(top(folder, "--once", "--record", letter, str(mock.pid), expect=1), "letter.txt", "is no recording")
        one_line(top(folder, "--once", "--record", "/none/r", str(mock.pid), expect=1), "/none/r")
    equal(letter.read_text(), "Dear all, this is no recording.", "the letter")
    # Names with escape sequences: none of them reaches the terminal.
    with Mock(folder / "run", "--hostile", "escape") as mock:
        top(folder, "--once", "--record", path, str(mock.pid))
    for words in (("-b",), ("--json",)):
        text = top(folder, *words, path).stdout
        check(not any(ord(letter) < 32 and letter != "\n" or 127 <= ord(letter) < 160 for letter in text), f"control characters with {words}")


def record_rotates(folder):
    """Two files at most, within their limit; read as one."""
    path, frames = recorded(folder, "--record-max", "64K", slabs="60", frames="60")
    old = folder / "r.hrec.1"
    check(path.stat().st_size <= 65536 and 0 < old.stat().st_size <= 65536, "the files are too large")
    equal(sorted(name.name for name in folder.iterdir() if "hrec" in name.name), ["r.hrec", "r.hrec.1"], "files")
    seqs = [json.loads(line)["seq"] for line in top(folder, "--json", path).stdout.splitlines()]
    equal(seqs, list(range(frames[-1]["seq"] - len(seqs) + 1, frames[-1]["seq"] + 1)), "moments of both files")
    alone = [json.loads(line)["seq"] for line in top(folder, "--json", old).stdout.splitlines()]
    check(alone and seqs[:len(alone)] == alone, "the older file alone")


def scrub(folder):
    """On the screen: back, further, to the beginning and to now; a mark, and what changed since."""
    with Mock(folder / "run") as mock, Screen(folder, f"{TOP} -d 0.1 --record {folder}/s.hrec {mock.pid}", width=100, HAKMEM_DIR=folder / "run") as screen:
        screen.sees(r"up 0:1\d", " live")
        screen.keys("Left")
        frozen = screen.sees(r"\ds ago", r"End.?Now", " live").split("\n")[2:-1]
        first = re.search(r"([\d.]+)s ago", screen.sees("s ago")).group(1)
        wait(lambda: re.search(r"([\d.]+)s ago", screen.text()).group(1) != first, "the banner's time")
        equal(screen.text().split("\n")[2:-1], frozen, "an earlier moment")
        screen.keys("{")
        wait(lambda: screen.text().split("\n")[2:-1] != frozen, "a moment before that")
        screen.keys("B", "m", "End")
        wait(lambda: "ago" not in screen.text(), "now")
        screen.keys("d")
        screen.sees("since the mark, ", "earlier +before +after +growth", r"^Memory ", r"live +\S+[KMG] +\S+[KMG] +[+-]\S+")
        screen.keys("]", "[", "[")
        screen.sees("ago")
        # New moments come while one walks, so it isn't said how many steps it takes.
        wait(lambda: screen.keys("]", "]", "]", "]") or "ago" not in screen.text(), "now, by steps")
        screen.keys("2", "Space", "Left", "[")
        screen.sees("ago")
        screen.keys("Space")
        wait(lambda: "ago" not in screen.text() and "PAUSED" not in screen.text(), "now, by Space")
        screen.keys("q")
        screen.restored(0)
    with Screen(folder, f"{TOP} --speed 2 {folder}/s.hrec", width=100) as screen:
        screen.sees(r"0:\d\d of \d:\d\d", "2x", " replay")
        screen.keys("+", "+", "-")
        screen.sees("4x")
        screen.keys("Space")
        still = screen.sees("PAUSED", "Go on")
        screen.keys("Right")
        wait(lambda: screen.text() != still, "the next moment")
        screen.keys("End")
        end = re.search(r"(\d:\d\d) of (\d:\d\d)", screen.sees(r"(\d:\d\d) of \1"))
        screen.keys("Left")
        wait(lambda: re.search(r"(\d:\d\d) of", screen.text()).group(1) != end.group(1), "the moment before the last")
        screen.keys("B")
        screen.sees("0:00 of", "PAUSED")
        screen.keys("7")
        screen.sees(r"^ 3 events")
        screen.keys("Right")
        screen.sees(r"^ 6 events")
        screen.keys("Space")
        screen.sees(r"^ [1-9]\d events")
        screen.keys("q")
        screen.restored(0)
    # The mark that was set on an earlier moment isn't one of the recording; one set now is.
    one_line(top(folder, "--json", f"{folder}/s.hrec@mark", expect=1), "0 such marks")


def scrub_after_the_end(folder):
    """A target that has ended can be looked back on; a mark in a recording names its moment."""
    with Mock(folder / "run") as mock, Screen(folder, f"{TOP} -d 0.1 --record {folder}/s.hrec {mock.pid}", HAKMEM_DIR=folder / "run") as screen:
        screen.sees(r"up 0:0[5-9]")
        screen.keys("m")
        screen.sees(r"up 0:1\d")
        mock.stop()
        screen.sees("ENDED")
        screen.keys("Left", "Left")
        screen.sees("s ago", "ENDED")
        screen.keys("End")
        wait(lambda: "ago" not in screen.text(), "the end")
        screen.sees("ENDED")
        screen.keys("q")
        screen.restored(0)
    marked = json.loads(top(folder, "--json", f"{folder}/s.hrec@mark").stdout)
    check(5 <= marked["seq"] <= 12, f"the mark is at {marked['seq']}")


class Page(html.parser.HTMLParser):
    """A page's tags and its text; what it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.fetched = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.words.append(data)

    def text(self):
        return " ".join(self.words)


def page_of(folder, *words):
    """The page of a dump or a recording: well-formed as XML and as HTML, and needing nothing else."""
    top(folder, "--html", folder / "page.html", *words)
    text = (folder / "page.html").read_text()
    xml.dom.minidom.parseString(text)
    page = Page(text)
    equal(page.fetched, [], "what the page would fetch")
    check("url(" not in text and "@import" not in text and "script" not in page.tags, "the page needs more than itself")
    check("default-src 'none'" in text, "nothing keeps the page from fetching")
    return page


def pages(folder):
    """--html of a dump, a recording, a moment and a process says what is in it; names are escaped."""
    path, frames = recorded(folder)
    page = page_of(folder, path)
    for words in ("mockingbird", "Over time", "Memory:", "Rates:", "Where slabs came from", "Slot map: 4 SuperSlabs", "0x7f5a00000000",
                  "Classes", "C27", "händler", "moment 0:11/0:11"):
        check(words in page.text(), f"the page doesn't say {words!r}")
    equal(page.tags.count("path"), 5 + 2 * 5, "lines of the charts: three and two, and five of each grid")
    live = frames[-1]["memory"]["live_bytes"]
    check(f"live {live / 1024 ** 2:.0f}M" in page.text(), "the live bytes aren't those of the end")
    moment = page_of(folder, f"{path}@start")
    check("moment 0:00/0:11" in moment.text(), "the page isn't of the moment")
    document = mock_snapshot(3, 600)
    document["process"]["exe"] = "/bin/<script>alert(1)</script>\"'&\u001b[1m"
    document["process"]["cmdline"] = "<img src=x onerror=alert(1)>\u0000\u009b]"
    document["threads"][0]["name"] = "</table><h1>"
    page = page_of(folder, written(folder, "evil.json", document))
    check("Over time" not in page.tags and "h1" in page.tags, "a dump has no trend")
    equal((page.tags.count("h1"), page.tags.count("img")), (1, 0), "tags out of names")
    check("<img src=x onerror=alert(1)>" in page.text() and "</table><h1>" in page.text(), "names aren't shown")
    check("and 88 more" in page.text(), "the slot map isn't bounded, or doesn't say so")
    with Mock(folder / "run") as mock:
        check(f"({mock.pid})" in page_of(folder, str(mock.pid)).text(), "the page of a process")
    one_line(top(folder, "--html", folder / "x", expect=2), "--html PAGE")
    one_line(top(folder, "--html", folder / "x", folder / "none", expect=1), "none")
    one_line(top(folder, "--html", "/none/x", path, expect=1), "/none/x")


def page_in_a_browser(folder):
    """Headless chromium draws the page: the parts have a size and a place, and the console stays empty."""
    chromium = tool("chromium")
    path, _ = recorded(folder)
    for name, words in (("recording", (path,)), ("dump", (written(folder, "d.json", mock_snapshot(3, 40)),))):
        page_of(folder, *words)
        result = run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                      "--disable-component-update", "--disable-sync", "--no-first-run", f"--user-data-dir={folder}/chromium-{name}",
                      "--window-size=1000,3000", f"--screenshot={folder}/{name}.png", f"file://{folder}/page.html"], expect=None)
        picture = folder / f"{name}.png"
        check(picture.exists(), f"no picture of the {name}'s page: {result.stderr[-500:]}")
        data = picture.read_bytes()
        equal(struct.unpack(">II", data[16:24]), (1000, 3000), "the picture's size")
        check(len(colours(data)) > 12, f"the picture of the {name}'s page shows {len(colours(data))} colours")


def colours(png):
    """The colours of a picture, 8 bits a channel, not interlaced, as chromium writes them."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    equal((depth, kind in (2, 6)), (8, True), "the picture's form")
    size, data, at = 4 if kind == 6 else 3, b"", 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at:at + 8])
        data += png[at + 8:at + 8 + length] if name == b"IDAT" else b""
        at += 12 + length
    raw, before, found = zlib.decompress(data), bytes(width * size), set()
    for row in range(height):
        start = row * (width * size + 1)
        line = bytearray(raw[start + 1:start + 1 + width * size])
        unfilter(raw[start], line, before, size)
        before = bytes(line)
        if row % 5 == 0:
            found.update(before[x:x + 3] for x in range(0, len(before), 5 * size))
    return found


def unfilter(kind, line, before, size):
    for i in range(len(line)):
        left = line[i - size] if i >= size else 0
        corner = before[i - size] if i >= size else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 2:
            line[i] = (line[i] + before[i]) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + before[i]) // 2) & 255
        elif kind == 4:
            nearest = min((left, before[i], corner), key=lambda value: abs(left + before[i] - corner - value))
            line[i] = (line[i] + nearest) & 255


CASES = {case.__name__: case for case in (
    diff, record, record_schema, record_killed, record_bad, record_rotates, scrub, scrub_after_the_end,
    pages, page_in_a_browser)}


def main():
    with Folder() as folder:
        CASES[sys.argv[1]](folder)


if __name__ == "__main__":
    main()
