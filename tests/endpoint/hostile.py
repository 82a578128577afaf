#!/usr/bin/env python3
"""Clients that stop, that are slow, and that mean harm: what they cost the program that they look into.

Usage: hostile.py [SECONDS]     3 by default; 60 for figures

A stopped client is subscribed to everything and takes nothing; a slow one takes a few KiB at a time; malicious ones send random
bytes, half lines, requests whose answers they don't read, and connect 1,000 times a second. Meanwhile a good client asks, the
endpoint's memory and descriptors are watched, and the allocating thread's CPU time per operation is compared with that of
stretches without these clients, in turn. Times are printed and not asserted: the machine may be busy otherwise.
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
from support import Folder, check, equal  # noqa: E402
from client import descriptors, eventually, socket_path  # noqa: E402
from robustness import Target  # noqa: E402

STRETCH = 1.0               # seconds of each stretch, with hostile clients and without in turn
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
        self.costs = {False: [], True: []}
        self.mapped = self.latency = self.answers = 0

    def look(self):
        began = time.monotonic()
        endpoint = self.client.ask("stats")["endpoint"]
        self.latency = max(self.latency, time.monotonic() - began)
        self.mapped = max(self.mapped, endpoint["mapped_bytes"])
        self.answers += 1
        return endpoint

    def stretch(self, hostile):
        cpu, rounds = self.cpu(), int(self.target.order("count"))
        end = time.monotonic() + STRETCH
        while time.monotonic() < end:
            self.look()
            time.sleep(0.02)  # a good client's rhythm
        rounds = int(self.target.order("count")) - rounds
        self.costs[hostile].append((self.cpu() - cpu) / rounds)

    def cpu(self):
        return int((self.thread / "schedstat").read_text().split()[0])


def main():
    if len(sys.argv) == 3:
        random.seed(1)
        attempt(ROLES[sys.argv[1]], sys.argv[2])
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3
    with Folder() as folder, Target(folder) as target, target.connect() as client:
        watch = Watch(target, client)
        path = str(socket_path(folder, target.pid))
        before = len(descriptors(target.pid))
        first = watch.look()
        watch.stretch(False)
        watch.costs[False].clear()  # the heap was still growing
        for _ in range(max(1, round(seconds / STRETCH))):
            watch.stretch(False)
            with Hostile(path):
                # Python takes its time to start; what counts is a stretch with all of them at work.
                connections = watch.look()["connections"]
                eventually(lambda: watch.look()["connections"] > connections + 50, "the malicious client connects")
                watch.stretch(True)
            eventually(lambda: watch.look()["clients"] == 1, "hostile clients are forgotten when they are gone")
        last = watch.look()
        equal(len(descriptors(target.pid)), before, "descriptors afterwards")
        check(watch.mapped <= MAPPED_MAX, f"{watch.mapped} bytes were mapped for clients")
        check(last["mapped_bytes"] <= first["mapped_bytes"] + (32 << 20), f"{last['mapped_bytes']} bytes are still mapped")
        check(watch.latency < PATIENCE, f"a good client waited for {watch.latency:.1f} s")
        check(last["errors"] > first["errors"], "nothing malicious was answered")
        clean, attacked = (statistics.median(watch.costs[hostile]) for hostile in (False, True))
        print(f"{len(watch.costs[True])} stretches of {STRETCH:.0f} s each: CPU time of 1,000 operations {clean / 1000:.1f} us"
              f" without, {attacked / 1000:.1f} us with hostile clients ({(attacked / clean - 1) * 100:+.1f} %)")
        print(f"{last['connections'] - first['connections']} connections, {last['errors']} errors,"
              f" {last['disconnected']} thrown out; at most {watch.mapped >> 10} KiB mapped;"
              f" {watch.answers} answers to a good client, within {watch.latency * 1000:.0f} ms")


main()
