#!/usr/bin/python3
"""settings.py CASE: the environment variables as a user sets them."""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BENCH, LIBRARY, SOURCE, Folder, check, equal, run, skip

RUN = ["2000", "256", "42"]


def defaults():
    """name → default of every variable of lib's and introspect's tables, as env.md tells them."""
    rows = [line.strip("| ").split(" | ") for line in (SOURCE / "env.md").read_text().splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[3].strip("`") for row in rows}


def bad_values():
    """One line that names the variable, the range and the default; and the program runs on with the default."""
    cases = {
        "HAKMEM_SS_PREWARM=lots": "(0 to 4096); using the default 0",
        "HAKMEM_SS_PREWARM=4097": "(0 to 4096); using the default 0",
        "HAKMEM_SS_PREWARM=": "(0 to 4096); using the default 0",
        "HAKMEM_SS_SHARED=yes": "(0 or 1); using the default 1",
        "HAKMEM_CACHE_BYTES=1K": "(64K to 1G); using the default 2M",
        "HAKMEM_CACHE_BYTES=2X": "(64K to 1G); using the default 2M",
        "HAKMEM_RESERVE=5T": "(64M to 4T); using the default 1T",
        "HAKMEM_SS_LRU_AGE_MS=-1": "(0 to 86400000); using the default 10000",
    }
    for setting, rest in cases.items():
        name, value = setting.split("=", 1)
        result = run([BENCH, *RUN], env={name: value})
        equal(result.stderr, f"hakmem: {setting} is not valid {rest}\n", f"complaint about {setting}")
        check(result.stdout.startswith("Throughput = "), "the program did not run on")
        result = run(["/bin/true"], library=LIBRARY, env={name: value})
        equal(result.stderr, f"hakmem: {setting} is not valid {rest}\n", f"complaint about {setting}, preloaded")


def good_values():
    """Every variable's default, said aloud, is accepted without a word; and so is each one's other end."""
    rows = defaults()
    check(len(rows) >= 20, "env.md has too few variables")
    quiet = {name: default for name, default in rows.items() if default not in ("empty", "none")}
    check(len(quiet) >= 15, "env.md has too few defaults")
    equal(run([BENCH, *RUN], env=quiet).stderr, "", "complaints about the defaults")
    for setting in ("HAKMEM_RESERVE=64M", "HAKMEM_RESERVE=1g", "HAKMEM_CACHE_BYTES=64K", "HAKMEM_SS_LRU=0", "HAKMEM_SS_FREE_LIST=0",
                    "HAKMEM_SS_PREWARM=16", "HAKMEM_TINY_SLL_DRAIN_INTERVAL=16", "HAKMEM_PURGE_DELAY_MS=0"):
        name, value = setting.split("=")
        equal(run([BENCH, "200000", "4096", "7"], env={name: value}).stderr, "", f"complaints about {setting}")


def idle():
    """What is set of a profiler that nothing can start is told of, once for each; with an endpoint a request can start it."""
    report, status = {"HAKMEM_PROF_REPORT": "exit"}, {"HAKMEM_PROF_LEAK_EXIT": 9}
    lines = "hakmem: HAKMEM_PROF_REPORT=exit has no effect without HAKMEM_PROF=1\n", "hakmem: HAKMEM_PROF_LEAK_EXIT has no effect without HAKMEM_PROF=1\n"
    for env, said in ((report, lines[0]), (status, lines[1]), (report | status, "".join(lines)), ({"HAKMEM_PROF_LEAK_EXIT": 0}, ""),
                      (status | {"HAKMEM_PROF": 1}, "")):
        equal(run(["/bin/true"], library=LIBRARY, env=env).stderr, said, f"what is said of {env}")
        equal(run([BENCH, *RUN], env=env).stderr, said, f"what is said of {env}, linked")
    with Folder() as folder:
        folder.chmod(0o700)
        equal(run(["/bin/true"], library=LIBRARY, env=report | status | {"HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder}).stderr, "", "with an endpoint")


def setuid():
    """A setuid program takes nothing from its caller's environment: the linked benchmark, owned by another user, prints no line."""
    if os.geteuid() != 0:
        skip("needs root, to make a setuid copy of a program")
    with Folder() as folder:
        folder.chmod(0o755)
        copy = folder / "bench"
        shutil.copy(BENCH, copy)
        os.chown(copy, 65534, 65534)
        copy.chmod(0o4755)
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            skip(f"{folder.parent} is mounted nosuid")
        env = {"HAKMEM_SS_ACQUIRE_DEBUG": 1, "HAKMEM_SS_PREWARM": "lots", "HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder / "dir",
               "HAKMEM_TRACE": "all", "HAKMEM_TRACE_FILE": folder / "dir" / "x.trace", "HAKMEM_DUMP_ON": "exit",
               "HAKMEM_DUMP_PATH": folder / "dir" / "x.json", "HAKMEM_LOG_FILE": folder / "dir" / "log"}
        (folder / "dir").mkdir(mode=0o700)
        # The same program without the bit shows that the variables would have been heard.
        run([BENCH, *RUN], env=env)
        equal(sorted(path.name for path in (folder / "dir").iterdir()), ["log", "x.json", "x.trace"], "files of the program without the bit")
        check("[SP_ACQUIRE_STAGE3]" in (folder / "dir" / "log").read_text(), "the variables do nothing at all")
        os.chown(folder / "dir", 65534, 65534)
        for entry in (folder / "dir").glob("*"):
            entry.unlink()
        result = run([copy, *RUN], env=env)
        equal(result.stderr, "", "what the setuid program says")
        equal(list((folder / "dir").glob("*")), [], "what the setuid program leaves")


{"bad_values": bad_values, "good_values": good_values, "idle": idle, "setuid": setuid}[sys.argv[1]]()
