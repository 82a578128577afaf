"""A plain client of an endpoint, for the tests: it sends lines and reads JSON, and finds a program's socket."""
import json
import os
import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from support import fail  # noqa: E402

PATIENCE = 30  # seconds that anything may take before a test gives up


def eventually(condition, what):
    """Polls until condition() is true, and returns its value."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            fail(f"after {PATIENCE} s still not: {what}")
        time.sleep(0.005)


def start_time(pid):
    """Field 22 of /proc/PID/stat, None for a process that is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(text[text.rindex(")") + 2:].split()[19])


def socket_path(directory, pid):
    return pathlib.Path(directory) / f"{pid}-{start_time(pid)}.sock"


class Client:
    """A connection. Its greeting is read at once."""

    def __init__(self, path, greeting=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(str(path))
        self.pending = b""
        self.hello = self.read() if greeting else None

    def send(self, line):
        self.socket.sendall((line + "\n").encode())

    def read(self):
        """The next message; None where the connection ends."""
        while b"\n" not in self.pending:
            try:
                got = self.socket.recv(1 << 16)
            except ConnectionResetError:
                got = b""
            if not got:
                if self.pending:
                    fail(f"the connection ended inside a message: {self.pending[:100]!r}")
                return None
            self.pending += got
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def ask(self, line):
        self.send(line)
        return self.read()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


PARTS = ("process", "memory", "stages", "pool", "large", "lru", "drain", "syscalls", "faults", "guard", "trace", "threads")


def apply_delta(state, delta):
    """The snapshot that a delta makes of the one before it."""
    if delta["base"] != state["seq"]:
        fail(f"a delta builds on {delta['base']}, not on {state['seq']}, which came before it")
    after = dict(state, type="snapshot", **{key: delta[key] for key in ("seq", "time_us", "realtime_us", "uptime_us")})
    after.update({key: delta[key] for key in PARTS if key in delta})
    changed = {row["class"]: row for row in delta["classes"]}
    after["classes"] = [changed.get(row["class"], row) for row in state["classes"]]
    age = state["slot_fields"].index("age_ms")
    later = delta["time_us"] // 1000 - state["time_us"] // 1000
    gone = set(delta["superslabs_gone"]) | {row["index"] for row in delta["superslabs"]}
    rows = [dict(row, slots=[slot[:age] + [slot[age] + later] + slot[age + 1:] for slot in row["slots"]])
            for row in state["superslabs"] if row["index"] not in gone]
    after["superslabs"] = sorted(rows + delta["superslabs"], key=lambda row: (row["in_lru"], row["index"]))
    return after


def connect(directory, pid):
    """Waits for a program's socket and connects."""
    def attempt():
        if start_time(pid) is None:
            fail(f"the program {pid} ended before it could be looked into")
        try:
            return Client(socket_path(directory, pid))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
    return eventually(attempt, f"an endpoint of process {pid} in {directory}")


def descriptors(pid, thread=None):
    """What a process has open, by number; or one of its threads, which may have a table of its own."""
    folder = f"/proc/{pid}/fd" if thread is None else f"/proc/{pid}/task/{thread}/fd"
    opened = {}
    for name in os.listdir(folder):
        try:
            opened[int(name)] = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:
            pass
    return opened
