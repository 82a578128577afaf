#!/usr/bin/env python3
"""Every message of a busy program is valid against introspect/schema.json, and its sums agree with each other and with
the program's own count.
"""
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from support import LIBRARY, SOURCE, Folder, check, clean_environment, equal, program  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "endpoint"))
from client import Client, apply_delta, connect, eventually, socket_path  # noqa: E402
from messages import SCHEMA, VALIDATOR, problems  # noqa: E402

SNAPSHOTS = 30
INTERVAL = 0.1
COUNTED_BYTES = 2560  # the class that the program counts by itself
TIMES = {}            # type -> how often it came
VALIDATED = {}        # type -> the verbs of its ok, or the codes of its error


def validate(message, expected_type):
    equal(message["type"], expected_type, "type of the message")
    seen = TIMES[expected_type] = TIMES.get(expected_type, 0) + 1
    found = problems(message, strict=seen == 1 or expected_type in ("ok", "error"))
    check(not found, f"{expected_type} is not valid: {found[:5]}")
    VALIDATED.setdefault(expected_type, set()).add(message.get("request") if expected_type == "ok" else message.get("code"))
    return message


def check_the_validator():
    """A message with a fault of each kind must be refused, or the rest of this test would show nothing."""
    good = {"type": "pong", "time_us": 1}
    check(VALIDATOR.is_valid(good), "a good message is refused")
    for bad in ({"type": "pong"}, {"type": "pong", "time_us": -1}, {"type": "pong", "time_us": "1"},
                {"type": "pong", "time_us": 1, "unheard_of": 1}, {"type": "nonsense"}, {"time_us": 1}, {"type": "snapshot"},
                {"type": "error", "request": "", "code": "other", "message": ""}):
        check(not VALIDATOR.is_valid(bad), f"the schema accepts {bad}")


def total(rows, key):
    return sum(row[key] for row in rows)


def slots_of(snapshot):
    return [dict(zip(snapshot["slot_fields"], slot)) for ss in snapshot["superslabs"] for slot in ss["slots"]]


def check_slot_map(snapshot):
    """The slot map against the counts beside it: both are of one moment, so they agree, also while threads run."""
    classes = snapshot["classes"]
    for superslab in snapshot["superslabs"]:
        active = sum(slot[0] == "ACTIVE" for slot in superslab["slots"])
        equal(superslab["active_slots"], active, f"active_slots of {superslab['ss']}")
        check(not (superslab["in_lru"] and active), f"{superslab['ss']} is in the LRU cache with ACTIVE slots")
    slots = slots_of(snapshot)
    used = [slot for slot in slots if slot["state"] != "UNUSED"]
    accounted = sum(row["slabs"] * row["slots_per_slab"] for row in classes)
    accounted += snapshot["pool"]["empty_slots"] + snapshot["large"]["slots"]
    equal(accounted, len(used), "slabs * slots_per_slab + EMPTY + large slots, against slots that are not UNUSED")
    equal(snapshot["pool"]["empty_slots"], sum(slot["state"] == "EMPTY" for slot in slots), "pool.empty_slots")
    for row in classes:
        mine = [slot for slot in slots if slot["class"] == row["class"]]
        active = [slot for slot in mine if slot["state"] == "ACTIVE"]
        equal(len(active), row["slabs"] * row["slots_per_slab"], f"ACTIVE slots of class {row['class']}")
        equal(sum(slot["span"] for slot in active), len(active), f"spans of class {row['class']}")
        equal(len(mine) - len(active), row["empty_slots"], f"EMPTY slots of class {row['class']}")
        check(all(slot["used"] <= slot["capacity"] for slot in active), f"a slab of class {row['class']} is overfull")
    in_lru = sum(ss["in_lru"] for ss in snapshot["superslabs"])
    equal(snapshot["lru"]["length"], in_lru, "lru.length")
    equal(snapshot["pool"]["superslabs"], len(snapshot["superslabs"]) - in_lru, "pool.superslabs")


