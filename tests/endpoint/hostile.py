#!/usr/bin/env python3
"""Clients that stop, that are slow, and that mean harm: what they cost the program that they look into.

Usage: hostile.py [SECONDS]     3 by default; 60 for figures, on a machine that does nothing else

A stopped client is subscribed to everything and takes nothing; a slow one takes a few KiB at a time; malicious ones send random
bytes, half lines, requests whose answers they don't read, and connect 1,000 times a second. Meanwhile a good client asks, and the
endpoint's memory and descriptors are watched.

The allocating thread's CPU time per operation is taken in stretches of three kinds, in turn, so that what else the machine does falls
on all alike: without these clients; with them; and with them at another program's endpoint, so that the machine does the same work,
and none of it is this program's. What is beyond that is what the clients cost the program; the rest is a processor that they share with it.
Ratios are medians of those of each round, with 90 % bootstrap intervals. Times are printed and not asserted: the machine may be busy otherwise.
"""
import os
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import LIBRARY, Folder, check, clean_environment, equal  # noqa: E402
from client import connect, descriptors, eventually, socket_path  # noqa: E402
from robustness import Target  # noqa: E402

STRETCH = 0.5               # seconds of each stretch: short, so that what they are compared with is of the same moment
NONE, HERE, ELSEWHERE = "none", "here", "elsewhere"
CONNECTS = 1000             # a second
MAPPED_MAX = 96 << 20       # bytes: what may wait for all clients, the rings, a snapshot
PATIENCE = 10               # seconds that a good client may wait for an answer


