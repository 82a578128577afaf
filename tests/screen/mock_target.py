#!/usr/bin/python3
"""An endpoint without an allocator: what hakmem-top is shown in screen tests, the same each time.

Usage: mock_target.py DIRECTORY [--slabs N] [--hostile KIND] [--until FILE] [--exit STATUS] [--greeted FILE] [--still N]
It serves DIRECTORY/<pid>-<start time>.sock, prints "ready" and runs until stdin ends, or until FILE exists, and ends with STATUS; it
makes the other FILE when it has greeted a client. Its heap moves by a fixed rule, so that every state, class and stage occurs. KIND is
one of the ways in which a target can be wrong; see `hostile`. With --still N its heap stands still after N snapshots, its ids and times
are always the same, and it serves DIRECTORY/heap: what a viewer shows of it is known to the last cell.
"""
import json
import os
import selectors
import socket
import sys
import time

SIZES = [16, 32, 48, 64, 80, 96, 112, 128]
for base in (128, 256, 512, 1024, 2048, 4096, 8192, 16384):
    SIZES += [base + base // 4 * step for step in (1, 2, 3, 4)]
SLOTS = {5120: 5, 6144: 3, 10240: 5, 12288: 3, 14336: 7, 20480: 5, 24576: 3, 28672: 7}
SLOT_FIELDS = ["state", "class", "used", "capacity", "span", "age_ms"]


# What it says of itself.
identity = {"pid": os.getpid(), "ppid": os.getppid(), "still": False}


def start_time(pid):
    if identity["still"]:
        return 1
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


def superslab_rows(index, tick):
    """32 rows; slabs, runs, large allocations, EMPTY and UNUSED slots by a rule of index and tick."""
    rows = []
    while len(rows) < 32:
        turn = (index * 7 + len(rows) * 5 + tick // 8) % 29
        left = 32 - len(rows)
        if turn < 3:
            rows.append(["UNUSED", None, 0, 0, 0, 0])
        elif turn < 6:
            rows.append(["EMPTY", (index + len(rows)) % 24, 0, 100, 1, 1500 * turn])
        elif turn == 6 and left >= 4:
            rows += [["ACTIVE", None, 1, 1, 4, 70000]] + [["ACTIVE", None, 0, 0, 0, 0]] * 3
        elif turn == 7 and left >= 5:
            rows += [["ACTIVE", 28, 40, 64, 5, 12000]] + [["ACTIVE", 28, 0, 0, 0, 0]] * 4
        else:
            number = (index * 3 + len(rows) // 4 + turn) % 28
            capacity = 65536 // SIZES[number]
            used = capacity * ((tick * 5 + turn * 13 + len(rows) * 3) % 101) // 100
            rows.append(["ACTIVE", number, used, capacity, 1, 100 * turn * turn])
    return rows


def superslab(index, tick, slabs):
    """The last one of several lies in the LRU cache."""
    kept = index == slabs - 1 and slabs > 1
    rows = superslab_rows(index, tick) if not kept else [["UNUSED", None, 0, 0, 0, 0]] * 32
    return {"ss": hex(0x7f5a00000000 + index * 0x200000), "index": index, "in_lru": kept,
            "active_slots": sum(row[0] == "ACTIVE" for row in rows), "slots": rows}


def snapshot(tick, slabs):
    wave = abs(tick % 40 - 20) / 20
    classes = []
    for number, size in enumerate(SIZES):
        allocs = tick * 4000 * (40 - number) + 900 * (40 - number)
        live = int((900 + 400 * wave) * (40 - number) / (1 + number / 4))
        classes.append({"class": number, "block_bytes": size, "slots_per_slab": SLOTS.get(size, 1),
                        "slabs": 1 + live * size * 9 // 8 // (65536 * SLOTS.get(size, 1)), "empty_slots": number % 3,
                        "allocs": allocs + live, "frees": allocs, "live_blocks": live, "cached_blocks": 32 + number,
                        "stage1": 30 + tick + number, "stage2": 12 + number, "stage3": number % 5, "free_list_peak": number % 7})
    live_bytes = sum(row["live_blocks"] * row["block_bytes"] for row in classes)
    superslabs = [superslab(index, tick, slabs) for index in range(slabs)]
    stage = {name: sum(row[name] for row in classes) for name in ("stage1", "stage2", "stage3")}
    pid = identity["pid"]
    return {
        "type": "snapshot", "protocol": 1, "seq": tick + 1, "time_us": 1000000 * tick + 5000000,
        "uptime_us": 1000000 * tick + 1000000,
        "process": {"pid": pid, "ppid": identity["ppid"], "start_time": start_time(pid), "exe": "/usr/bin/mockingbird",
                    "cmdline": "mockingbird --sing", "threads": 3},
        "geometry": {"superslab_bytes": 2097152, "slot_bytes": 65536, "slots_per_superslab": 32,
                     "classes": [{"class": number, "block_bytes": size, "slots_per_slab": SLOTS.get(size, 1)}
                                 for number, size in enumerate(SIZES)]},
        "memory": {"reserved_bytes": 1 << 40, "committed_bytes": live_bytes * 2, "resident_bytes": live_bytes * 3,
                   "live_bytes": live_bytes, "cached_bytes": live_bytes // 8, "slack_bytes": live_bytes // 4,
                   "large_bytes": 262144, "metadata_bytes": 300000},
        "stages": {"depot": 150000 + 4321 * tick, **stage, "converted": 200, "from_lru": 20},
        "pool": {"superslabs": slabs - 1, "superslabs_created": slabs + 3, "releases": 900 + tick, "empty_slots": 61,
                 "free_list_peak": 6, "free_list_overflows": 2},
        "lru": {"length": 1, "capacity": 16, "pushes": 9, "hits": 5, "evictions": 3},
        "drain": {"interval": 1024, "drains": 77 + tick, "blocks": 2464 + 32 * tick},
        "syscalls": {"mmap": 12, "munmap": 1, "madvise": 30, "mprotect": 8, "mremap": 0},
        "classes": classes,
        "threads": [{"tid": pid + i, "name": name, "cached_bytes": 150000 * (i + 1), "allocs": 1000 * (tick + 1) * (3 - i),
                     "frees": 700 * (tick + 1) * (i + 1)} for i, name in enumerate(("main", "worker", "h\u00e4ndler"))],
        "slot_fields": SLOT_FIELDS, "superslabs": superslabs,
        "trace": {"events": tick * 3, "lost": 0, "groups": ["acquire", "release"]},
    }


def events(tick):
    pid = identity["pid"]
    rows = [{"name": "stage1", "group": "acquire", "class": 6, "ss": "0x7f5a00000000", "slab": 12},
            {"name": "release", "group": "release", "ss": "0x7f5a00200000", "slab": tick % 32, "class": 7, "used": 0, "cause": 0},
            {"name": "drain", "group": "drain", "class": 6, "drained": 32, "kept": 11}]
    for number, row in enumerate(rows):
        row.update(tid=pid, time_us=5000000 + tick * 1000000 + number * 1234)
    return {"type": "events", "events": rows, "lost": 0}


def profile():
    """Three call sites of files that no machine has. The first has blocks in nearly empty slabs."""
    rows = [(1, 1000, 20, 700, 2, 64, 4, 65536, 1024), (2, 200000, 3, 9000, 0, 0, 0, 0, 0), (3, 48, 40, 60000, 1300, 1365, 0, 65536, 48)]
    live = [[hex(0x7f5a00000000 + 4096 * stack), size, None if slab == 0 else 26, stack, identity["pid"], age, weight, used, capacity, cached, slab,
             block] for stack, size, weight, age, used, capacity, cached, slab, block in rows]
    return {"type": "profile", "protocol": 1, "seq": 1, "time_us": 5000000, "rate": 524288, "state": "on", "engine": "libunwind", "seed": 1,
            "samples": 77, "live_samples": 3, "lost_samples": 0, "stacks": 3, "stack_capacity": 1024, "lost_stacks": 0, "unwind_failures": {},
            "lifetime_bounds_ms": [1, 10, 100], "live": live,
            "site_fields": ["stack", "allocs", "alloc_bytes", "alloc_variance", "frees", "free_bytes", "temporary", "lifetimes"],
            "sites": [[1, 500, 500000, 1e9, 480, 480000, 100, [300, 100, 50, 30]], [2, 3, 600000, 1e9, 0, 0, 0, [0, 0, 0, 0]],
                      [3, 90, 4320, 1e6, 50, 2400, 0, [0, 0, 0, 50]]],
            "live_fields": ["address", "bytes", "class", "stack", "tid", "age_ms", "weight", "slab_live", "slab_capacity", "slab_cached",
                            "slab_bytes", "block_bytes"],
            "frames": [[1, ["0x500101", "0x400201", "0x400301"]], [2, ["0x500201", "0x400201", "0x400301"]], [3, ["0x500301", "0x400401"]]],
            "modules": [{"path": "/nest/bin/mockingbird", "base": "0x400000", "end": "0x410000", "build_id": "0123"},
                        {"path": "/nest/lib/libsong.so", "base": "0x500000", "end": "0x510000", "build_id": "4567"}]}


def hostile(kind, document):
    """The message that is sent instead of a good snapshot; of another age's HAKMEM, a good one of its own."""
    if kind == "type":
        document["memory"]["live_bytes"] = "lots"
    elif kind == "hiccup" and document["seq"] == 3:
        document["memory"]["live_bytes"] = "lots"
    elif kind == "negative":
        document["stages"]["stage1"] = -1
    elif kind == "slots":
        document["superslabs"][0]["slots"] = document["superslabs"][0]["slots"][:31]
    elif kind == "class":
        document["superslabs"][0]["slots"][0] = ["ACTIVE", 200, 1, 1, 1, 1]
    elif kind == "escape":
        document["process"]["exe"] = "/bin/\u001b[31mred\u0007\u202e\u4e2d"
        document["process"]["cmdline"] = "\u001b[31mred \u009b2J"
        document["threads"][0]["name"] = "\u001b]0;title\u0007"
    elif kind == "garbage":
        return b"\xff\xfe{]not json\n"
    elif kind == "nesting" and document["seq"] == 3:
        return b'{"type":' + b"[" * 100000 + b"\n"
    elif kind == "huge" and document["seq"] == 3:
        document["classes"][2]["allocs"] = 10 ** 400
    elif kind == "newer":
        document.update(quantum={"bits": [1, {"more": None}]}, slot_fields=["mood", *SLOT_FIELDS])
        document["memory"]["quantum_bytes"] = 1
        for row in document["superslabs"]:
            row["slots"] = [["happy", *slot] for slot in row["slots"]]
        return b'{"type":"novelty","seq":1}\n' + json.dumps(document).encode() + b"\n"
    elif kind == "older":
        for row in document["classes"]:
            del row["slots_per_slab"]
    return json.dumps(document).encode() + b"\n"


class Target:
    def __init__(self, slabs, kind, still):
        self.slabs, self.kind, self.tick, self.still = slabs, kind, 0, still
        self.streams = {}

    def snapshot(self):
        message = hostile(self.kind, snapshot(self.tick, self.slabs))
        self.tick += 1
        return message

    def answer(self, client, line):
        words = line.split()
        verb = words[0] if words else ""
        arguments = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        if verb == "snapshot":
            return self.snapshot()
        if verb == "subscribe":
            self.streams[client] = [int(arguments.get("interval_ms", 200)) / 1000, 0.0,
                                    "events" in arguments.get("what", "")]
            return b'{"type":"ok","request":"subscribe"}\n'
        if verb == "profile":
            return json.dumps(profile()).encode() + b"\n"
        if verb == "ping":
            return b'{"type":"pong"}\n'
        return json.dumps({"type": "error", "request": line, "code": "unknown_verb", "message": "no such verb"}).encode() + b"\n"

    def stream(self):
        """Sends what is due. Returns the seconds until something is."""
        now = time.monotonic()
        for client, plan in list(self.streams.items()):
            if now >= plan[1]:
                plan[1] = now + plan[0]
                try:
                    if self.still is not None and self.tick >= self.still:
                        client.sendall(b'{"type":"pong"}\n')
                        continue
                    if plan[2]:
                        client.sendall(json.dumps(events(self.tick)).encode() + b"\n")
                    client.sendall(self.snapshot())
                except OSError:
                    self.streams.pop(client, None)
        return min([plan[1] - now for plan in self.streams.values()] + [1])


def main():
    directory, options = sys.argv[1], dict(zip(sys.argv[2::2], sys.argv[3::2]))
    still = int(options["--still"]) if "--still" in options else None
    if still is not None:
        identity.update(pid=4711, ppid=1, still=True)
    pid = identity["pid"]
    path = f"{directory}/{pid}-{start_time(pid)}.sock" if still is None else f"{directory}/heap"
    target = Target(int(options.get("--slabs", 12)), options.get("--hostile", ""), still)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    until = options.get("--until")
    if until is None:
        selector.register(sys.stdin, selectors.EVENT_READ)
    hello = {"type": "hello", "protocol": 2 if target.kind == "protocol" else 1, "version": "0.1.0", "pid": pid,
             "start_time": start_time(pid), "exe": "/usr/bin/mockingbird", "capabilities": ["snapshot", "subscribe", "profile", "events"]}
    print("ready", pid, path, flush=True)
    while until is None or not os.path.exists(until):
        for key, _ in selector.select(max(0, min(target.stream(), 0.05 if until else 1))):
            if key.fileobj is sys.stdin:
                if not sys.stdin.buffer.read1(4096):
                    os.unlink(path)
                    return
            elif key.fileobj is listener:
                client = listener.accept()[0]
                if target.kind == "silent":
                    target.streams[client] = [3600.0, time.monotonic() + 3600, False]
                    continue
                try:
                    client.sendall(json.dumps(hello).encode() + b"\n" if target.kind != "web" else b"HTTP/1.0 400 Bad\r\n\r\n")
                except ConnectionError:
                    client.close()
                    continue
                selector.register(client, selectors.EVENT_READ, data=bytearray())
                if "--greeted" in options:
                    open(options["--greeted"], "w", encoding="ascii").close()
            else:
                client, pending = key.fileobj, key.data
                # A viewer that ends with something unread resets the connection.
                try:
                    received = client.recv(65536)
                except ConnectionError:
                    received = b""
                pending += received
                while b"\n" in pending:
                    line, _, rest = bytes(pending).partition(b"\n")
                    pending[:] = rest
                    try:
                        client.sendall(target.answer(client, line.decode(errors="replace")))
                    except OSError:
                        received = b""
                if not received:
                    selector.unregister(client)
                    target.streams.pop(client, None)
                    client.close()
    os.unlink(path)
    sys.exit(int(options.get("--exit", 0)))


if __name__ == "__main__":
    main()