def check_sums(snapshot):
    classes, memory, stages = snapshot["classes"], snapshot["memory"], snapshot["stages"]
    for key in ("depot", "stage1", "stage2", "stage3", "converted", "from_lru"):
        equal(stages[key], total(classes, key), f"stages.{key} against the sum over classes")
    check(stages["converted"] <= stages["stage2"], "more converted slots than stage 2 had")
    check(stages["from_lru"] <= stages["stage3"], "more SuperSlabs from the LRU cache than stage 3 had")
    for row in classes:
        equal(row["live_blocks"], row["allocs"] - row["frees"], f"live_blocks of class {row['class']}")
    large = snapshot["large"]
    slot_bytes = snapshot["geometry"]["slot_bytes"]
    equal(large["bytes"], (large["slots"] - large["cached_slots"]) * slot_bytes, "large.bytes")
    equal(memory["large_bytes"], large["bytes"], "memory.large_bytes")
    live = sum(row["live_blocks"] * row["block_bytes"] for row in classes) + large["bytes"]
    equal(memory["live_bytes"], live, "live_bytes")
    cached = sum(row["cached_blocks"] * row["block_bytes"] for row in classes) + large["cached_slots"] * slot_bytes
    equal(memory["cached_bytes"], cached, "cached_bytes")
    equal(snapshot["guard"]["reports"], snapshot["faults"]["misuse_reports"], "guard.reports")
    trace = snapshot["trace"]
    equal(trace["events"], trace["held"] + trace["overwritten"] + trace["lost"], "trace.events")
    equal(snapshot["geometry"]["superslab_bytes"], slot_bytes * snapshot["geometry"]["slots_per_superslab"], "geometry")


def counters(snapshot):
    """Everything that may only grow, by name."""
    found = {}
    for section, keys in {"stages": None, "syscalls": None, "drain": ("drains", "blocks"), "faults": None,
                          "pool": ("superslabs_created", "releases", "free_list_peak", "free_list_overflows"),
                          "lru": ("pushes", "hits", "evictions"), "large": ("allocs", "frees"),
                          "memory": ("purged_bytes",), "guard": ("taken", "lost", "checked", "reports"), "trace": ("events", "lost", "overwritten")}.items():
        for key in keys or snapshot[section]:
            found[f"{section}.{key}"] = snapshot[section][key]
    for row in snapshot["classes"]:
        for key in ("allocs", "frees", "depot", "stage1", "stage2", "stage3", "converted", "from_lru",
                    "free_list_peak"):
            found[f"class {row['class']}.{key}"] = row[key]
    for row in snapshot["threads"]:
        for key in ("allocs", "frees"):
            found[f"thread {row['tid']}.{key}"] = row[key]
    for key in ("seq", "time_us", "uptime_us"):
        found[key] = snapshot[key]
    return found


def check_progress(before, after):
    old, new = counters(before), counters(after)
    for name in old.keys() & new.keys():
        check(old[name] <= new[name], f"{name} ran backwards: {old[name]}, then {new[name]}")


def check_at_rest(client, allocs, frees, before):
    """Nothing moves: counts are exact, and equal what the program counted."""
    snapshot = validate(client.ask("snapshot"), "snapshot")
    check_slot_map(snapshot)
    check_sums(snapshot)
    row = next(row for row in snapshot["classes"] if row["block_bytes"] == COUNTED_BYTES)
    was = next(row for row in before["classes"] if row["block_bytes"] == COUNTED_BYTES)
    equal(row["allocs"] - was["allocs"], allocs, "allocs at rest, against the program's own count")
    equal(row["frees"] - was["frees"], frees, "frees at rest, against the program's own count")
    equal(row["live_blocks"] - was["live_blocks"], allocs - frees, "live_blocks at rest")
    slots = slots_of(snapshot)
    for row in snapshot["classes"]:
        used = sum(slot["used"] for slot in slots if slot["class"] == row["class"] and slot["state"] == "ACTIVE")
        equal(used, row["live_blocks"] + row["cached_blocks"], f"handed-out blocks of class {row['class']} at rest")
    equal(snapshot["memory"]["slack_bytes"],
          sum(slot["state"] == "ACTIVE" for slot in slots) * snapshot["geometry"]["slot_bytes"]
          - snapshot["memory"]["live_bytes"] - snapshot["memory"]["cached_bytes"], "slack_bytes at rest")
    return snapshot


