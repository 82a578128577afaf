"""A load that is a real program: redis-server, asked by redis-benchmark. What counts is the server's own time."""
import pathlib
import shutil
import subprocess
import time

import allocators
from support import Folder, clean_environment, fail, run, tool

KINDS = ("set", "lpush", "hset")  # of requests
WAIT_S = 60


class RedisLoad(allocators.Load):
    """As one of bench_loads; an operation is a request."""

    def __init__(self):
        super().__init__("redis\tspeed\t600000\t1\tset, lpush and hset of 200 bytes, 16 in a packet")

    def run(self, allocator, operations, seed, wait_ms=0):
        """Requests draw their keys anew each time: neither seed nor wait has a meaning here."""
        count = max(operations // len(KINDS), 1)
        with Folder() as folder, allocator.started() as variables:
            socket = folder / "socket"
            command = [tool("redis-server"), "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no",
                       "--dir", folder]
            with subprocess.Popen(command, env=clean_environment(**variables), stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as server:
                try:
                    wait_for(server, socket)
                    began = time.monotonic()
                    run([tool("redis-benchmark"), "-s", socket, "-q", "-n", count, "-P", 16, "-r", 100000, "-d", 200,
                         "-t", ",".join(KINDS)], timeout=allocators.TIMEOUT)
                    return {"operations": count * len(KINDS), "bytes": 0, "wall_s": time.monotonic() - began,
                            **figures_of(server.pid)}
                finally:
                    server.terminate()


def wait_for(server, socket):
    ends = time.monotonic() + WAIT_S
    while run([tool("redis-cli"), "-s", socket, "ping"], expect=None).stdout.strip() != "PONG":
        if server.poll() is not None or time.monotonic() > ends:
            fail("redis-server does not answer")
        time.sleep(0.01)


def figures_of(pid):
    """Processor time of all threads, and resident memory."""
    process = pathlib.Path(f"/proc/{pid}")
    spent = sum(int((task / "schedstat").read_text().split()[0]) for task in (process / "task").iterdir())
    words = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {"cpu_s": spent / 1e9, "peak_kib": int(words["VmHWM"].split()[0]), "end_kib": int(words["VmRSS"].split()[0])}


def find():
    """[the load], or nothing where redis isn't installed."""
    return [RedisLoad()] if all(map(shutil.which, ("redis-server", "redis-cli", "redis-benchmark"))) else []
