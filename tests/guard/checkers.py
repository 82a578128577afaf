"""Running one planted bug under one checker, and what the checker made of it."""
import functools
import re

import expected
from reports import named
from support import LIBRARY, SOURCE, fail, program, run

QUARANTINE = 1 << 20  # bytes, a fraction of what the programs churn through
LITTLE = 256 << 10  # that they churn through where every malloc changes the protection of pages
SECONDS = 60


@functools.lru_cache(maxsize=None)
def listed(name):
    return run([program(name), "--list"]).stdout.split()


def source_of(bug):
    """guard_bugs or guard_deletes."""
    for name in ("guard_bugs", "guard_deletes"):
        if bug in listed(name):
            return name
    return fail(f"no program has the bug {bug}")


class Outcome:
    """How a program ended, what it told, and what was said about it."""

    def __init__(self, result):
        self.status, self.said = result.returncode, result.stderr
        self.went_on = result.stdout.endswith("went on\n")
        words = [line.split() for line in result.stdout.splitlines()]
        self.block = next(((int(word[1], 16), int(word[2])) for word in reversed(words) if word[0] == "block"), None)
        self.misuse = next(((int(word[1], 16), int(word[2])) for word in words if word[0] == "misuse"), None)

    @functools.cached_property
    def text(self):
        """What was said, with the functions' names."""
        return named(self.said)

    def functions(self):
        """The letters of the functions that the text names."""
        return {letter for letter, name in expected.FUNCTIONS.items() if re.search(rf"\b{name}", self.text)}


class Checker:
    """A library to preload, or None, and variables; or programs of its own, by the names of their sources; and how many bytes the programs
    churn through."""

    def __init__(self, name, library=None, variables=None, programs=None, churned=None):
        self.name, self.library, self.variables, self.programs = name, library, variables or {}, programs or {}
        self.arguments = [] if churned is None else [churned]

    def run(self, bug, **variables):
        source = source_of(bug)
        command = [self.programs.get(source, program(source)), bug, *self.arguments]
        return Outcome(run(command, library=self.library, env={**self.variables, **variables}, expect=None, timeout=SECONDS))

    def cell(self, bug, **variables):
        """For a table: what the checker makes of a bug."""
        outcome, row = self.run(bug, **variables), expected.BUGS[bug]
        if re.search(row.family, outcome.text):
            letters = "".join(letter for letter in "maf" if letter in row.functions & outcome.functions())
            return f"named {letters}".strip()
        if outcome.went_on and outcome.status == 0:
            return "–"
        return "other" if outcome.text.strip() else "crash"


def hakmem(level, seed=1, rate=1, churned=None, library=LIBRARY):
    """HAKMEM at a level; at sample every block, as long as there are places, if the rate is 1."""
    variables = {"HAKMEM_GUARD": level, "HAKMEM_QUARANTINE_BYTES": QUARANTINE}
    if level == "sample":
        variables.update(HAKMEM_GUARD_RATE=rate, HAKMEM_GUARD_SEED=seed)
        churned = LITTLE if churned is None else churned
    return Checker(f"HAKMEM {level}", library, variables, churned=churned)


def leaks(level):
    """What is to be set besides, so that leaks are told."""
    return {"HAKMEM_PROF": 1, "HAKMEM_PROF_RATE": 1, "HAKMEM_PROF_REPORT": "exit", "HAKMEM_GUARD": level}


def asan(folder):
    """The same programs, compiled by gcc with AddressSanitizer; None if that can't be done here."""
    programs, flags = {}, ["-D_GNU_SOURCE", "-O1", "-g", "-w", "-fno-omit-frame-pointer", "-fno-builtin", "-fsanitize=address", "-pthread"]
    for name, source, compiler in (("guard_bugs", "bugs.c", ["gcc", "-std=gnu11"]), ("guard_deletes", "deletes.cpp", ["g++", "-std=c++17"])):
        programs[name] = folder / name
        if run([*compiler, *flags, "-o", programs[name], SOURCE / "tests/guard" / source], expect=None).returncode != 0:
            return None
    return Checker("AddressSanitizer", variables={"ASAN_OPTIONS": f"detect_leaks=1:quarantine_size_mb={QUARANTINE >> 20}"}, programs=programs)


def glibc_checks():
    """glibc's own checks: what was MALLOC_CHECK_ is in a library of its own now."""
    return Checker("glibc, its checks on", "libc_malloc_debug.so.0", {"GLIBC_TUNABLES": "glibc.malloc.check=3:glibc.malloc.perturb=165"})