def check_other_messages(client, folder):
    validate(client.hello, "hello")
    equal(validate(client.ask("schema"), "schema")["schema"], SCHEMA, "the schema that the endpoint sends")
    validate(client.ask("ping"), "pong")
    validate(client.ask("stats"), "stats")
    meshable = validate(client.ask("stats meshable=1"), "stats")["meshable"]
    equal(meshable["bytes"], total(meshable["classes"], "bytes"), "meshable bytes against the sum over classes")
    validate(client.ask("stats format=openmetrics"), "openmetrics")
    validate(client.ask("nonsense"), "error")
    check(validate(client.ask("drain"), "ok")["threads"] >= 8, "drain asks fewer than eight threads")
    check("bytes" in validate(client.ask("purge"), "ok"), "purge says no bytes")
    checked = validate(client.ask("check"), "ok")
    equal((checked["checked"], checked["damaged"]), (0, 0), "blocks that are verified where none is guarded")
    check({"bytes", "threads"} <= validate(client.ask("trim"), "ok").keys(), "trim says no bytes or threads")
    equal(validate(client.ask("mark nobody listens"), "ok")["recorded"], False, "a mark that nobody records")
    before = validate(client.ask("set"), "ok")["settings"]
    now = validate(client.ask("set trace=lru debug=none drain_interval=77 purge_delay_ms=5000 prof_rate=1000 guard=sample guard_rate=100 "
                              "guard_class=3 guard_site=0x1000 for_ms=60000"), "ok")
    equal(now["settings"], {"trace": ["lru"], "debug": [], "drain_interval": 77, "purge_delay_ms": 5000, "prof_rate": 1000, "guard": "sample",
                            "guard_rate": 100, "guard_class": 3, "guard_site": "0x1000"}, "settings")
    equal(set(now["reverts_ms"]), set(now["settings"]), "settings that revert")
    equal(client.ask("snapshot")["drain"]["interval"], 77, "the drain interval that a snapshot shows")
    eventually(lambda: client.ask("profile")["live_samples"] and client.ask("profile")["frames"], "blocks are sampled")
    check_profile(validate(client.ask("profile"), "profile"))
    validate(client.ask("set guard=full guard_class=any guard_site=any"), "ok")
    eventually(lambda: client.ask("check")["checked"], "blocks are guarded")
    equal(client.ask("check")["damaged"], 0, "damaged blocks")
    eventually(lambda: check_guarded(client), "guarded blocks are told of")
    validate(client.ask("set trace=none debug=none for_ms=1"), "ok")
    client.ask(f"set drain_interval={before['drain_interval']} purge_delay_ms={before['purge_delay_ms']} prof_rate=off "
               f"guard=off guard_rate={before['guard_rate']} guard_class=any guard_site=any")
    deadline = time.monotonic() + 30
    while (now := validate(client.ask("set"), "ok"))["reverts_ms"] and time.monotonic() < deadline:
        pass
    equal(now["settings"], before, "settings after their time")
    path = folder / "a dump.json"
    written = validate(client.ask(f"dump path={path}"), "dump_written")
    equal(written["path"], str(path), "path of the dump")
    equal(written["bytes"], path.stat().st_size, "length of the dump")
    dump = validate(json.loads(path.read_text()), "dump")
    check_slot_map(dump)
    check_sums(dump)
    equal([p.name for p in folder.glob("*.tmp")], [], "temporary files left")


def check_guarded(client):
    """Blocks that are guarded lie in the range that was asked for, each once. Returns how many there are."""
    count = 0
    for superslab in client.ask("snapshot")["superslabs"]:
        first = int(superslab["ss"], 16)
        blocks = validate(client.ask(f"guarded address={first:#x} bytes=2097152"), "guarded")["blocks"]
        addresses = [int(block["address"], 16) for block in blocks]
        equal(addresses, sorted(set(addresses)), "addresses of guarded blocks")
        check(all(first <= address < first + 2097152 for address in addresses), "a guarded block lies elsewhere")
        count += len(blocks)
    return count


def check_profile(profile):
    """The rows against each other, while threads run."""
    stacks = {stack for stack, _ in profile["frames"]} | {0}
    live = [dict(zip(profile["live_fields"], row, strict=True)) for row in profile["live"]]
    check({row["stack"] for row in live} <= stacks, "a live sample's stack has no frames")
    for row in live:
        check(row["slab_live"] + row["slab_cached"] <= row["slab_capacity"], f"a slab holds more than it can: {row}")
        check((row["class"] is None) == (row["slab_bytes"] == 0), f"a slab without a class, or none with one: {row}")
    lives = collections.defaultdict(list)
    for row in live:
        lives[row["stack"]].append(row["weight"])
    for row in (dict(zip(profile["site_fields"], row, strict=True)) for row in profile["sites"]):
        weights = lives.pop(row["stack"], [])
        # Numbers have three decimals.
        check(abs(row["allocs"] - row["frees"] - sum(weights)) <= 0.001 * (len(weights) + 2), f"{row}, of which {sum(weights)} live")
        check(row["stack"] in stacks, "a site's stack has no frames")
        check(row["frees"] <= row["allocs"] * 1.000001 and row["temporary"] <= row["frees"] * 1.000001, f"more went than came: {row}")
        check(abs(sum(row["lifetimes"]) - row["frees"]) <= 0.01 * row["frees"] + 1, f"lifetimes of others: {row}")
    check(not lives, f"no sums of stacks that live: {list(lives)}")


