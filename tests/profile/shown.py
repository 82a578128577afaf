#!/usr/bin/python3
"""What hakmem-top says of programs with planted leaks and planted pins, whose sources have the truth. Usage: shown.py CASE."""
import json
import pathlib
import sys
import sysconfig

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, SOURCE, Folder, check, equal, program, run, skip, tool


def profiled(folder, command, report, rate=1):
    """Runs a command under the profiler. Returns what it printed, and the sites of a report on the dump that it left."""
    dump = folder / "dump.json"
    said = run(command, library=LIBRARY, env={"HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": rate, "HAKMEM_PROF_SEED": 1, "HAKMEM_DUMP_ON": "exit",
                                              "HAKMEM_DUMP_PATH": dump}).stdout
    return said, json.loads(run([BUILD / "hakmem-top", f"--report={report}", "--json", dump]).stdout)["sites"]


def line_with(path, mark):
    """The number of the source's line that holds a mark."""
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if mark in line)


def planted_at(sites, source, mark):
    """[blocks, bytes] of the sites whose innermost line is the one with the mark."""
    place = (str(source), line_with(source, mark))
    found = [site for site in sites if site["frames"] and (site["frames"][0].get("file"), site["frames"][0].get("line")) == place]
    return [sum(site[name] for site in found) for name in ("live_blocks", "live_bytes")]


def cxx_leaks():
    """At a rate of one leaks are exact, and first."""
    source = SOURCE / "tests/profile/leaking.cpp"
    with Folder() as folder:
        _, sites = profiled(folder, [program("leaking"), "leak"], "leaks")
        equal(planted_at(sites[:2], source, "the first place"), [123, 123 * 208], "the first leak")
        equal(planted_at(sites[:2], source, "the second place"), [45, sum(1000 + i for i in range(45))], "the second leak")


def python_leaks():
    """A leak in a C extension of python, wherever the interpreter comes there from."""
    source = SOURCE / "tests/profile/leaking_module.c"
    header = pathlib.Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        skip("python3-dev is not installed")
    with Folder() as folder:
        run([tool("cc"), "-shared", "-fPIC", "-g", "-O1", f"-I{header.parent}", source, "-o", folder / "leaking_module.so"])
        script = f"import sys; sys.path.insert(0, '{folder}'); import leaking_module\nfor i in range(77): leaking_module.leak(3000)"
        _, sites = profiled(folder, [sys.executable, "-c", script], "leaks")
        equal(planted_at(sites, source, "the leak"), [77, 77 * 3000], "the leak")


def pins():
    """Three call sites that pin slabs: named first, in their order, each within 15 % of the truth and three standard errors."""
    with Folder() as folder:
        said, sites = profiled(folder, [program("pinning")], "pinned", rate=65536)
        truth = sorted(((int(size), int(where, 16), name) for name, where, size in map(str.split, said.splitlines())), reverse=True)
        for (size, where, name), site in zip(truth, sites[:3], strict=True):
            check(where in [int(frame["address"], 16) for frame in site["frames"]], f"{name} is not where it belongs")
            error = site["pinned_bytes"] / size - 1
            print(f"{name}: {site['pinned_bytes'] / 2**20:.1f} MiB of {size / 2**20:.1f}, {error:+.1%}")
            check(abs(error) <= 0.15, f"{name} is off by {error:.1%}")
            check(abs(site["pinned_bytes"] - size) <= 3 * site["pinned_bytes_error"], f"{name} is off by more than its error allows")


CASES = {case.__name__: case for case in (cxx_leaks, python_leaks, pins)}

CASES[sys.argv[1]]()
