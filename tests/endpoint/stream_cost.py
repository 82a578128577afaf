#!/usr/bin/env python3
"""What it costs to stream a big heap: 5,000 SuperSlabs (10 GiB) at 10 Hz while 1 % of them change between two messages.

Usage: stream_cost.py [SUPERSLABS [SECONDS]]     500 and 3 by default; 5000 and 20 for figures

The endpoint's CPU time is printed and not asserted; asserted is what makes it small: a delta has the SuperSlabs that changed
and no others.
"""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import LIBRARY, Folder, check, clean_environment, equal, program  # noqa: E402
from client import connect  # noqa: E402


def endpoint_thread(pid):
    tasks = [task for task in pathlib.Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text() == "hakmem\n"]
    equal(len(tasks), 1, "threads of the endpoint")
    return tasks[0]


def cpu(task):
    return int((task / "schedstat").read_text().split()[0]) / 1e9


def stream(client, task, arguments, seconds):
    """CPU time a second of the endpoint, and the messages that came."""
    client.send(f"subscribe interval_ms=100 {arguments}")
    messages = []
    while not messages or b'"type":"snapshot"' not in messages[-1][:40]:
        messages.append(raw(client))
    # While whole snapshots went out the next ones may have been due: the endpoint works in turn with rests.
    messages = [raw(client)]
    if b'"type":"dropped"' in messages[0][:40]:
        messages.clear()
    began, used = time.monotonic(), cpu(task)
    while time.monotonic() < began + seconds:
        messages.append(raw(client))
    share = (cpu(task) - used) / (time.monotonic() - began)
    client.send("unsubscribe")
    while b'"type":"ok"' not in raw(client)[:40]:
        pass
    return share, messages


def raw(client):
    """The next message's bytes: parsing them here would take longer than making them."""
    pieces = [client.pending]
    while b"\n" not in pieces[-1]:
        pieces.append(client.socket.recv(1 << 20))
        check(pieces[-1], "the connection ended")
    line, client.pending = b"".join(pieces).split(b"\n", 1)
    return line


def main():
    superslabs = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3
    changing = superslabs // 100
    with Folder() as folder:
        process = subprocess.Popen([program("stream_heap"), str(superslabs), str(changing)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder,
                                                         HAKMEM_CACHE_BYTES="64K"))  # or the thread would keep four of them
        try:
            equal(process.stdout.readline(), "ready\n", "the program's first line")
            with connect(folder, process.pid) as client:
                task = endpoint_thread(process.pid)
                rows = len(client.ask("snapshot")["superslabs"])
                check(rows >= superslabs, f"{rows} SuperSlabs instead of {superslabs}")
                share, deltas = stream(client, task, "", seconds)
                whole, snapshots = stream(client, task, "full=1", seconds / 3)
                snapshots = [message for message in snapshots if b'"type":"snapshot"' in message[:40]]
            changed = [len(json.loads(delta)["superslabs"]) for delta in deltas]
            check(max(changed) <= 4 * changing + 4, f"a delta has {max(changed)} rows, where {changing} change at a time")
            check(sum(changed) >= changing * len(changed) / 2, f"rows of deltas, where {changing} change: {changed}")
            process.stdin.write("turns\n")
            process.stdin.flush()
            check(int(process.stdout.readline()) > 0, "the program did nothing")
        finally:
            process.kill()
            process.wait()
    print(f"{rows} SuperSlabs, {sum(changed) / len(changed):.0f} changed a message, {len(deltas) / seconds:.1f} messages a second: deltas of"
          f" {sum(map(len, deltas)) / len(deltas) / 1024:.0f} KiB take {share * 100:.2f} % of a core,"
          f" {len(snapshots) / seconds * 3:.1f} snapshots a second of {sum(map(len, snapshots)) / len(snapshots) / 1024:.0f} KiB {whole * 100:.1f} %")


main()
