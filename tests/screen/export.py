#!/usr/bin/python3
"""export.py CASE: events in the Trace Event Format: each has what its phase needs, and they are the events that there were."""
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys

from terminal import LIBRARY, TOP, wait
from support import Folder, check, clean_environment, equal, program, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "endpoint"))
from client import connect  # noqa: E402


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_format(events, pid):
    """What the format's description asks of every event, and of those of each phase."""
    for event in events:
        check(isinstance(event["name"], str) and is_number(event["ts"]) and event["ts"] >= 0, f"name and time of {event}")
        equal(event["pid"], pid, f"pid of {event}")
        check(isinstance(event["tid"], int) and event["tid"] > 0, f"tid of {event}")
        check(isinstance(event["args"], dict), f"arguments of {event}")
        if event["ph"] == "i":
            check(event["s"] in ("t", "p", "g") and isinstance(event["cat"], str) and event["cat"], f"the instant {event}")
        elif event["ph"] == "C":
            check(event["args"] and all(map(is_number, event["args"].values())), f"the counter {event}")
        elif event["ph"] == "M":
            check(event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str), f"the metadata {event}")
        else:
            check(False, f"a phase of its own: {event}")


def instants(events):
    """The events among them, each with what tells it from others."""
    return collections.Counter((event["ts"], event["tid"], event["cat"], json.dumps(event["args"], sort_keys=True))
                               for event in events if event["ph"] == "i")


def as_instants(events):
    return collections.Counter((event["time_us"], event["tid"], event["group"], json.dumps(event["args"], sort_keys=True)) for event in events)


def files(folder):
    """Of a dump and of a trace file: all events that it holds, and no others."""
    dump, trace, out = folder / "dump.json", folder / "churn.trace", folder / "out.json"
    run([program("churn"), 2], library=LIBRARY, env={"HAKMEM_TRACE": "all", "HAKMEM_DUMP_ON": "exit", "HAKMEM_DUMP_PATH": dump,
                                                     "HAKMEM_TRACE_FILE": trace})
    for source in (dump, trace):
        document = json.loads(run([TOP, "--json", source]).stdout)
        said = run([TOP, "--chrome-trace", out, source]).stderr
        events = json.loads(out.read_text())
        check_format(events, document["process"]["pid"])
        equal(instants(events), as_instants(document["events"]), f"events of {source.name}")
        check(len(document["events"]) > 50 and f"{len(document['events'])} events" in said, f"{said!r}")
        counter = next(event for event in events if event["ph"] == "C" and event["name"] == "heap")
        equal((counter["ts"], counter["args"]["live"]), (document["time_us"], document["memory"]["live_bytes"]), "the heap's counter")
        names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
        equal(names, {row["tid"]: row["name"] for row in document["threads"] if row["name"]}, "names of threads")
    equal(out.stat().st_mode & 0o777, 0o600, "mode of a recording")
    result = run([TOP, "--chrome-trace", folder / "none" / "x", dump], expect=1)
    check("No such file" in result.stderr and len(result.stderr.splitlines()) == 1, f"{result.stderr!r}")
    if os.path.exists("/dev/full"):
        result = run([TOP, "--chrome-trace", "/dev/full", dump], expect=1)
        check("No space left" in result.stderr and len(result.stderr.splitlines()) == 1, f"{result.stderr!r}")


class Target:
    """A program that allocates, looked into in `folder`."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([program("endpoint_target")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder))
        equal(self.process.stdout.readline(), "ready\n", "the program's first line")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def record(self, out, *options):
        out.unlink(missing_ok=True)
        return subprocess.Popen([TOP, "--chrome-trace", out, *options, str(self.process.pid)], text=True, stderr=subprocess.PIPE,
                                env=clean_environment(HAKMEM_DIR=self.folder))


def live(folder):
    """Of a process: from now on, for so many snapshots, or till a signal or the process's end; groups are off again afterwards."""
    out = folder / "out.json"
    with Target(folder / "run") as target, connect(folder / "run", target.process.pid) as client:
        recorder = target.record(out, "-n", "3", "-d", "0.2")
        wait(lambda: client.ask("mark the user's own word")["recorded"], "marks are recorded")
        equal((recorder.wait(60), recorder.stderr.read().count("\n")), (0, 1), "the recorder's end")
        events = json.loads(out.read_text())
        check_format(events, target.process.pid)
        equal(sum(event["ph"] == "C" and event["name"] == "heap" for event in events), 3, "snapshots")
        check({"acquire", "drain"} <= {event["cat"] for event in events if event["ph"] == "i"}, "events of the program's own")
        (mark,) = [event for event in events if event.get("cat") == "mark"]
        equal((mark["name"], mark["s"]), ("the user's own word", "p"), "the mark")
        wait(lambda: client.ask("snapshot")["trace"]["groups"] == [], "groups are off again")

        recorder = target.record(out, "-d", "0.05")
        wait(lambda: out.exists() and out.read_text().count('"heap"') > 2, "snapshots come")
        recorder.send_signal(signal.SIGINT)
        equal(recorder.wait(60), 0, "status after Ctrl-C")
        check_format(json.loads(out.read_text()), target.process.pid)

        # One that is killed leaves an array without its end, which the format's readers take.
        recorder = target.record(out, "-d", "0.05")
        wait(lambda: out.exists() and out.read_text().count('"heap"') > 2, "snapshots come")
        recorder.kill()
        recorder.wait(60)
        text = out.read_text()
        check_format(json.loads(text[:text.rindex("\n")] + "]"), target.process.pid)

        recorder = target.record(out, "-d", "0.05")
        wait(lambda: out.exists() and out.read_text().count('"heap"') > 2, "snapshots come")
        target.process.communicate(timeout=60)
        equal(recorder.wait(60), 0, "status when the process ends")
        check_format(json.loads(out.read_text()), target.process.pid)


CASES = (files, live)


def main():
    with Folder() as folder:
        next(case for case in CASES if case.__name__ == sys.argv[1])(folder)


main()