def connection(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(1)
    client.connect(path)
    return client


def attempt(action, *arguments):
    """The endpoint may hang up on the likes of us, or be busy."""
    try:
        return action(*arguments)
    except OSError:
        return None


def be_stopped(path):
    client = connection(path)
    client.sendall(b"subscribe what=snapshot,events interval_ms=10 full=1\n")
    os.kill(os.getpid(), signal.SIGSTOP)


def be_slow(path):
    client = connection(path)
    client.sendall(b"subscribe what=snapshot,events interval_ms=10\n")
    while client.recv(4096):
        time.sleep(0.02)  # slow is what it is, nothing waits for it


def be_malicious(path):
    """Each connection does one of five wrong things. Some are kept for a while, so that there are always many."""
    chance = random.Random(1)
    kept = []
    due = time.monotonic()
    while True:
        due += 1 / CONNECTS
        client = attempt(connection, path)
        wrong = chance.randrange(5)
        if client is not None and wrong:
            client.setblocking(False)
            attempt(client.send, (b"", chance.randbytes(3000), b"snap", b"snapshot\n" * 400,
                                  b"subscribe what=events interval_ms=10\n" * 50)[wrong])
            kept.append(client)
        if len(kept) > 150:
            kept.pop(0).close()
        if wrong == 0 and client is not None:
            client.close()
        time.sleep(max(0, due - time.monotonic()))


ROLES = {role.__name__: role for role in (be_stopped, be_slow, be_malicious)}


class Hostile:
    """All of them at once, for the length of a with block."""

    def __init__(self, path):
        self.command = [sys.executable, __file__]
        self.path = path

    def __enter__(self):
        self.processes = [subprocess.Popen([*self.command, role, self.path]) for role in ROLES]

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()


def allocating_thread(target):
    """Neither the main thread, which waits for orders, nor the endpoint's."""
    tasks = pathlib.Path(f"/proc/{target.pid}/task")
    others = {target.pid, eventually(target.endpoint_thread, "the endpoint's thread has its name")}
    (thread,) = (task for task in tasks.iterdir() if int(task.name) not in others)
    return thread


class Watch:
    """What is looked at in a stretch."""

    def __init__(self, target, client):
        self.target, self.client = target, client
        self.thread = allocating_thread(target)
        self.costs = {NONE: [], HERE: [], ELSEWHERE: []}
        self.mapped = self.latency = self.answers = 0

    def look(self):
        began = time.monotonic()
        endpoint = self.client.ask("stats")["endpoint"]
        self.latency = max(self.latency, time.monotonic() - began)
        self.mapped = max(self.mapped, endpoint["mapped_bytes"])
        self.answers += 1
        return endpoint

    def stretch(self, kind, seconds):
        cpu, rounds = self.cpu(), int(self.target.order("count"))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            time.sleep(0.02)  # a good client's rhythm
        rounds = int(self.target.order("count")) - rounds
        self.costs[kind].append((self.cpu() - cpu) / rounds)

    def cpu(self):
        return int((self.thread / "schedstat").read_text().split()[0])


def connections_of(client):
    return client.ask("stats")["endpoint"]["connections"]


def attacked_stretch(watch, kind, client, path, seconds):
    """A stretch with hostile clients at `path`, whose endpoint `client` asks."""
    with Hostile(path):
        # Python takes its time to start, and an endpoint serves a burst at once; what counts is a stretch in the midst of it all.
        before = connections_of(client)
        eventually(lambda: connections_of(client) > before + 500, "the malicious client connects")
        watch.stretch(kind, seconds)
    eventually(lambda: client.ask("stats")["endpoint"]["clients"] == 1, "hostile clients are forgotten when they are gone")


def ratio(costs, kind, base):
    """The median of the rounds' ratios, in percent beyond 0, and its interval."""
    def of(indices):
        return statistics.median(costs[kind][i] / costs[base][i] for i in indices)
    count, draw = min(map(len, costs.values())), random.Random(1)
    drawn = sorted(of([draw.randrange(count) for _ in range(count)]) for _ in range(1000))
    low, middle, high = ((value - 1) * 100 for value in (drawn[50], of(range(count)), drawn[949]))
    return f"{middle:+.1f} % ({low:+.1f} to {high:+.1f})"


def report(watch, first, last, seconds):
    costs = watch.costs
    print(f"{len(costs[HERE])} stretches of {seconds:.1f} s of each kind: CPU time of 1,000 operations"
          f" {statistics.median(costs[NONE]) / 1000:.1f} us without hostile clients")
    print(f"with them, against none: {ratio(costs, HERE, NONE)}; against the same ones at another program: {ratio(costs, HERE, ELSEWHERE)};"
          f" those at another program, against none: {ratio(costs, ELSEWHERE, NONE)}")
    print(f"{last['connections'] - first['connections']} connections, {last['errors']} errors,"
          f" {last['disconnected']} thrown out; at most {watch.mapped >> 10} KiB mapped;"
          f" {watch.answers} answers to a good client, within {watch.latency * 1000:.0f} ms")


def main():
    if len(sys.argv) == 3:
        random.seed(1)
        attempt(ROLES[sys.argv[1]], sys.argv[2])
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    times = max(1, round(seconds / (3 * STRETCH)))
    length = min(STRETCH, seconds / (3 * times))
    # The other program hardly does anything of its own: what counts is that its endpoint is there.
    with Folder() as folder, Folder() as elsewhere, Target(folder) as target, target.connect() as client, \
            subprocess.Popen(["sleep", "1000"], env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=elsewhere)) as other:
        try:
            with connect(elsewhere, other.pid) as other_client:
                watch = Watch(target, client)
                paths = {HERE: (client, str(socket_path(folder, target.pid))), ELSEWHERE: (other_client, str(socket_path(elsewhere, other.pid)))}
                before = len(descriptors(target.pid))
                first = watch.look()
                watch.stretch(NONE, length)
                watch.costs[NONE].clear()  # the heap was still growing
                for i in range(times):
                    for kind in ((NONE, HERE, ELSEWHERE), (ELSEWHERE, HERE, NONE), (HERE, NONE, ELSEWHERE))[i % 3]:
                        if kind == NONE:
                            watch.stretch(kind, length)
                        else:
                            attacked_stretch(watch, kind, *paths[kind], length)
        finally:
            other.kill()
        # Entries keep their memory for a second, for the next ones.
        eventually(lambda: watch.look()["mapped_bytes"] <= first["mapped_bytes"] + (32 << 20), "memory for clients is given back")
        last = watch.look()
        equal(len(descriptors(target.pid)), before, "descriptors afterwards")
        check(watch.mapped <= MAPPED_MAX, f"{watch.mapped} bytes were mapped for clients")
        check(watch.latency < PATIENCE, f"a good client waited for {watch.latency:.1f} s")
        check(last["errors"] > first["errors"], "nothing malicious was answered")
        report(watch, first, last, length)


main()
