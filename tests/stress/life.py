#!/usr/bin/python3
"""life.py CASE [TIMES]: programs that live, fork and die in every way, on the preloaded library: plainly, with the endpoint and all events
on, with debug lines into a file, and with all blocks guarded, or many. With TIMES, so many times in a row."""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import GUARDS, LIBRARY, Folder, check, check_trace, equal, program, run, traced

MODULE = program("life_module.so")
HANDLERS = program("fork_handlers.so")


def variants(folder):
    """(name, variables) of each way to run a program."""
    return (("plain", {}),
            ("watched", {"HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder / "sockets", "HAKMEM_TRACE": "all", "HAKMEM_TRACE_BYTES": "1M"}),
            ("sample", GUARDS["sample"]),
            ("full", GUARDS["full"]),
            ("traced", {**traced(folder / "log"), "HAKMEM_SS_FREE_DEBUG": 1, "HAKMEM_TINY_SLL_DRAIN_DEBUG": 1}))


def plain_run(command, last_line, library=LIBRARY, only=None, **variables):
    for name, extra in variants(FOLDER):
        if only and name not in only:
            continue
        result = run(command, library=library, env={**extra, **variables}, timeout=280)
        equal(result.stderr, "", f"messages, {name}")
        check(result.stdout.endswith(last_line + "\n"), f"{name}: the output ends {result.stdout[-200:]!r}")
        if name == "traced":
            check_trace(FOLDER / "log")


def short_threads():
    plain_run([program("life"), "short_threads"], "all lived")


def only_freeing_threads():
    plain_run([program("life"), "only_freeing_threads"], "all lived")


def signals_during_malloc():
    plain_run([program("life"), "signals_during_malloc"], "all lived")


def fork_storm():
    """Without the endpoint it is preload/fork_storm."""
    plain_run([program("fork_storm")], "forks are safe", only=("watched", "traced", "sample", "full"))


def fork_handlers():
    """Handlers of fork that were registered before HAKMEM's run while it holds all locks: they may allocate."""
    plain_run([program("fork_storm")], "forks are safe", library=f"{LIBRARY} {HANDLERS}", only=("plain", "watched", "full"))


def last_words():
    """Each step of the end is reached, the destructor of a library that outlives HAKMEM's own being the last."""
    plain_run([program("last_words")], "main\natexit\ndestructor\nthe module is gone", library=f"{LIBRARY} {MODULE}",
              LIFE_LAST_WORD=1)


def libraries():
    copy = shutil.copy(MODULE, FOLDER / "copy.so")
    plain_run([program("libraries"), MODULE, copy], "libraries came and went")


def stripped(case, **options):
    """The program has no stdout at its end: it leaves its result in a file."""
    for name, extra in variants(FOLDER):
        if name == "traced":  # lines for stderr, which is gone or is a file with data
            extra = {"HAKMEM_SS_ACQUIRE_DEBUG": 1, "HAKMEM_SS_FREE_DEBUG": 1}
        result = FOLDER / "result"
        result.unlink(missing_ok=True)
        run([program("stripped"), case, FOLDER], library=LIBRARY, env=extra, expect=None, **options)
        deadline = time.monotonic() + 100
        while not (result.exists() and result.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        check(result.exists(), f"{name}: no result")
        equal(result.read_text(), "well\n", f"{name}: the result; a line is one of stripped.c")


def closes_all():
    stripped("closes_all")


def daemon():
    stripped("daemon")


def born_bare():
    stripped("born_bare", preexec_fn=lambda: os.closerange(0, 3))


CASES = (short_threads, only_freeing_threads, signals_during_malloc, fork_storm, fork_handlers, last_words, libraries, closes_all, daemon,
         born_bare)

for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 1):
    with Folder() as FOLDER:
        next(case for case in CASES if case.__name__ == sys.argv[1])()
