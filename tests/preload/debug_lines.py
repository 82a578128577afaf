#!/usr/bin/python3
"""debug_lines.py CASE: the variables that print what the allocator does. Each group's lines must have exactly the documented forms,
nothing else may be printed, and printing must never change how the program ends."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BENCH, BUILD, CORE_LIBRARY, LIBRARY, Folder, check, clean_environment, equal, run

SS = r"ss=0x[0-9a-f]+00000"
GROUPS = {
    "acquire": ("HAKMEM_SS_ACQUIRE_DEBUG", (
        rf"\[SP_ACQUIRE_STAGE1\] class=\d+ reusing EMPTY slot \({SS} slab=\d+\)",
        rf"\[SP_ACQUIRE_STAGE2\] class=\d+ using UNUSED slot \({SS} slab=\d+\)",
        rf"\[SP_ACQUIRE_STAGE2\] class=\d+ converting EMPTY slot \({SS} slab=\d+ from=\d+\)",
        rf"\[SP_ACQUIRE_STAGE3\] class=\d+ new SuperSlab \({SS} from_lru=[01]\)")),
    "release": ("HAKMEM_SS_FREE_DEBUG", (
        rf"\[SP_SLOT_RELEASE\] {SS} slab_idx=\d+ class=\d+ used=0 \(marking EMPTY\)",
        r"\[SP_SLOT_FREELIST\] class=\d+ pushed slot count=\d+ active_slots=\d+/32")),
    "lru": ("HAKMEM_SS_LRU_DEBUG", (
        rf"\[SS_LRU_PUSH\] {SS} length=\d+/\d+",
        rf"\[SS_LRU_POP\] {SS} length=\d+/\d+",
        rf"\[SS_LRU_EVICT\] {SS} age_ms=\d+ length=\d+/\d+")),
    "drain": ("HAKMEM_TINY_SLL_DRAIN_DEBUG", (r"\[TLS_SLL_DRAIN\] class=\d+ drained=\d+ kept=\d+",)),
}
RUN = ["50000", "4096", "1234567"]
# With an LRU cache this small and no delay, the phases of `churn` go every way that prints a line.
VARIABLES = {"HAKMEM_PURGE_DELAY_MS": 0, "HAKMEM_SS_LRU": 2}


def check_lines(text, forms, seen):
    for line in text.splitlines():
        matching = [form for form in forms if re.fullmatch(form, line)]
        check(len(matching) == 1, f"a line of no documented form: {line!r}")
        seen.update(matching)


def group(name):
    """The group's variable alone: all of its own lines and no others, from each form of the library."""
    variable, forms = GROUPS[name]
    env = {variable: 1, **VARIABLES}
    check_lines(run([BENCH, *RUN], env=env).stderr, forms, set())
    for library in (LIBRARY, CORE_LIBRARY):
        seen = set()
        check_lines(run([BUILD / "tests" / "churn"], library=library, env=env).stderr, forms, seen)
        check(seen == set(forms), f"never printed by {library.name}: {sorted(set(forms) - seen)}")


def everything():
    """All groups at once, in the order in which things happened: a slot is released before it is pushed."""
    env = {variable: 1 for variable, _ in GROUPS.values()}
    forms = [form for _, forms in GROUPS.values() for form in forms]
    seen = set()
    text = run([BUILD / "tests" / "churn"], library=LIBRARY, env={**env, **VARIABLES}).stderr
    check_lines(text, forms, seen)
    equal(len(seen), len(forms), "forms of lines")
    lines = text.splitlines()
    for before, line in zip(lines, lines[1:]):
        if line.startswith("[SP_SLOT_FREELIST]"):
            check(before.startswith("[SP_SLOT_RELEASE]"), f"{line!r} follows {before!r}")


def log_file():
    """The lines go to the file, appended, and stderr stays clean."""
    with Folder() as folder:
        log = folder / "lines"
        env = {"HAKMEM_SS_FREE_DEBUG": 1, "HAKMEM_LOG_FILE": log}
        for _ in range(2):
            equal(run([BENCH, *RUN], env=env).stderr, "", "stderr")
        text = log.read_text()
        check_lines(text, GROUPS["release"][1], set())
        check(len(text.splitlines()) > 20, "the second run's lines were not appended")
        # A file that can't be written: the program runs on.
        equal(run([BENCH, *RUN], env={**env, "HAKMEM_LOG_FILE": folder / "no" / "such"}).stderr, "", "stderr")


def closed_pipe():
    """`program 2>&1 | head -1`: the reader goes away in the middle, and the program ends as it would have without."""
    env = clean_environment(LD_PRELOAD=LIBRARY, **{variable: 1 for variable, _ in GROUPS.values()})
    script = 'import sys\nfor i in range(60):\n    x = [bytes(n) for n in range(1, 3000, 7)]\nsys.exit(17)\n'
    command = ["/bin/sh", "-c", '"$@" 2>&1 >/dev/null | head -1; exit 0', "sh", "/bin/sh", "-c",
               '"$@"; echo "status $?" >"$STATUS_FILE"', "sh", "/usr/bin/python3", "-c", script]
    with Folder() as folder:
        env["STATUS_FILE"] = str(folder / "status")
        env["PYTHONMALLOC"] = "malloc"
        # The variables reach the shells and head too, which must survive as well.
        result = subprocess.run(command, env=env, stdout=subprocess.PIPE, timeout=60, text=True, check=True)
        equal(len(result.stdout.splitlines()), 1, "lines that head let through")
        equal((folder / "status").read_text(), "status 17\n", "how the program ended")
    shell = f"{BENCH} {' '.join(RUN)} 2>&1 >/dev/null | head -1; echo ${{PIPESTATUS[0]}}"
    result = run(["/bin/bash", "-c", shell], env={"HAKMEM_SS_ACQUIRE_DEBUG": 1})
    lines = result.stdout.splitlines()
    equal(lines[-1], "0", "exit status of the benchmark behind a closed pipe")
    check(lines[0].startswith("[SP_ACQUIRE_STAGE"), "the first line")


def silent():
    """Without a variable nothing is printed, nothing is left behind, and no thread or descriptor is added."""
    with Folder() as folder:
        work = ("import os; x = [bytes(n) for n in range(5000)]; "
                "print(len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))")
        without = run(["/usr/bin/python3", "-c", work], cwd=folder)
        result = run(["/usr/bin/python3", "-c", work], library=LIBRARY, cwd=folder)
        equal(result.stdout, without.stdout, "descriptors and threads")
        equal(result.stderr, "", "stderr")
        equal(list(folder.iterdir()), [], "files left behind")


def main():
    cases = {"all": everything, "log_file": log_file, "closed_pipe": closed_pipe, "silent": silent}
    name = sys.argv[1]
    if name in GROUPS:
        group(name)
    else:
        cases[name]()


main()
