#!/usr/bin/python3
"""The heap profiler on real programs, by what it leaves in dumps, says at the end and answers over the socket. profiler.py CASE"""
import json
import pathlib
import re
import resource
import signal
import subprocess
import sys
import sysconfig

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, SOURCE, Folder, check, clean_environment, equal, messages, program, run, skip, tool

sys.path.insert(0, str(SOURCE / "tests/endpoint"))
from client import connect, eventually

ENGINES = {"tables": "tables", "libunwind": "libunwind", "gcc": "unwind_backtrace", "fp": "frame_pointers"}


def profiled(command, folder, rate=1, expect=0, library=LIBRARY, **variables):
    """Runs a command under the profiler. Returns its result, and the profile and modules of the dump that it leaves."""
    dump = folder / "dump.json"
    variables = {"HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": rate, "HAKMEM_PROF_SEED": 1, "HAKMEM_DUMP_ON": "exit",
                 "HAKMEM_DUMP_PATH": dump, "PYTHONMALLOC": "malloc"} | {f"HAKMEM_{name}": value for name, value in variables.items()}
    result = run(command, library=library, env=variables, expect=expect, timeout=280)
    document = json.loads(dump.read_text())
    check("profile" in document, "the dump has no profile")
    return result, document["profile"], document["modules"]


def rows(profile, name):
    return [dict(zip(profile[f"{name}_fields"], row, strict=True)) for row in profile[name + ("s" if name == "site" else "")]]


def live_by_stack(profile):
    """{stack: (estimated blocks, estimated bytes)} of what lives."""
    sums = {}
    for row in rows(profile, "live"):
        blocks, size = sums.get(row["stack"], (0, 0))
        sums[row["stack"]] = blocks + row["weight"], size + row["weight"] * row["bytes"]
    return sums


def line_of(modules, address):
    """Where in the source the call stands that returns to an address: file:line by addr2line."""
    at = int(address, 16) - 1
    for module in modules:
        base, end = int(module["base"], 16), int(module["end"], 16)
        if base <= at < end:
            return run([tool("addr2line"), "-e", module["path"], hex(at - base)]).stdout.strip().rsplit("/", 1)[-1]
    return "?"


def line_with(path, mark):
    """The number of the source's line that holds a mark."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if mark in line)


def exceptions():
    """C++ exceptions in many threads, with each engine loaded and every block's stack looked at."""
    with Folder() as folder:
        for word, name in ENGINES.items():
            result, profile, _ = profiled([program("profile_throw")], folder, UNWIND=word)
            equal(messages(result), "", "messages")
            equal(result.stdout, "all exceptions arrived\n", "the program's answer")
            equal(profile["engine"], name, "engine")
            check(profile["samples"] > 10000, f"{profile['samples']} samples only")
            unknown = sum(site["allocs"] for site in rows(profile, "site") if site["stack"] == 0)
            check(unknown == 0, f"{unknown} blocks of unknown stacks; {profile['unwind_failures']}")


def plugin():
    """A C program that loads a C++ library, whose exceptions libunwind's names must not take away."""
    with Folder() as folder:
        for word, name in ENGINES.items():
            result, profile, _ = profiled([program("plugin_host"), program("plugin.so")], folder, UNWIND=word)
            equal(result.stdout, "200 of 200 caught\n", "the program's answer")
            equal(profile["engine"], name, "engine")


def own_unwinder():
    """A program that uses libunwind itself."""
    with Folder() as folder:
        result, profile, _ = profiled([program("plugin_host"), "unwind"], folder, expect=None, UNWIND="libunwind")
        if result.returncode == 77:
            skip("libunwind is not installed")
        check(re.fullmatch(r"200 of 200 alike, \d+ frames\n", result.stdout), f"the program said {result.stdout!r}")
        equal(profile["engine"], "libunwind", "engine")


def unwinding():
    """A hundred threads, most of which allocate while others load libraries, throw and fork. For a minute of it:
    HAKMEM_PROF=1 HAKMEM_PROF_RATE=1 LD_PRELOAD=out/release/libhakmem.so out/release/tests/unwinding out/release/tests/plugin.so 60"""
    with Folder() as folder:
        for word in ENGINES:
            result, profile, _ = profiled([program("unwinding"), program("plugin.so")], folder, rate=64, UNWIND=word)
            equal(result.stdout, "0 failures\n", f"the program's answer with {word}")
            check(profile["samples"] > 10000, f"{profile['samples']} samples only")


