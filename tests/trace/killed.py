#!/usr/bin/python3
"""Trace files, from outside: what is left of a program that ends in any way, and what hakmem-top says of it. `killed.py CASE`
runs one case; `killed.py kills TIMES [SEED]` kills the busy program as often as that."""
import json
import mmap
import os
import pathlib
import random
import resource
import signal
import stat
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
for sibling in ("endpoint", "schema"):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / sibling))
from support import BUILD, LIBRARY, Folder, check, clean_environment, equal, program, run  # noqa: E402
from client import connect  # noqa: E402
from messages import validate  # noqa: E402

THREADS = 8
LARGE = 3 << 20
KILLS = 40
TOP = BUILD / "hakmem-top"


class Busy:
    """The busy program, its trace file in `folder`, and the page that it counts in."""

    def __init__(self, folder, **variables):
        self.page_path = folder / "page"
        self.page_path.write_bytes(bytes(4096))
        with open(self.page_path, "r+b") as page:
            self.page = mmap.mmap(page.fileno(), 4096)
        environment = clean_environment(LD_PRELOAD=LIBRARY, **variables)
        self.process = subprocess.Popen([program("trace_busy"), self.page_path], env=environment,
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def word(self, number):
        return struct.unpack_from("=Q", self.page, 8 * number)[0]

    def wait_for(self, rounds):
        deadline = time.monotonic() + 60
        while self.word(0) < rounds or not all(self.word(2 * i + 9) for i in range(THREADS)):
            check(time.monotonic() < deadline and self.process.poll() is None, "the busy program goes on")

    def kill(self):
        self.process.kill()
        errors = self.process.communicate(timeout=60)[1]
        equal(self.process.returncode, -signal.SIGKILL, "how the program ended")
        equal(errors, b"", "stderr of the program")
        return {self.word(2 * i + 8): self.word(2 * i + 9) for i in range(THREADS)}


def recover(path):
    """The trace file as a document."""
    return json.loads(run([TOP, "--json", path]).stdout)


def check_map(document):
    """The slot map's sums, computed here: true of every SuperSlab that was not in motion, and of all if none was."""
    moving = set(document["recovered"]["in_motion"])
    slabs, in_use = {}, 0
    for superslab in document["superslabs"]:
        states = [slot[0] for slot in superslab["slots"]]
        in_use += not superslab["in_lru"]
        for state, class_, used, capacity, span, _ in superslab["slots"]:
            if state == "ACTIVE" and class_ is not None and span:
                slabs[class_] = slabs.get(class_, 0) + 1
            if superslab["ss"] not in moving:
                check(used <= capacity, f"{superslab['ss']}: {used} of {capacity} blocks")
        if superslab["ss"] in moving:
            continue
        equal(states.count("ACTIVE"), superslab["active_slots"], f"ACTIVE slots of {superslab['ss']}")
        check(superslab["in_lru"] != ("ACTIVE" in states), f"{superslab['ss']} is in the right place")
    check(document["recovered"]["sums_hold"], f"the sums: {document['recovered']['problems']}")
    if document["recovered"]["whole"]:
        equal(moving, set(), "SuperSlabs in motion while nothing is")
        equal(in_use, document["pool"]["superslabs"], "SuperSlabs in use")
        for row in document["classes"]:
            equal(slabs.get(row["class"], 0), row["slabs"], f"slabs of class {row['class']}")


def check_events(document, last):
    """Each thread's last large block is the one that the page tells of, or the next."""
    seen = {}
    for event in document["events"]:
        if event["name"] == "large_alloc" and LARGE < event["args"]["bytes"] < LARGE + (1 << 20):
            seen[event["tid"]] = event["args"]["bytes"] - LARGE
    for tid, number in last.items():
        check(tid in seen, f"thread {tid} has events: {sorted(seen)}")
        check(seen[tid] - number in (0, 1), f"thread {tid}: event {seen[tid]} is the last, {number} was known")


def kills(folder, times=KILLS, seed=1):
    chance = random.Random(int(seed))
    whole = 0
    for i in range(int(times)):
        path = folder / "busy.trace"
        busy = Busy(folder, HAKMEM_TRACE_FILE=path)
        try:
            busy.wait_for(THREADS + chance.randrange(600))
            # Not at a round's end: somewhere on the way to the next.
            for _ in range(chance.randrange(2000)):
                pass
            last = busy.kill()
        finally:
            busy.process.kill()
        document = recover(path)
        check(not document["recovered"]["ended"], "nothing says that it ended in good order")
        if i == 0:
            validate(document)
        check_map(document)
        check_events(document, last)
        whole += document["recovered"]["whole"]
        path.unlink()
    print(f"{times} kills: every file opened; in {int(times) - int(whole)} of them something was in motion")


def one_line(result, *words):
    """The complaint of a command: one line with these words in it."""
    lines = result.stderr.splitlines()
    equal(len(lines), 1, f"lines on stderr: {lines}")
    for word in words:
        check(word in lines[0], f"{lines[0]!r} names {word!r}")


def ends(folder):
    """A name of the user's own stays after a normal end, and says so; the runtime directory's file goes, and stays after a crash."""
    path = folder / "churn.%e.trace"
    run([program("churn"), 2], library=LIBRARY, env={"HAKMEM_TRACE_FILE": path})
    path = folder / "churn.churn.trace"
    equal(path.stat().st_mode & 0o7777, 0o600, "the file's mode")
    equal(path.stat().st_size, 16 << 20, "the file's size")
    document = recover(path)
    check(document["recovered"]["ended"] and document["recovered"]["whole"], "it ended in good order")
    check_map(document)
    check(document["events"], "there are events although HAKMEM_TRACE names no group")
    text = run([TOP, "--once", path]).stdout
    check("ended in good order" in text and "Last events of thread" in text and "adds up" in text, f"the frame: {text}")
    runtime = {"HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder / "run", "HAKMEM_TRACE_BYTES": "1M"}
    (folder / "run").mkdir(mode=0o700)
    run([program("churn"), 2], library=LIBRARY, env=runtime)
    equal(os.listdir(folder / "run"), [], "files left after a normal end")
    run([program("crash")], library=LIBRARY, env=runtime, expect=None)
    left = list((folder / "run").glob("*.trace"))
    equal(len(left), 1, "trace files after a crash")
    check(not recover(left[0])["recovered"]["ended"], "nothing says that it ended in good order")
    validate(recover(left[0]))
    validate(document)


def marks(folder):
    """The user's own words, by the endpoint, outlive the program, in every form that they are shown in."""
    words = ["where it begins", 'grün "und" \\ so', "x" * 40]
    environment = clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder / "run", HAKMEM_TRACE="mark,thread",
                                    HAKMEM_TRACE_FILE=folder / "x.trace")
    with subprocess.Popen([program("endpoint_target")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as target:
        equal(target.stdout.readline(), "ready\n", "the program's first line")
        with connect(folder / "run", target.pid) as client:
            for text in words:
                check(client.ask(f"mark {text}")["recorded"], "a mark that nobody records")
        target.kill()
    document = recover(folder / "x.trace")
    validate(document)
    equal([event["args"] for event in document["events"] if event["name"] == "mark"], [{"text": text} for text in words], "marks")
    text = run([TOP, "--once", folder / "x.trace"], env={"LC_ALL": "C.UTF-8"}).stdout
    check(all(word in text for word in words), f"the frame doesn't show the marks:\n{text}")


def children(folder):
    """A child of fork gets a file of its own, and does nothing to its parent's; one that was not asked for by %p is named after it."""
    environment = clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_TRACE_FILE=folder / "x.trace", HAKMEM_TRACE_BYTES="1M")
    with subprocess.Popen([program("endpoint_target")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment) as target:
        equal(target.stdout.readline(), "ready\n", "the program's first line")
        target.stdin.write("fork\n")
        target.stdin.flush()
        child = int(target.stdout.readline())
        path = folder / f"x.trace.{child}"
        deadline = time.monotonic() + 60
        while not path.exists() or not recover(path)["events"]:
            check(time.monotonic() < deadline, "the child's file is there and holds events")
        tids = {event["tid"] for event in recover(path)["events"]}
        check(child in tids and target.pid not in tids, f"threads in the child's file: {tids}")
        equal(recover(path)["process"]["ppid"], target.pid, "the parent in the child's file")
        document = recover(folder / "x.trace")
        check(child not in {event["tid"] for event in document["events"]}, "the child's events are not in its parent's file")
        equal(document["process"]["pid"], target.pid, "the process of the parent's file")
        target.communicate(timeout=60)
    check_map(recover(folder / "x.trace"))


def no_room(folder):
    """A file that can't be had is said once, and the program runs on."""
    churn = [program("churn"), 2]
    limit = (1 << 20, 1 << 20)
    result = run(churn, library=LIBRARY, env={"HAKMEM_TRACE_FILE": folder / "x"},
                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    one_line(result, "no trace file", str(folder / "x"), "File too large")
    equal(os.listdir(folder), [], "files left")
    one_line(run(churn, library=LIBRARY, env={"HAKMEM_TRACE_FILE": "/nonexistent/x"}), "/nonexistent/x")
    one_line(run(churn, library=LIBRARY, env={"HAKMEM_TRACE_FILE": "/dev/null"}), "/dev/null")
    check(stat.S_ISCHR(os.stat("/dev/null").st_mode), "/dev/null is still what it was")


def hostile(folder):
    """Damaged files: one line that names the file, and no harm."""
    whole = folder / "whole"
    run([program("churn"), 2], library=LIBRARY, env={"HAKMEM_TRACE_FILE": whole, "HAKMEM_TRACE_BYTES": "256K"})
    data = whole.read_bytes()
    bad = folder / "bad"
    for changed, words in ((data[:8], "ends within its header"), (data[:50], "ends within its header"), (data[:-4096], "cut off"),
                           (data[:8] + bytes(4) + data[12:], "no byte order"), (data[:12] + b"\x09" + data[13:], "version 9"),
                           (data[:24] + b"\xff" * 8 + data[32:], "outside the file"), (data[:8] + data[8:64] + bytes(len(data) - 64), "damaged")):
        bad.write_bytes(changed)
        one_line(run([TOP, "--json", bad], expect=1), str(bad), words)
        one_line(run([TOP, "--once", bad], expect=1), str(bad), words)
    bad.write_bytes(data)
    run([TOP, "--once", bad])


CASES = (kills, ends, marks, children, no_room, hostile)


def main():
    cases = {case.__name__: case for case in CASES}
    with Folder() as folder:
        cases[sys.argv[1]](pathlib.Path(folder), *sys.argv[2:])


main()
