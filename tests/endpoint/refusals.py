#!/usr/bin/python3
"""refusals.py CASE: what the endpoint's thread does when clients, the system or the disk refuse: it waits without spinning, goes on
afterwards, and leaves nothing half done."""
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import LIBRARY, Folder, check, equal, program, run, skip, tool  # noqa: E402
from client import Client, connect, eventually, socket_path  # noqa: E402
from robustness import END_STATUS, Target  # noqa: E402

LOOK = 1.5  # seconds in which the thread's processor time is looked at


def check_rest(target, what):
    """The endpoint's thread takes next to no processor time."""
    used = target.cpu_ticks()
    time.sleep(LOOK)
    used = target.cpu_ticks() - used
    check(used <= 0.2 * LOOK * os.sysconf("SC_CLK_TCK"), f"the endpoint's thread spins {what}: {used} ticks in {LOOK} s")


def closing_client(folder):
    """A subscriber whose connection is to end, and who doesn't take what was sent before, is waited for without spinning."""
    with Target(folder) as target, target.connect() as watcher:
        client = target.connect()
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send("subscribe what=snapshot,events interval_ms=10 full=1")
        eventually(lambda: watcher.ask("stats")["endpoint"]["dropped_snapshots"] > 3, "it takes nothing")
        client.socket.sendall(b"x" * 5000)
        target.rest()
        eventually(lambda: watcher.ask("stats")["endpoint"]["errors"] == 1, "its line is too long")
        check_rest(target, "for a client that it closes")
        equal(watcher.ask("ping")["type"], "pong", "another client's answer")
        eventually(lambda: watcher.ask("stats")["endpoint"]["clients"] == 1, "it is thrown out")
        client.close()


def accept_refused(folder):
    """A filter that refuses accept4 lets nobody in; who waits at the door costs nothing, and who is in is served."""
    with Target(folder) as target, target.connect() as client:
        path = socket_path(folder, target.pid)
        if target.order("refuse accept") != "refused":
            skip("no filter of system calls is to be had here")
        target.rest()
        waiting = [Client(path, greeting=False) for _ in range(3)]
        check_rest(target, "while it may not accept")
        equal(client.ask("ping")["type"], "pong", "the answer to a connection from before")
        for one in waiting:
            one.close()


def settings_revert(folder):
    """What was set for a time goes back when that is over, though the client that set it has gone long since."""
    with Target(folder) as target:
        with target.connect() as client:
            before = client.ask("set")["settings"]
            client.ask("set trace=all debug=none drain_interval=99 purge_delay_ms=77 for_ms=300")
            equal(client.ask("snapshot")["drain"]["interval"], 99, "the interval that was set")
        with target.connect() as client:
            eventually(lambda: client.ask("set")["reverts_ms"] == {}, "the settings' time is over")
            equal(client.ask("set")["settings"], before, "settings afterwards")
            snapshot = client.ask("snapshot")
            equal((snapshot["drain"]["interval"], snapshot["trace"]["groups"]), (before["drain_interval"], []), "what is in force")


def full_disk(folder):
    """On a full disk there is neither half a dump nor half a trace file, one line says why, and the program runs on."""
    if os.geteuid() != 0:
        skip("a small file system is root's to make")
    inner = f"{sys.executable} {__file__} on_full_disk {folder}"
    result = run([tool("unshare"), "-m", "sh", "-c", f"mount -t tmpfs -o size=512k none {folder} || exit 77; {inner}"], expect=None)
    if result.returncode == 77:
        skip("no file system is to be mounted here")
    equal(result.returncode, 0, f"status on a full disk: {result.stdout[-1000:]}{result.stderr[-1000:]}")


def on_full_disk(folder):
    """The rest of full_disk, where `folder` is a file system of 512 KiB."""
    runtime = folder / "run"
    target = Target(runtime, variables={"HAKMEM_TRACE_BYTES": "8M"})
    with target.connect() as client:
        equal([path.name for path in runtime.iterdir()], [socket_path(runtime, target.pid).name], "files without room")
        with open(folder / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(4096)):
                    pass
            except OSError:
                pass
        answer = client.ask(f"dump path={folder}/x.json")
        equal((answer["type"], answer["code"]), ("error", "io"), "the answer without room")
        check("No space left" in answer["message"], f"message: {answer['message']}")
        equal(sorted(path.name for path in folder.iterdir()), ["filler", "run"], "files after a dump without room")
    errors = target.end()
    check("no trace file, events are kept in memory" in errors and "No space left" in errors and errors.count("\n") == 1, f"stderr: {errors!r}")
    equal(list(runtime.iterdir()), [], "files at the end")
    result = subprocess.run([program("crash")], env={"LD_PRELOAD": str(LIBRARY), "HAKMEM_DUMP_ON": "abort", "HAKMEM_DUMP_PATH": str(folder / "y.json")},
                            stderr=subprocess.PIPE, text=True, check=False, timeout=60,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    equal(result.returncode, -6, "the end of a program that crashes")
    check("no dump" in result.stderr and "No space left" in result.stderr, f"its stderr: {result.stderr!r}")
    equal(sorted(path.name for path in folder.iterdir()), ["filler", "run"], "files after a crash without room")


CASES = (closing_client, accept_refused, settings_revert, full_disk)


def main():
    if sys.argv[1] == "on_full_disk":
        on_full_disk(pathlib.Path(sys.argv[2]))
        return
    with Folder() as folder:
        next(case for case in CASES if case.__name__ == sys.argv[1])(folder)


main()
