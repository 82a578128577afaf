#!/usr/bin/python3
"""Each row of trace_events.def is a USDT probe hakmem:NAME of the built library, with five arguments."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, SOURCE, check, equal, run, tool


def main():
    rows = re.findall(r"^HAK_EVENT[2-5]\((\w+),", (SOURCE / "lib/trace_events.def").read_text(), re.M)
    notes = run([tool("readelf"), "-nW", LIBRARY]).stdout
    probes = re.findall(r"Provider: (\w+)\s+Name: (\w+)\s.*?Arguments: ([^\n]*)", notes, re.S)
    check(rows and probes, "no row, or no probe")
    equal({provider for provider, _, _ in probes}, {"hakmem"}, "providers")
    equal({name for _, name, _ in probes}, set(rows), "probes")
    for _, name, arguments in probes:
        equal(len(arguments.split()), 5, f"arguments of {name}")


main()
