"""What a run of a load looks like from inside: the dump that it leaves, and a subscriber to its endpoint, who sees the
slot map while the load is running."""
import json
import socket
import threading

import allocators
from rounds import operations_of, wait_of
from support import Folder, run

INTERVAL_MS = 100
LONGEST = 1 << 34  # operations: a load that ends before anybody could look into it is no load


def dump_of(allocator, load, options):
    """The snapshot at the end of a run, all of its counters in it."""
    with Folder() as folder:
        dump = {"HAKMEM_DUMP_ON": "exit", "HAKMEM_DUMP_PATH": folder / "dump"}
        dumping = allocators.Allocator(allocator.name, allocator.library, {**allocator.variables, **dump})
        allocators.run_load(dumping, load.name, operations_of(load, options), options.seed, wait_of(options))
        return json.loads((folder / "dump").read_text())


class Subscriber:
    """Takes what a program's endpoint streams until the program ends. `what` are the words of subscribe; whole snapshots
    come if `full`, else deltas as for a viewer; lines are kept if `keeps` is set, and otherwise only counted, which leaves
    the processor to the program."""

    def __init__(self, folder, what, keeps=False, full=True):
        self.folder, self.what, self.keeps, self.full = folder, what, keeps, full
        self.text, self.bytes, self.is_over = [], 0, threading.Event()
        self.thread = threading.Thread(target=self.follow)

    def connect(self):
        """The endpoint's socket, None if the program ended before it was there."""
        while not self.is_over.wait(0.001):
            for path in self.folder.glob("*.sock"):
                stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                try:
                    stream.connect(str(path))
                    return stream
                except (FileNotFoundError, ConnectionRefusedError):
                    stream.close()
        return None

    def follow(self):
        stream = self.connect()
        if not stream:
            return
        with stream:
            try:
                stream.sendall(f"subscribe what={self.what} interval_ms={INTERVAL_MS} full={int(self.full)}\n".encode())
                while got := stream.recv(1 << 20):
                    self.bytes += len(got)
                    if self.keeps:
                        self.text.append(got)
            except (BrokenPipeError, ConnectionResetError):
                pass

    def messages(self, kind):
        """The whole messages of a type among the lines kept."""
        lines = b"".join(self.text).split(b"\n")[:-1]
        return [message for message in map(json.loads, lines) if message["type"] == kind]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()


class Introspected(allocators.Allocator):
    """An allocator whose runs could be looked into: the endpoint is there, and the trace file, and no client."""

    def run(self, command, **options):
        with Folder() as folder:
            variables = {**self.variables, "HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder}
            return run(command, library=self.library, env=variables, timeout=allocators.TIMEOUT, **options)


class Watched(allocators.Allocator):
    """An allocator whose runs are looked into: all events go to the rings, and a subscriber takes them and the slot map
    ten times a second; or only what `what` says."""

    def __init__(self, name, library, variables=None, what="snapshot,events", keeps=False, full=True):
        super().__init__(name, library, variables)
        self.what, self.keeps, self.full, self.last = what, keeps, full, None
        self.taken = []  # bytes, of each run

    def run(self, command, **options):
        with Folder() as folder:
            variables = {**self.variables, "HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder}
            if "events" in self.what:
                variables["HAKMEM_TRACE"] = "all"
            with Subscriber(folder, self.what, self.keeps, self.full) as self.last:
                result = run(command, library=self.library, env=variables, timeout=allocators.TIMEOUT, **options)
            self.taken.append(self.last.bytes)
            return result


def slot_maps(allocator, load, options):
    """The snapshots that a subscriber sees of a run. One that is over too soon is made again, longer."""
    watched = Watched(allocator.name, allocator.library, allocator.variables, "snapshot", keeps=True)
    operations = operations_of(load, options)
    while operations < LONGEST:
        allocators.run_load(watched, load.name, operations, options.seed, wait_of(options))
        snapshots = [message for message in watched.last.messages("snapshot") if any(classes_of(message))]
        if snapshots:
            return snapshots
        operations *= 4
    allocators.end(f"{load.name} is over before anybody can look into it")


def classes_of(snapshot):
    """For each SuperSlab with ACTIVE slots, how many size classes these serve; a large allocation counts as none."""
    state, size_class = (snapshot["slot_fields"].index(name) for name in ("state", "class"))
    counts = []
    for superslab in snapshot["superslabs"]:
        classes = {slot[size_class] for slot in superslab["slots"] if slot[state] == "ACTIVE"} - {None}
        counts += [len(classes)] if classes else []
    return counts
