#!/usr/bin/python3
"""What it costs to watch a big heap: 5,000 SuperSlabs (10 GiB) whose endpoint sends ten deltas a second, in each of which 1 % of the
SuperSlabs changed, on a terminal of 80x24.

Usage: viewer_cost.py [SUPERSLABS [SECONDS]]     5000 and 1 by default; 5000 and 20 for figures

The viewer's CPU time and the time until a key is answered are printed and not asserted, as they are the machine's too; asserted is its
peak of memory, and that it goes on with deltas: a second whole snapshot is never asked for.
"""
import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import socket
import statistics
import struct
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mock_target
from terminal import DEADLINE, TOP
from support import Folder, check, clean_environment

HZ = 10
MEMORY_MAX = 200 << 20
# A panel by its key, and what only that one shows.
PANELS = ((b"3", b"Slabs"), (b"4", b"System calls"), (b"5", b"LRU cache"), (b"2", b"by class and fill"), (b"1", b"Top classes"))


def deltas(superslabs, count):
    """What follows a delta's own numbers, as text, for `count` deltas: 1 % of the SuperSlabs, other ones each time."""
    each = max(1, superslabs // 100)
    texts = []
    for number in range(count):
        state = mock_target.snapshot(number + 1, 1)
        rows = [mock_target.superslab(index, 8 * number + 8, superslabs)
                for index in ((number * each + i) % (superslabs - 1) for i in range(each))]
        body = {name: state[name] for name in ("memory", "stages", "pool", "drain", "classes", "threads")}
        texts.append(json.dumps({**body, "superslabs": rows, "superslabs_gone": []})[1:])
    return texts


def serve(listener, superslabs):
    """The endpoint, in a process of its own. Ends with the number of whole snapshots that it was asked for."""
    first = json.dumps(mock_target.snapshot(0, superslabs)).encode() + b"\n"
    bodies = deltas(superslabs, 40)
    hello = {"type": "hello", "protocol": 1, "version": "0.1.0", "pid": os.getpid(), "start_time": 1, "exe": "/usr/bin/mockingbird",
             "capabilities": ["snapshot", "subscribe"]}
    os.write(1, b"ready\n")
    client = listener.accept()[0]
    client.sendall(json.dumps(hello).encode() + b"\n")
    request, whole, seq = b"", 0, 1
    while b"subscribe" not in request:
        request += client.recv(4096)
    client.sendall(b'{"type":"ok","request":"subscribe"}\n' + first)
    due = time.monotonic()
    try:
        while True:
            due += 1 / HZ
            if select.select([client], [], [], max(0, due - time.monotonic()))[0]:
                received = client.recv(4096)
                if not received:
                    break
                whole += received.count(b"resync") + received.count(b"snapshot\n")
            head = f'{{"type":"delta","seq":{seq + 1},"base":{seq},"time_us":{5000000 + seq * 100000},"uptime_us":{1000000 + seq * 100000},'
            client.sendall(head.encode() + bodies[seq % len(bodies)].encode() + b"\n")
            seq += 1
    except OSError:
        pass
    os._exit(min(whole, 100))


class Viewer:
    """hakmem-top on a terminal of its own, whose output is read as it comes."""

    def __init__(self, path):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            environment = clean_environment(TERM="xterm-256color", LC_ALL="C.UTF-8", XDG_CONFIG_HOME="/nonexistent")
            os.execve(TOP, [str(TOP), "-d", "0.1", str(path)], environment)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.text = b""

    def read(self, seconds):
        """What comes within that time, at once when something does."""
        if not select.select([self.master], [], [], seconds)[0]:
            return
        try:
            self.text = (self.text + os.read(self.master, 1 << 16))[-(1 << 16):]
        except OSError:
            check(False, "hakmem-top ended")

    def run(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def sees(self, mark):
        """The seconds until the mark was on the screen; ncurses sends no more than what differs, but marks are whole words."""
        began = time.monotonic()
        while mark not in self.text:
            check(time.monotonic() < began + DEADLINE, f"the screen never showed {mark}")
            self.read(0.5)
        return time.monotonic() - began

    def answer(self, key, mark):
        self.text = b""
        began = time.monotonic()
        os.write(self.master, key)
        self.sees(mark)
        return time.monotonic() - began

    def cpu(self):
        fields = open(f"/proc/{self.pid}/schedstat", encoding="ascii").read().split()
        return int(fields[0]) / 1e9

    def peak(self):
        lines = open(f"/proc/{self.pid}/status", encoding="ascii").read().split("\n")
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

    def quit(self):
        os.write(self.master, b"q")
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            try:
                os.read(self.master, 1 << 16)
            except OSError:
                pass


def main():
    superslabs = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1
    with Folder() as folder:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "heap"))
        listener.listen(1)
        ready, said = os.pipe()
        endpoint = os.fork()
        if endpoint == 0:
            os.dup2(said, 1)
            serve(listener, superslabs)
        listener.close()
        os.read(ready, 6)
        viewer = Viewer(folder / "heap")
        viewer.sees(b"Top classes")
        viewer.run(1)
        shares = []
        for key, mark in (PANELS[-1], PANELS[3]):
            viewer.answer(key, mark) if key != b"1" else None
            used, began = viewer.cpu(), time.monotonic()
            viewer.run(seconds)
            shares.append((viewer.cpu() - used) / (time.monotonic() - began))
        # Keys at moments that have nothing to do with the frames.
        answers = []
        for number in range(int(20 * seconds)):
            viewer.run(0.013 * (number % 7))
            answers.append(viewer.answer(*PANELS[number % len(PANELS)]))
        peak = viewer.peak()
        viewer.quit()
        status = os.waitstatus_to_exitcode(os.waitpid(endpoint, 0)[1])
        print(f"{superslabs} SuperSlabs at {HZ} Hz: {100 * shares[0]:.1f} % of a core with the overview, {100 * shares[1]:.1f} % with the slot "
              f"map; peak {peak / (1 << 20):.0f} MiB; a key is answered in {1000 * statistics.median(answers):.1f} ms (median of "
              f"{len(answers)}), {1000 * max(answers):.1f} ms at most")
        check(status == 0, f"{status} more whole snapshots were asked for")
        check(peak < MEMORY_MAX, f"a peak of {peak} bytes")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    main()
