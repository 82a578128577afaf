#!/usr/bin/python3
"""Symbols of a real program and of libc, from a profile made of the addresses that the program prints (document.py). Usage: symbols.py CASE."""
import json
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from document import build_id, document, planted, write
from support import BUILD, Folder, check, equal, program, run, tool

TOP = BUILD / "hakmem-top"
PLANTED = program("planted")


def report(file, *options):
    """The frames of each stack, by its id: (function, "file:line" or None, inlined)."""
    text = run([TOP, "--report=sites", "--json", file, *options]).stdout
    sites = json.loads(text)["sites"]
    return [[(frame["function"], f"{pathlib.Path(frame['file']).name}:{frame['line']}" if "file" in frame else None, frame["inlined"])
             for frame in site["frames"]] for site in sites]


def make(folder, path=PLANTED, **changes):
    """A profile in which the stacks have 3, 2 and 1 MB live, so that they are reported in this order."""
    stacks, modules = planted(path)
    modules[0].update(changes)
    blocks = [{"stack": number, "bytes": (4 - number) * 1000000} for number in stacks]
    file = write(folder / "profile.json", document({number: frames for number, (_, frames) in stacks.items()}, modules, blocks))
    return file, {number: line for number, (line, _) in stacks.items()}


def check_lines(stacks, planted_lines):
    tree, sort, fault = stacks
    equal(tree[0], ("planted::sprout", f"planted.cpp:{planted_lines[1]}", True), "the function that was inlined")
    equal(tree[1][::2], ("planted::tree<double>::grow", False), "the function that it was inlined into")
    equal(tree[2][0], "main", "its caller")
    equal(sort[0], ("compare_and_keep", f"planted.cpp:{planted_lines[2]}", False), "what qsort calls")
    equal(fault[0], ("on_fault", f"planted.cpp:{planted_lines[3]}", False), "the signal's handler")
    # The instruction before the one that faulted is another function's.
    equal([frame[0] for frame in fault[1:4]], ["<signal handler called>", "faults_at_once", "main"], "what was interrupted")


def lines():
    with Folder() as folder:
        file, planted_lines = make(folder)
        check_lines(report(file), planted_lines)
        text = run([TOP, "--report=sites", file]).stdout
        check(re.search(rf"^      planted::sprout  planted\.cpp:{planted_lines[1]}  \(inlined\)$", text, re.M), f"the text has no inlined function:\n{text}")


def stripped(folder):
    """A copy without debug information, and the file that holds it instead."""
    copy, debug = folder / "planted", folder / "kept"
    run([tool("objcopy"), "--only-keep-debug", PLANTED, debug])
    run([tool("objcopy"), "--strip-all", PLANTED, copy])
    return copy, debug


def separate_debug():
    with Folder() as folder:
        copy, debug = stripped(folder)
        file, planted_lines = make(folder, copy)
        names = [frame[0] for frame in report(file)[0]]
        check("main" not in names, f"a stripped program has the names {names}")
        identity = build_id(copy)
        place = folder / "debug/.build-id" / identity[:2]
        place.mkdir(parents=True)
        debug.rename(place / f"{identity[2:]}.debug")
        check_lines(report(file, f"--debug-dir={folder}/debug"), planted_lines)
        # The debug file alone does as well, where the program is gone.
        copy.unlink()
        check("there is no such file here" in run([TOP, "--report=sites", file]).stdout, "a program that is gone is not missed")
        stacks = report(file, f"--debug-dir=/nowhere:{folder}/debug")
        equal(stacks[0][0], ("planted::sprout", f"planted.cpp:{planted_lines[1]}", True), "a line by the debug file alone")


def offline():
    """As on another machine: the files lie elsewhere."""
    with Folder() as folder:
        copy = folder / "planted"
        shutil.copy(PLANTED, copy)
        file, planted_lines = make(folder, copy)
        (folder / "elsewhere/deep").mkdir(parents=True)
        copy.rename(folder / "elsewhere/planted")
        check_lines(report(file, f"--binaries={folder}/elsewhere"), planted_lines)
        names = [frame[0] for frame in report(file)[0]]
        check("main" not in names, f"a program that is gone has the names {names}")
        check(re.search(r"^      planted\+0x[0-9a-f]+$", run([TOP, "--report=sites", file]).stdout, re.M), "no module and offset")


def other_version():
    """A program of the same name whose build-id differs is not asked."""
    with Folder() as folder:
        file, _ = make(folder, build_id="00112233445566778899aabbccddeeff00112233")
        names = [frame[0] for frame in report(file)[0]]
        check("main" not in names, f"another version gave the names {names}")
        check("another version (its build-id differs)" in run([TOP, "--report=sites", file]).stdout, "another version is not told of")


def leaks():
    with Folder() as folder:
        file, _ = make(folder)
        known = folder / "known"
        known.write_text("# ours\nleak:planted::tree*\nleak:qsort\n")
        result = run([TOP, "--report=leaks", file, f"--suppressions={known}"])
        check("Suppressed 4.77M, of 2 call sites" in result.stdout.replace(" \u00b1 0B", ""), result.stdout)
        check("on_fault" in result.stdout and "compare_and_keep" not in result.stdout, "what the suppressions leave")
        for allowed, status in (("1M", 0), ("900K", 3)):
            result = run([TOP, "--report=leaks", file, f"--suppressions={known}", f"--fail-if-leaks={allowed}"], expect=status)
        check("977K are live that nothing suppresses" in result.stderr, result.stderr)


CASES = {function.__name__: function for function in (lines, separate_debug, offline, other_version, leaks)}

CASES[sys.argv[1]]()