def no_frame_pointers():
    """Frame pointers lead astray in code without them, but nowhere that can't be read."""
    with Folder() as folder:
        script = "x = {str(i): [i] for i in range(20000)}"
        _, profile, _ = profiled([sys.executable, "-c", script], folder, UNWIND="fp", PROF_STACKS=1000000)
        check(profile["engine"] == "frame_pointers" and profile["samples"] > 20000, "too few samples")


def descriptors():
    """libunwind keeps a pipe. A program that closes it, and gets its numbers for files of its own, finds them untouched."""
    with Folder() as folder:
        script = ("import os\nos.closerange(3, 256)\nfiles = [os.open(f'FOLDER/{i}', os.O_RDWR | os.O_CREAT) for i in range(8)]\n"
                  "for file in files: os.write(file, b'0123456789'); os.lseek(file, 0, 0)\n"
                  "keep = [[str(i)] for i in range(20000)]\n"
                  "for file in files: assert os.read(file, 100) == b'0123456789', 'not what was written'\n").replace("FOLDER", str(folder))
        for word in ENGINES:
            result, profile, _ = profiled([sys.executable, "-c", script], folder, UNWIND=word, expect=None)
            equal((result.returncode, result.stderr), (0, ""), f"with {word}")
            check(profile["engine"] == (ENGINES[word] if word != "libunwind" else "tables"), f"engine {profile['engine']}")
            for path in folder.glob("?"):
                path.unlink()
        listing = run(["/usr/bin/python3", "-c", "import os; print(os.dup(0))"], library=LIBRARY, env={"HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": 1})
        equal(listing.stdout, "3\n", "the lowest free descriptor")


def crashed():
    """A crash while eight threads allocate: what its dump says was allocated of a stack is what went of it and what lives of it."""
    with Folder() as folder:
        path = folder / "crash.json"
        process = subprocess.Popen([program("eight_threads")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
                                   env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder, HAKMEM_PROF=1, HAKMEM_PROF_RATE=1,
                                                         HAKMEM_DUMP_ON="crash", HAKMEM_DUMP_PATH=path))
        try:
            equal(process.stdout.readline(), "busy\n", "the program's first line")
            client = connect(folder, process.pid)
            eventually(lambda: client.ask("profile")["samples"] > 100000, "samples are taken")
            process.send_signal(signal.SIGSEGV)
            equal(process.wait(60), -signal.SIGSEGV, "the program's end")
        finally:
            process.kill()
            process.wait()
        profile = json.loads(path.read_text())["profile"]
        live, sites = live_by_stack(profile), rows(profile, "site")
        check(sum(site["frees"] for site in sites) > 10000 and live, "hardly anything was freed, or nothing lives")
        for site in sites:
            blocks, size = live.get(site["stack"], (0, 0))
            equal((site["allocs"], site["alloc_bytes"]), (site["frees"] + blocks, site["free_bytes"] + size), f"stack {site['stack']}")
        check(set(live) <= {site["stack"] for site in sites}, "a stack that lives has no sums")


def exact_leaks():
    """At a rate of one what lives is exact: so many blocks of such sizes, from the source's very lines."""
    source = SOURCE / "tests/profile/leaking.cpp"
    expected = {f"leaking.cpp:{line_with(source, 'the first place')}": (123, 123 * 208),
                f"leaking.cpp:{line_with(source, 'the second place')}": (45, sum(1000 + i for i in range(45)))}
    with Folder() as folder:
        _, profile, modules = profiled([program("leaking"), "leak"], folder)
        frames = dict(profile["frames"])
        found = {}
        for stack, sums in live_by_stack(profile).items():
            lines = [line_of(modules, frame) for frame in frames[stack][:2]]
            found |= {line: sums for line in lines if line in expected}
        equal(found, expected, "what lives, by line")
        gone = [site for site in rows(profile, "site") if site["frees"] and site["allocs"] == site["frees"]]
        check(sum(site["frees"] for site in gone) >= 5000, "blocks that went are not told of")