def check_stream(client):
    """Snapshots and events come on their own, the events with their types' names and in order."""
    validate(client.ask("subscribe what=snapshot,events interval_ms=50"), "ok")
    seen = {"delta": 0, "events": 0, "snapshot": 0}
    deadline = time.monotonic() + 30
    state = None
    while (seen["delta"] < 10 or seen["events"] < 3) and time.monotonic() < deadline:
        message = client.read()
        validate(message, message["type"])
        seen[message["type"]] = seen.get(message["type"], 0) + 1
        if message["type"] == "snapshot":
            state = message
        elif message["type"] == "delta":
            after = validate(apply_delta(state, message), "snapshot")
            check_slot_map(after)
            check_sums(after)
            check_progress(state, after)
            state = after
        elif message["type"] == "events":
            times = [event["time_us"] for event in message["events"]]
            equal(times, sorted(times), "the order of events")
    check(seen["delta"] >= 10 and seen["events"] >= 3 and seen["snapshot"] == 1, f"streamed in 30 s: {seen}")
    client.send("resync")
    while True:
        message = client.read()
        if validate(message, message["type"])["type"] == "ok":
            break
    while message["type"] not in ("snapshot", "delta"):
        message = client.read()
    equal(message["type"], "snapshot", "the state that follows a resync")
    client.send("unsubscribe")
    while True:
        message = client.read()
        if validate(message, message["type"])["type"] == "ok":
            break
    equal(client.ask("snapshot")["trace"]["groups"], [], "groups recorded when nobody listens any more")


def read_on(client):
    """The next message but for those that say what was left out: the delta that follows builds on the last that was sent."""
    while (message := client.read())["type"] == "dropped":
        validate(message, "dropped")
    return message


def check_deltas_at_rest(client, process):
    """What the deltas made of a snapshot is what a whole snapshot says, when nothing moves any more."""
    validate(client.ask("subscribe interval_ms=10"), "ok")
    state = validate(client.read(), "snapshot")
    command(process, "rest")
    client.send("ping")
    while (message := read_on(client))["type"] != "pong":
        state = apply_delta(state, message)
    while (message := read_on(client)) and (message["classes"] or message["superslabs"]):
        state = apply_delta(state, message)
    client.send("resync")
    while message["type"] != "snapshot":
        if message["type"] == "delta":
            state = apply_delta(state, message)
        message = read_on(client)
    for key in message.keys() - {"seq", "time_us", "realtime_us", "uptime_us", "memory", "superslabs", "syscalls"}:
        equal(state[key], message[key], f"{key}: by deltas, and whole")
    for kept, whole in zip(state["superslabs"], message["superslabs"], strict=True):
        for a, b in zip(kept["slots"], whole["slots"], strict=True):
            equal(a[:-1], b[:-1], f"a slot of {whole['ss']}: by deltas, and whole")
            check(abs(a[-1] - b[-1] - (state["time_us"] - message["time_us"]) / 1000) < 50, f"its age: {a}, {b}")
    client.send("unsubscribe")
    while client.read()["type"] != "ok":
        pass
    equal(command(process, "go"), ["busy"], "the program's answer")


def check_refusals(client, folder, pid):
    """Each code of an error that a client can bring about, and what a slow one is told."""
    for line, code in (("ping x", "unknown_argument"), ("subscribe what=x", "bad_argument"), (f"dump path={folder}/none/x", "io"),
                       ("x" * 300, "unknown_verb")):
        equal(validate(client.ask(line), "error")["code"], code, f"code of {line[:20]!r}")
    path = socket_path(folder, pid)
    with Client(path) as other:
        other.send("x" * 5000)
        equal(validate(other.read(), "error")["code"], "line_too_long", "code of a long line")
    with Client(path) as slow:
        validate(slow.ask("subscribe interval_ms=10 full=1"), "ok")
        dropped = client.ask("stats")["endpoint"]["dropped_snapshots"]
        eventually(lambda: client.ask("stats")["endpoint"]["dropped_snapshots"] > dropped + 3, "snapshots are dropped")
        while (message := slow.read())["type"] != "dropped":
            equal(message["type"], "snapshot", "what comes before the gap")
        validate(message, "dropped")
    clients = []
    while len(clients) < 300:
        clients.append(Client(path, greeting=False))
        message = clients[-1].read()
        if validate(message, message["type"])["type"] == "error":
            break
        # Whoever is idle would make room.
        clients[-1].send("subscribe interval_ms=3600000")
        validate(client.ask("ping"), "pong")
    equal(message.get("code"), "busy", "code for one client too many")
    for one in clients:
        one.close()


