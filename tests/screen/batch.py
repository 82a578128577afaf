#!/usr/bin/python3
"""batch.py CASE: hakmem-top without a terminal: frames, JSON, lists, dumps, commands, and what it says when something is wrong."""
import json
import os
import signal
import subprocess
import sys

from terminal import HERE, LIBRARY, TOP, Mock, wait
from screen import stand_in
from support import Folder, check, clean_environment, equal, run, skip, tool


def top(folder, *words, expect=0, **variables):
    return run([TOP, *words], expect=expect, env={"HAKMEM_DIR": folder / "run", "LC_ALL": "C.UTF-8", **variables})


def one_line(result, *said):
    """An error is one line on stderr that names the thing and what to do, and nothing on stdout."""
    equal(result.stdout, "", "standard output")
    lines = result.stderr.splitlines()
    equal(len(lines), 1, f"lines of {result.stderr!r}")
    for text in ("hakmem-top: ", *said):
        check(text in lines[0], f"{lines[0]!r} doesn't say {text!r}")


def frames(folder):
    with Mock(folder / "run") as mock:
        result = top(folder, "-b", "-n", "3", "-d", "0.05", str(mock.pid))
        shown = result.stdout.split("\n\n hakmem-top")
        equal(len(shown), 3, "frames")
        for text in ("Memory ", "Allocs ", "Frees ", "stage 1", "Slot map", "Top classes"):
            equal(result.stdout.count(text), 3, text)
        check(max(map(len, result.stdout.split("\n"))) <= 80, "a line of more than 80 columns")
        check("\x1b" not in result.stdout, "escape codes in a frame")
        check(shown[0] != shown[1] != shown[2], "the frames don't differ")
        plain = top(folder, "--once", mock.socket, LC_ALL="C").stdout
        check(plain.isascii(), "a frame in the C locale isn't ASCII")
        equal(top(folder, "--once").stdout.count("Memory "), 1, "frames without a target named")


def json_frames(folder):
    with Mock(folder / "run") as mock:
        result = top(folder, "--json", "-n", "4", "-d", "0.02", str(mock.pid))
        documents = [json.loads(line) for line in result.stdout.splitlines()]
        equal([document["type"] for document in documents], ["snapshot"] * 4, "types")
        equal([document["seq"] for document in documents], [1, 2, 3, 4], "sequence numbers")


