#!/usr/bin/python3
"""Where profiles come from: a process, a recording of it, an answer that was kept, a dump. Usage: sources.py CASE."""
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "screen"))
from terminal import TOP, Mock
from support import Folder, check, equal, run

import mock_target


def live_bytes(*words, **variables):
    """What the report says is live."""
    text = run([TOP, "--report=sites", "--json", *words], env=variables).stdout
    return json.loads(text)["total"]["live_bytes"]


def live(folder):
    with Mock(folder / "run") as mock:
        equal(live_bytes(str(mock.pid), HAKMEM_DIR=folder / "run"), 621920, "the live bytes of a process")
        # Asked for by hand, and kept.
        path = next((folder / "run").glob("*.sock"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            stream = client.makefile("rw")
            stream.readline()
            stream.write("profile\n")
            stream.flush()
            (folder / "kept.json").write_text(stream.readline())
        equal(live_bytes(folder / "kept.json"), 621920, "the live bytes of an answer")


def recording(folder):
    file = folder / "r.hrec"
    with Mock(folder / "run") as mock:
        run([TOP, "-b", "-n", "5", "-d", "0.05", "--record", file, str(mock.pid)], env={"HAKMEM_DIR": folder / "run"})
    equal(live_bytes(file), 621920, "the live bytes of a recording")
    equal(live_bytes(f"{file}@end"), 621920, "the live bytes of its last moment")
    run([TOP, "--flamegraph", folder / "r.svg", file])
    check("mockingbird: live bytes by call stack" in (folder / "r.svg").read_text(), "the picture of a recording")


def dump(folder):
    """Two dumps, which are compared as well."""
    profile, document = mock_target.profile(), mock_target.snapshot(1, 3)
    document.update(type="dump", reason="exit", events=[], modules=profile.pop("modules"), profile=profile)
    (folder / "a.json").write_text(json.dumps(document))
    equal(live_bytes(folder / "a.json"), 621920, "the live bytes of a dump")
    check("at the program's end" in run([TOP, "--report=leaks", folder / "a.json"]).stdout, "a dump at exit")
    profile["live"][1][6] = 7
    (folder / "b.json").write_text(json.dumps(document))
    text = run([TOP, "--diff", folder / "a.json", folder / "b.json"]).stdout
    check("(without the youngest tenth): 1 changed\n  +781K" in text and "libsong.so+0x200\n" in text, f"the call site that grew:\n{text}")
    diff = json.loads(run([TOP, "--json", "--diff", folder / "a.json", folder / "b.json"]).stdout)
    equal([site["live_bytes"]["growth"] for site in diff["sites"]], [800000], "the growth in JSON")


def refused(folder):
    """What holds no profile says what it would take."""
    document = mock_target.snapshot(1, 3)
    (folder / "none.json").write_text(json.dumps(document))
    equal(run([TOP, "--report=sites", folder / "none.json"], expect=1).stderr,
          f"hakmem-top: {folder}/none.json: it holds no profile: HAKMEM_PROF=1 starts it with the program, "
          "the request set prof_rate=524288 while it runs\n", "what is said of a snapshot")
    profile = mock_target.profile() | {"state": "off", "samples": 0}
    (folder / "off.json").write_text(json.dumps(profile))
    check("its profiler is off" in run([TOP, "--pprof", folder / "x", folder / "off.json"], expect=1).stderr, "a profiler that is off")
    check(not (folder / "x").exists(), "a file was written all the same")
    (folder / "cut.json").write_text(json.dumps(mock_target.profile())[:-5])
    check("not JSON, or cut off" in run([TOP, "--report=pinned", folder / "cut.json"], expect=1).stderr, "a file that is cut off")


CASES = {function.__name__: function for function in (live, recording, dump, refused)}

with Folder() as place:
    CASES[sys.argv[1]](place)
