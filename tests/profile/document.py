"""Makes profiles for the tests of the viewer, as a target would send them, of the addresses that the program `planted` prints: what is
at which address can then be compared with the source. Bytes and weights are made up, and returned beside the document."""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import check, run, tool

SITE_FIELDS = ["stack", "allocs", "alloc_bytes", "alloc_variance", "frees", "free_bytes", "temporary", "lifetimes"]
LIVE_FIELDS = ["address", "bytes", "class", "stack", "tid", "age_ms", "weight", "slab_live", "slab_capacity", "slab_cached", "slab_bytes",
               "block_bytes"]
BOUNDS = [1, 10, 100, 1000, 10000, 100000]


def build_id(path):
    notes = run([tool("readelf"), "-n", path]).stdout
    found = re.search(r"Build ID: ([0-9a-f]+)", notes)
    return found[1] if found else ""


def planted(program):
    """What the program printed: {number: (line of the call, [addresses])}, and its modules."""
    stacks, modules = {}, []
    for line in run([program]).stdout.splitlines():
        words = line.split(" ")
        if words[0] == "stack":
            stacks[int(words[1])] = int(words[2]), words[3:]
        elif words[0] == "module":
            path = str(program) if not modules else words[3]
            file = pathlib.Path(path)
            modules.append({"path": path, "base": words[1], "end": words[2], "build_id": build_id(file) if file.is_file() else ""})
    check(len(stacks) == 3, f"{program} printed {len(stacks)} stacks")
    return stacks, modules


def document(stacks, modules, blocks, sites=(), rate=65536, **members):
    """A profile message. `blocks` are dicts by LIVE_FIELDS, `sites` by SITE_FIELDS; what they leave out is made up."""
    live = []
    for number, block in enumerate(blocks):
        row = {"address": hex(0x7f0000000000 + 64 * number), "bytes": 48, "class": 2, "stack": 1, "tid": 4711, "age_ms": 1000 * (number + 1),
               "weight": 1, "slab_live": 0, "slab_capacity": 0, "slab_cached": 0, "slab_bytes": 0, "block_bytes": 0} | block
        live.append([row[name] for name in LIVE_FIELDS])
    counted = []
    for site in sites:
        row = dict.fromkeys(SITE_FIELDS, 0) | {"lifetimes": [0] * (len(BOUNDS) + 1)} | site
        counted.append([row[name] for name in SITE_FIELDS])
    return {"type": "profile", "protocol": 1, "seq": 1, "time_us": 5000000, "rate": rate, "state": "on", "engine": "libunwind", "seed": 1,
            "samples": 10 * len(live), "live_samples": len(live), "lost_samples": 0, "stacks": len(stacks), "stack_capacity": 16384,
            "lost_stacks": 0, "unwind_failures": {}, "lifetime_bounds_ms": BOUNDS, "site_fields": SITE_FIELDS, "sites": counted,
            "live_fields": LIVE_FIELDS, "live": live, "frames": [[number, frames] for number, frames in stacks.items()],
            "modules": modules} | members


def write(path, value):
    pathlib.Path(path).write_text(json.dumps(value), encoding="utf-8")
    return path
