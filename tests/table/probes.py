#!/usr/bin/python3
"""Each row of trace_events.def is a USDT probe hakmem:NAME of the built libraries, with five arguments and the semaphore of its
group, which stands where tracers look for it."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, LIBRARY, SOURCE, check, equal, run, tool


def check_library(library, rows):
    notes = run([tool("readelf"), "-nW", library]).stdout
    probes = re.findall(r"Provider: (\w+)\s+Name: (\w+)\s.*?Semaphore: 0x(\w+)\s+Arguments: ([^\n]*)", notes, re.S)
    check(probes, f"no probe in {library}")
    equal({provider for provider, _, _, _ in probes}, {"hakmem"}, "providers")
    equal({name for _, name, _, _ in probes}, set(rows), "probes")
    sections = run([tool("readelf"), "-SW", library]).stdout
    start, size = (int(word, 16) for word in
                   re.search(r" \.probes +PROGBITS +(\w+) +\w+ +(\w+) +00 +WA ", sections).groups())
    semaphores = {}
    for _, name, semaphore, arguments in probes:
        equal(len(arguments.split()), 5, f"arguments of {name}")
        check(start <= int(semaphore, 16) < start + size, f"the semaphore of {name}, {semaphore}, is not in .probes")
        semaphores.setdefault(rows[name], set()).add(semaphore)
    check(all(len(found) == 1 for found in semaphores.values()), f"groups with several semaphores: {semaphores}")
    equal(len(set.union(*semaphores.values())), len(semaphores), "semaphores of different groups")


def main():
    table = (SOURCE / "lib/trace_events.def").read_text()
    rows = dict(re.findall(r"^HAK_EVENT[2-5]\((\w+), (\w+),", table, re.M))
    check(rows, "no row")
    for library in (LIBRARY, CORE_LIBRARY):
        check_library(library, rows)


main()