def dumps(folder):
    dump = folder / "heap.json"
    with Mock(folder / "run") as mock:
        top(folder, "--dump", dump, str(mock.pid))
    document = json.loads(dump.read_text())
    equal(document["type"], "snapshot", "type")
    equal([path.name for path in folder.iterdir() if "part" in path.name], [], "temporary files")
    check("mockingbird" in top(folder, "-b", dump).stdout, "the dump isn't shown")
    equal(json.loads(top(folder, "--json", dump).stdout), document, "the dump as JSON")
    dump.write_text(json.dumps(document, indent=2))
    equal(len(top(folder, "--json", dump).stdout.splitlines()), 1, "lines of a dump with line breaks")
    fifo, link = folder / "fifo", folder / "link.json"
    os.mkfifo(fifo)
    link.symlink_to("heap.json")
    with Mock(folder / "run") as mock:
        top(folder, "--dump", link, str(mock.pid))
        process = subprocess.Popen([TOP, "--dump", fifo, mock.socket], env=clean_environment())
        equal(json.loads(run(["cat", fifo], timeout=30).stdout)["type"], "snapshot", "what comes through a FIFO")
        equal(process.wait(30), 0, "status with a FIFO")
    check(fifo.is_fifo() and link.is_symlink(), "--dump replaced what is no file")
    check(json.loads(dump.read_text())["process"]["pid"] == mock.pid, "the link's target isn't the dump")
    equal(dump.stat().st_mode & 0o777, 0o600, "a dump's mode")
    document = json.loads(dump.read_text())
    text = json.dumps(document)
    for length in (0, 1, 100, len(text) // 2, len(text) - 1):
        dump.write_text(text[:length])
        one_line(top(folder, dump, expect=1), str(dump))
    for bad in ("[]", "null", '{"type":"pong"}', "\0\0\0", '{"type":"snapshot"}', "[" * 100000, "not json at all"):
        dump.write_text(bad)
        one_line(top(folder, dump, expect=1), str(dump))
    dump.write_text(text)
    one_line(top(folder, "--dump", folder / "other.json", dump, expect=2), "is a dump already")


def listing(folder):
    with Mock(folder / "run") as one, Mock(folder / "run") as two:
        dead = folder / "run" / "2147483645-77.sock"
        subprocess.run([sys.executable, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(dead)!r})"], check=True)
        text = top(folder, "--list").stdout
        for pid in (one.pid, two.pid):
            check(f"{pid}  open    0.1.0      /usr/bin/mockingbird" in text, f"{pid} isn't listed in {text!r}")
        check("2147483645  dead" in text and "removed" in text, f"the dead socket isn't listed in {text!r}")
        check(not dead.exists(), "the dead socket is still there")
        # Several, and nobody to ask.
        result = top(folder, expect=2)
        equal(result.stdout, "", "standard output")
        for text in ("2 processes to choose from", "hakmem-top PID", str(one.pid), str(two.pid)):
            check(text in result.stderr, f"{result.stderr!r} doesn't say {text!r}")
    # Another test may run a program on HAKMEM at the same time, without an endpoint that is seen here.
    text = top(folder, "--list").stdout
    check(any(words in text for words in ("No HAKMEM process", "its endpoint is off", "in another directory")), f"an empty list says {text!r}")
    one_line(top(folder, expect=1), "hakmem-top -- COMMAND")


def silent(folder):
    """A process that is stopped, or whose endpoint says nothing, is named within the time-out."""
    with Mock(folder / "run", "--hostile", "silent") as mock:
        check("doesn't answer" in top(folder, "--list").stdout, "a silent target isn't explained")
        one_line(top(folder, "--once", str(mock.pid), expect=1), "doesn't answer")


def wrong(folder):
    """Bad input of every kind: one line, naming the thing and the remedy."""
    (folder / "run").mkdir(mode=0o700)
    one_line(top(folder, "2147483646", expect=1), "no process 2147483646", "--list")
    one_line(top(folder, str(os.getpid()), expect=1), "doesn't run on HAKMEM", "hakmem-top -- COMMAND")
    one_line(top(folder, folder / "none.json", expect=1), "none.json", "No such file")
    one_line(top(folder, folder, expect=1), "not a file")
    one_line(top(folder, "/dev/null", expect=1), "/dev/null")
    one_line(top(folder, "--frobnicate", expect=2), "--frobnicate")
    one_line(top(folder, "-n", "none", expect=2), "-n none")
    one_line(top(folder, "--", expect=2), "missing after --")
    one_line(top(folder, "--library", "/none.so", "--", "true", expect=1), "/none.so", "--library")
    one_line(top(folder, "-b", "--library", stand_in(), "--", "no-such-command", expect=127), "no-such-command")
    one_line(top(folder, "-b", "--library", stand_in(), "--", "/", expect=126), "/: ")
    one_line(top(folder, "-b", "--library", stand_in(), "-o", "/none/out", "--", "true", expect=1), "/none/out")
    if os.access("/dev/full", os.W_OK):
        with Mock(folder / "run") as mock:
            top(folder, "--dump", folder / "good.json", mock.socket)
            for words in (("--once", mock.socket), ("-b", folder / "good.json"), ("--json", folder / "good.json"), ("--list",),
                          ("--help-env",), ("--help-env=md",), ("--help",), ("--version",)):
                for to in (">/dev/full", ">&-"):
                    one_line(run(["sh", "-c", f'"$0" "$@" {to}', TOP, *words], expect=1, env={"HAKMEM_DIR": folder / "run"}),
                             "standard output")


def hostile(folder):
    """Targets that send nonsense: refused with the field's name, or shown without harm."""
    cases = {"type": "memory.live_bytes", "negative": "stages.stage1", "slots": "31 slots", "class": "slot 0", "garbage": "not JSON",
             "protocol": "protocol 2", "web": "not a HAKMEM endpoint"}
    for kind, said in cases.items():
        with Mock(folder / "run", "--hostile", kind) as mock:
            one_line(top(folder, "--once", str(mock.pid), expect=1), said)
    with Mock(folder / "run", "--hostile", "escape") as mock:
        for locale in ("C", "C.UTF-8"):
            text = top(folder, "--once", str(mock.pid), LC_ALL=locale).stdout
            check(not any(ord(letter) < 32 and letter != "\n" for letter in text), "control characters in a frame")
            check("?[31mred" in text, "the name isn't shown")
        # A serializer that leaves control characters as they are: what the parser takes, --json must not pass on.
        document = top(folder, "--once", "--json", str(mock.pid)).stdout
        (folder / "raw.json").write_text(document.replace("\\u001b", "\x1b").replace("\\u0007", "\x9b"))
        for words in (("--json",), ("-b",)):
            text = top(folder, *words, folder / "raw.json").stdout
            check(not any(ord(letter) < 32 and letter != "\n" or 127 <= ord(letter) < 160 for letter in text),
                  f"control characters in what {words[0]} prints")
        equal(json.loads(top(folder, "--json", folder / "raw.json").stdout)["process"]["exe"][:9], "/bin/\x1b[31", "the name in JSON")


def launched(folder, script, *words, expect, library=None):
    return top(folder, "-b", "-d", "0.1", *words, "--library", library or stand_in(), "--", "sh", "-c", script, expect=expect)


def launch(folder):
    """Statuses and signals of a command are passed on; its streams are its own; frames come while it runs."""
    for status in (0, 1, 42, 255):
        launched(folder, f"exit {status}", expect=status)
    launched(folder, "kill -SEGV $$", expect=128 + signal.SIGSEGV)
    result = launched(folder, "cat; echo problem >&2", expect=0)
    check("problem" in result.stderr, "the command's stderr is lost")
    result = launched(folder, "echo out; echo err >&2", "-o", folder / "out", expect=0)
    equal((folder / "out").read_text(), "out\nerr\n", "the output file")
    check("out" not in result.stdout.split(), "output in spite of -o")
    (folder / "run").mkdir(mode=0o700)
    dead = folder / "run" / "2147483645-77.sock"
    launched(folder, f"{sys.executable} -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"{dead}\")'; test -S {dead}", expect=0)
    check(not dead.exists(), "the socket of a dead child is left")
    mock = f"exec {sys.executable} {HERE}/mock_target.py {folder}/run --exit 9 --until {folder}/stop"
    process = subprocess.Popen([TOP, "-b", "-d", "0.05", "--library", stand_in(), "--", "sh", "-c", mock], text=True,
                               stdout=subprocess.PIPE, env=clean_environment(HAKMEM_DIR=folder / "run", LC_ALL="C.UTF-8"))
    count = 0
    for line in process.stdout:
        count += line.startswith("Memory ")
        if count == 3:
            (folder / "stop").touch()
    equal(process.wait(30), 9, "status after frames")
    check(count >= 3, f"only {count} frames")


def streams(folder):
    """The reader of the frames goes away, or a standard stream isn't there: the command is watched to its end all the same."""
    (folder / "run").mkdir(mode=0o700)
    for words in ((), ("--json",)):
        stop = folder / f"stop{len(words)}"
        mock = f"exec {sys.executable} {HERE}/mock_target.py {folder}/run --exit 9 --until {stop}"
        process = subprocess.Popen([TOP, "-b", "-d", "0.02", *words, "--library", stand_in(), "-o", folder / "out", "--",
                                    "sh", "-c", mock], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=clean_environment(HAKMEM_DIR=folder / "run"))
        process.stdout.readline()
        process.stdout.close()
        # The next frame meets a broken pipe.
        wait(lambda: sigpipe_pending(process.pid), "a frame that nobody reads")
        equal(process.poll(), None, "status before the command's end")
        stop.touch()
        equal(process.wait(30), 9, "status without a reader")
        equal(process.stderr.read(), b"", "standard error")
    # The command's SIGPIPE is what it would be without us.
    launched(folder, "grep -q 'SigBlk:[[:space:]]*0*$' /proc/self/status && sh -c 'kill -PIPE $$'", expect=128 + signal.SIGPIPE)
    for closed in ("0", "1", "2", "0<&- 1>&- 2", "0<&- 1"):
        result = run(["sh", "-c", f'"$0" -b -d 0.1 --library "$1" -- sh -c "exit 7" {closed}>&-', TOP, stand_in()], expect=7)
        check("\0" not in result.stdout, "bytes of something else on standard output")


def sigpipe_pending(pid):
    status = open(f"/proc/{pid}/status", encoding="ascii").read()
    pending = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))]
    return any(mask & 1 << signal.SIGPIPE - 1 for mask in pending)