def report():
    """The text at the end, and the exit status."""
    leaked = 123 * 208 + sum(1000 + i for i in range(45))
    with Folder() as folder:
        log = folder / "log"
        result, _, modules = profiled([program("leaking"), "leak"], folder, expect=23, PROF_REPORT="exit", PROF_LEAK_EXIT=23, LOG_FILE=log)
        lines = log.read_text().splitlines()
        equal(result.stdout, "done\n", "what the program wrote before")
        equal(lines[0], f"hakmem: live at the end: {leaked} bytes in 168 blocks of 2 stacks", "the sum")
        text = sum(1000 + i for i in range(45))
        check(f"hakmem:   {text} bytes in 45 blocks from" in lines, f"the second place is missing in {lines}")
        first = lines[lines.index(f"hakmem:   {123 * 208} bytes in 123 blocks from") + 1:]
        where = next(line for line in first if f"{program('leaking')}+" in line).rsplit("+", 1)
        line = run([tool("addr2line"), "-e", program("leaking"), where[1]]).stdout.strip()
        check(line.endswith(f"leaking.cpp:{line_with(SOURCE / 'tests/profile/leaking.cpp', 'the first place')}"), f"{where} is {line}")
        log.unlink()
        result, _, _ = profiled([program("leaking")], folder, PROF_REPORT="exit", PROF_LEAK_EXIT=23, LOG_FILE=log)
        equal(log.read_text(), "hakmem: live at the end: 0 bytes in 0 blocks of 0 stacks\n", "nothing leaks")
        log.unlink()
        profiled([program("leaking")], folder, PROF_REPORT="exit", PROF_LEAK_EXIT=23, LOG_FILE=log, INTROSPECT=1, DIR=folder / "sockets")
        equal(log.read_text(), "hakmem: live at the end: 0 bytes in 0 blocks of 0 stacks\n", "the endpoint's thread is no leak of the program")
        result, _, _ = profiled([program("leaking"), "leak"], folder, rate=2000, PROF_REPORT="exit", LOG_FILE=folder / "estimate")
        check(re.search(r"^hakmem: live at the end: \d+ bytes \(\+-\d+\) in \d+ blocks", (folder / "estimate").read_text()), "no estimate's error")


def pinned():
    """Three sites that keep one block in four of a slab: named first, in order, each within 15 % of the truth."""
    with Folder() as folder:
        result, profile, _ = profiled([program("pinning")], folder, rate=65536)
        truth = {name: (int(where, 16), int(bytes_)) for name, where, bytes_ in map(str.split, result.stdout.splitlines())}
        frames = dict(profile["frames"])
        pins = {}
        for row in rows(profile, "live"):
            if row["slab_live"]:
                free = row["slab_bytes"] - (row["slab_live"] + row["slab_cached"]) * row["block_bytes"]
                pins[row["stack"]] = pins.get(row["stack"], 0) + row["weight"] * free / row["slab_live"]
        order = sorted(pins, key=pins.get, reverse=True)[:3]
        for stack, name in zip(order, sorted(truth, key=lambda name: -truth[name][1]), strict=True):
            where, expected = truth[name]
            check(any(int(frame, 16) == where for frame in frames[stack]), f"the stack that should be {name} is another one")
            error = pins[stack] / expected - 1
            print(f"{name}: {pins[stack] / 2**20:.1f} MiB of {expected / 2**20:.1f}, {error:+.1%}")
            check(abs(error) <= 0.15, f"{name} is off by {error:.1%}")


def run_time():
    """Started, changed, looked at and ended over the socket."""
    with Folder() as folder:
        process = subprocess.Popen([program("eight_threads")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder))
        try:
            equal(process.stdout.readline(), "busy\n", "the program's first line")
            client = connect(folder, process.pid)
            equal(client.ask("profile")["state"], "off", "before")
            equal(client.ask("set prof_rate=0")["code"], "bad_argument", "a rate of none")
            equal(client.ask("set prof_rate=4096")["settings"]["prof_rate"], 4096, "the rate")
            eventually(lambda: client.ask("profile")["samples"] > 1000, "samples are taken")
            profile = client.ask("profile")
            equal((profile["state"], profile["rate"], profile["lost_stacks"]), ("on", 4096, 0), "while it is on")
            check(profile["frames"] and profile["modules"], "no frames or modules")
            check(any(site["temporary"] for site in rows(profile, "site")), "nothing is temporary")
            client.ask("set prof_rate=1 for_ms=100")
            eventually(lambda: client.ask("profile")["rate"] == 4096, "the rate reverts")
            equal(client.ask("set prof_rate=off")["settings"]["prof_rate"], 0, "off")
            eventually(lambda: client.ask("profile")["samples"] == client.ask("profile")["samples"], "no more samples are taken")
            process.stdin.close()
            process.stdout.read()
            equal(process.wait(60), 0, "the program's exit status")
        finally:
            process.kill()
            process.wait()