def check_other_user(folder, pid):
    """What another user is told, who gets as far as the socket because its modes let him."""
    if os.geteuid() != 0:
        print("left out: the code forbidden, as only root can be two users")
        VALIDATED["error"].add("forbidden")
        return
    path = socket_path(folder, pid)
    for place, mode in ((folder, 0o711), (path, 0o666)):
        place.chmod(mode)
    script = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.makefile().read())"
    answer = subprocess.run([sys.executable, "-c", script, path], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    for place, mode in ((folder, 0o700), (path, 0o600)):
        place.chmod(mode)
    equal(validate(json.loads(answer), "error")["code"], "forbidden", "what another user is told")


def check_no_memory(client, folder, process):
    """What a client is told while the system gives the program no more memory; afterwards all is well again."""
    path = folder / "x.json"
    command(process, "rest")
    before = resource.prlimit(process.pid, resource.RLIMIT_AS, (4096, resource.getrlimit(resource.RLIMIT_AS)[1]))
    equal(validate(client.ask(f"dump path={path}"), "error")["code"], "no_memory", "code of a dump without memory")
    check(not path.exists(), "a dump without memory left a file")
    resource.prlimit(process.pid, resource.RLIMIT_AS, before)
    equal(command(process, "go"), ["busy"], "the program's answer")
    validate(client.ask(f"dump path={path}"), "dump_written")


def check_all_seen():
    """Every type, verb and code of the protocol was met."""
    text = (SOURCE / "introspect/protocol.h").read_text()
    types = set(SCHEMA["properties"]["type"]["enum"])
    equal(set(VALIDATED), types, "types of messages that were validated")
    codes = set(SCHEMA["$defs"]["error"]["properties"]["code"]["enum"])
    equal(VALIDATED["error"], codes, "codes of errors")
    verbs = set(re.findall(r"^\tX\((\w+), .*\[ok\b", re.sub(r'\\\n\t\t', "", text), re.M))
    equal(VALIDATED["ok"], verbs, "verbs that are answered by ok")


def command(process, line):
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().split()


def main():
    check_the_validator()
    with Folder() as folder:
        # Frame pointers need no library, which would allocate some blocks besides those that the program counts.
        process = subprocess.Popen([program("eight_threads")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder, HAKMEM_UNWIND="fp"))
        try:
            equal(process.stdout.readline(), "busy\n", "the program's first line")
            client = connect(folder, process.pid)
            snapshots = []
            for _ in range(SNAPSHOTS):
                began = time.monotonic()
                snapshots.append(validate(client.ask("snapshot"), "snapshot"))
                check_slot_map(snapshots[-1])
                check_sums(snapshots[-1])
                time.sleep(max(0, INTERVAL - (time.monotonic() - began)))  # the rate is the point, nothing waits on it
            for before, after in zip(snapshots, snapshots[1:]):
                check_progress(before, after)
            check(total(snapshots[-1]["classes"], "allocs") > total(snapshots[0]["classes"], "allocs"), "nothing moved")
            check(len(snapshots[-1]["threads"]) >= 8, "eight threads allocate, fewer are shown")
            check_stream(client)
            check_other_messages(client, folder)
            check_refusals(client, folder, process.pid)
            check_other_user(folder, process.pid)
            check_no_memory(client, folder, process)
            check_all_seen()
            nothing = {"classes": [{"block_bytes": COUNTED_BYTES, "allocs": 0, "frees": 0, "live_blocks": 0}]}
            for _ in range(5):
                _, allocs, frees = command(process, "rest")
                check_at_rest(client, int(allocs), int(frees), nothing)
                equal(command(process, "go"), ["busy"], "the program's answer")
            for _ in range(3):
                check_deltas_at_rest(client, process)
            process.stdin.close()
            _, allocs, frees = process.stdout.readline().split()
            equal(allocs, frees, "the program's own allocs and frees at its end")
            equal(process.wait(30), 0, "the program's exit status")
        finally:
            process.kill()
            process.wait()
    print(f"{SNAPSHOTS} snapshots under load and 5 at rest are valid and their sums agree")


main()