def signals(folder):
    """A signal for hakmem-top goes on to the command, whose end decides."""
    script = f"trap 'echo got it >{folder}/got; exit 7' TERM; touch {folder}/up; while :; do sleep 0.02; done"
    process = subprocess.Popen([TOP, "-b", "--library", stand_in(), "--", "sh", "-c", script], env=clean_environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait((folder / "up").exists, "the command")
    process.send_signal(signal.SIGTERM)
    equal(process.wait(30), 7, "status")
    equal((folder / "got").read_text(), "got it\n", "what the command says")
    process = subprocess.Popen([TOP, "-b", "--library", stand_in(), "--", "sleep", "1000"], env=clean_environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait(lambda: os.path.exists(f"/proc/{process.pid}/task/{process.pid}/children") and
         open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii").read().strip(), "the command")
    process.send_signal(signal.SIGHUP)
    equal(process.wait(30), 128 + signal.SIGHUP, "status after SIGHUP")


def preloaded(folder):
    """hakmem-top itself doesn't run on HAKMEM, and the command gets the library once."""
    check(LIBRARY.exists(), f"{LIBRARY} isn't built")
    (folder / "run").mkdir(mode=0o700)
    script = "grep -c libhakmem /proc/$PPID/maps; echo $LD_PRELOAD"
    result = top(folder, "-b", "-d", "60", "--library", LIBRARY, "--", "sh", "-c", script, LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1)
    equal(result.stdout, f"0\n{LIBRARY}\n", "what the command sees")
    equal(list((folder / "run").glob("*.sock")), [], "sockets that are left")
    check(str(TOP) not in top(folder, "--list", LD_PRELOAD=LIBRARY).stdout, "hakmem-top lists itself")


def unanswered(folder):
    """A command in which HAKMEM never answers is told from one that was too short for a frame."""
    check("HAKMEM never answered" in launched(folder, "exit 3", expect=3).stderr, "the missing endpoint isn't explained")
    (folder / "run").mkdir(mode=0o700)
    mock = f"exec {sys.executable} {HERE}/mock_target.py {folder}/run --exit 4 --until {folder}/stop --greeted {folder}/greeted"
    process = subprocess.Popen([TOP, "-b", "-d", "3600", "--library", stand_in(), "--", "sh", "-c", mock], text=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_environment(HAKMEM_DIR=folder / "run"))
    wait((folder / "greeted").exists, "the greeting")
    (folder / "stop").touch()
    said = process.communicate(timeout=30)[1]
    check("a shorter -d" in said, f"{said!r} doesn't say that it was too short")
    equal(process.returncode, 4, "status")


def namespaces(folder):
    """A target that sees other files under the same path isn't asked to write the dump there."""
    unshare = [tool("unshare"), *(() if os.geteuid() == 0 else ("-r",)), "-m"]
    hidden = folder / "hidden"
    hidden.mkdir()
    if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", hidden], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        skip("no mount namespaces are to be had here")
    script = ('mount -t tmpfs none "$1" && LD_PRELOAD=$2 HAKMEM_INTROSPECT=1 HAKMEM_DIR=$3 '
              'exec "$4" -c "import sys; print(flush=True); sys.stdin.read()"')
    (folder / "run").mkdir(mode=0o700)
    process = subprocess.Popen([*unshare, "sh", "-c", script, "sh", hidden, LIBRARY, folder / "run", sys.executable],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
    process.stdout.readline()
    wait(lambda: any((folder / "run").iterdir()), "the endpoint")
    top(folder, "--dump", hidden / "heap.json", str(process.pid))
    equal(json.loads((hidden / "heap.json").read_text())["type"], "snapshot", "what is written")
    equal(os.listdir(f"/proc/{process.pid}/root/{hidden}"), [], "files that only the target sees")
    process.communicate()


def real(folder):
    """A real program on the real library: frames in which allocations move, and after exec the new program is watched."""
    check(LIBRARY.exists(), f"{LIBRARY} isn't built")
    churn = ("import time\nkept = []\nend = time.monotonic() + 3\nwhile time.monotonic() < end:\n"
             "  kept.append([bytes(16 + len(kept) % 900) for _ in range(40)])\n  time.sleep(0.002)\n")
    (folder / "churn.py").write_text(churn)
    result = launched(folder, f"exec {sys.executable} {folder}/churn.py", "--json", "-n", "8", expect=0, library=LIBRARY)
    frames_seen = [json.loads(line) for line in result.stdout.splitlines()]
    equal(len(frames_seen), 8, "frames")
    allocs = [sum(row["allocs"] for row in frame["classes"]) for frame in frames_seen]
    check(allocs[-1] > allocs[0], f"allocations don't move: {allocs}")
    check("python" in frames_seen[-1]["process"]["exe"], "after exec the old program is shown")
    process = subprocess.Popen([sys.executable, folder / "churn.py"],
                               env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder / "run"))
    wait(lambda: f"{process.pid}  open" in top(folder, "--list").stdout, "the process in the list")
    check("Top classes" in top(folder, "--once", str(process.pid)).stdout, "no frame of an attached process")
    for words, kind in (((), "dump"), ((), "dump"), (("--readonly",), "snapshot")):
        top(folder, "--dump", folder / "a heap.json", *words, str(process.pid))
        equal(json.loads((folder / "a heap.json").read_text())["type"], kind, "what --dump writes")
        check("Top classes" in top(folder, folder / "a heap.json").stdout, "the dump isn't shown")
    process.kill()
    process.wait()
    process = subprocess.Popen([sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=clean_environment(LD_PRELOAD=LIBRARY))
    process.stdout.readline()
    one_line(top(folder, str(process.pid), expect=1), "its endpoint is off", "HAKMEM_INTROSPECT=1")
    check("its endpoint is off" in top(folder, "--list").stdout, "a process without endpoint isn't listed")
    process.communicate()


CASES = {case.__name__: case for case in (
    frames, json_frames, dumps, listing, silent, wrong, hostile, launch, streams, signals, preloaded, unanswered, namespaces,
    real)}


def main():
    with Folder() as folder:
        CASES[sys.argv[1]](folder)


if __name__ == "__main__":
    main()