def children():
    """A child of fork goes on with the profile of its parent, in its own memory."""
    with Folder() as folder:
        script = "import os\nkeep = [bytearray(5000) for _ in range(100)]\nchild = os.fork()\nmore = [bytearray(7000) for _ in range(50)]\n" \
                 "if child: os.waitpid(child, 0)\n"
        run([sys.executable, "-c", script], library=LIBRARY, env={
            "HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": 1, "PYTHONMALLOC": "malloc", "HAKMEM_DUMP_ON": "exit",
            "HAKMEM_DUMP_PATH": folder / "%p.json", "HAKMEM_PROF_SAMPLES": 1000000})
        found = [json.loads(path.read_text())["profile"] for path in folder.glob("*.json")]
        equal(len(found), 2, "dumps")
        for profile in found:
            check(profile["live_samples"] and not profile["lost_samples"], "no samples live, or some are lost")


def static_program():
    """Debian's linker leaves the index of the tables out of a static program: frame pointers lead on then."""
    with Folder() as folder:
        _, profile, _ = profiled([program("static_c")], folder, library=None)
        check(profile["engine"] in ("tables", "frame_pointers"), f"the engine is {profile['engine']}")
        found = [frames for _, frames in profile["frames"]]
        check(len(found) > 10 and max(map(len, found)) > 2, f"stacks: {found[:20]}")


def extension():
    """A leak planted in a C extension of python: found, with its line."""
    source = SOURCE / "tests/profile/leaking_module.c"
    header = pathlib.Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        skip("python3-dev is not installed")
    with Folder() as folder:
        run([tool("cc"), "-shared", "-fPIC", "-g", "-O1", f"-I{header.parent}", source, "-o", folder / "leaking_module.so"])
        script = f"import sys; sys.path.insert(0, '{folder}'); import leaking_module\nfor i in range(77): leaking_module.leak(3000)"
        _, profile, modules = profiled([sys.executable, "-c", script], folder)
        frames = dict(profile["frames"])
        line = f"leaking_module.c:{line_with(source, 'the leak')}"
        found = [sums for stack, sums in live_by_stack(profile).items() if stack and line_of(modules, frames[stack][0]) == line]
        # The interpreter comes there by more ways than one.
        equal((sum(blocks for blocks, _ in found), sum(size for _, size in found)), (77, 77 * 3000), "what the extension leaked")


def beyond_tables():
    """Stacks that our own engine doesn't follow to their ends, in a C program without libgcc_s: found all the same, and it isn't loaded."""
    source = SOURCE / "tests/profile/beyond_tables.c"
    with Folder() as folder:
        for word, name in {"tables": "tables", "gcc": "unwind_backtrace"}.items():
            result, profile, modules = profiled([program("beyond_tables")], folder, UNWIND=word)
            equal(result.stdout, "done\n", "the program's answer")
            equal((profile["engine"], profile["unwind_failures"]["strange_stack"]), (name, 0), "engine, and what it failed at")
            frames = dict(profile["frames"])
            for size, marks in {1111: ("in the handler", "it is raised"), 2222: ("on its own stack", "where that begins")}.items():
                stacks = {row["stack"] for row in rows(profile, "live") if row["bytes"] == size}
                equal(len(stacks), 1, f"stacks of the blocks of {size} bytes with {word}")
                lines = [line_of(modules, frame) for frame in frames[stacks.pop()]]
                missing = [mark for mark in marks if f"beyond_tables.c:{line_with(source, mark)}" not in lines]
                check(not missing, f"{missing} missing in {lines} with {word}")
            loaded = any("libgcc_s" in module["path"] for module in modules)
            equal(loaded, word == "gcc", f"libgcc_s is loaded with {word}")


def crash():
    """What a crash leaves has the profile too, read without locks."""
    with Folder() as folder:
        path = folder / "crash.json"
        run([program("crash")], library=LIBRARY, expect=-6, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), env={
            "HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": 1, "HAKMEM_DUMP_ON": "abort", "HAKMEM_DUMP_PATH": path})
        profile = json.loads(path.read_text())["profile"]
        sums = live_by_stack(profile)
        stacks = {stack for stack, (blocks, _) in sums.items() if blocks == 1000}
        equal(len(stacks), 1, "stacks of the thousand blocks that live")
        check(stacks <= set(dict(profile["frames"])), "their frames are missing")
        check((1, 5 << 20) in sums.values(), "the large block is missing")


CASES = {case.__name__: case for case in (exceptions, plugin, own_unwinder, unwinding, exact_leaks, report, pinned, run_time, children, static_program, extension, crash, crashed, no_frame_pointers, descriptors, beyond_tables)}

CASES[sys.argv[1]]()
