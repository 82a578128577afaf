#!/usr/bin/python3
"""misuse.py FAULT: the program misuse commits one fault on the preloaded library. HAKMEM must say exactly one line about it, with the
address and what is known of it (a block of text where it is looked into); then the program ends by SIGABRT or with a status, or goes on to its end, as HAKMEM_ON_ERROR has it."""
import json
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check, equal, program, run

NOT_A_BLOCK = "of an address that is not the start of a live block"
FOREIGN = "of an address that is not HAKMEM's"
DAMAGED = "free list damaged by a write to freed memory, or by a free inside a block"
SMALL = r" ss=0x[0-9a-f]+ slab=\d+ state=ACTIVE class=6 block=\d+ offset="
LARGE = r" ss=0x[0-9a-f]+ slab=\d+ state=ACTIVE large slots=4 offset="
LINK = r" link=0x[0-9a-f]{2,}"

# The text of each fault's line, and what follows the address in it: nothing is known of addresses that aren't HAKMEM's.
FAULTS = {
    "double_free": ("block freed twice", SMALL + "0"),
    "double_free_in_a_row": ("block freed twice", SMALL + "0"),
    "double_free_by_another": ("block freed twice", SMALL + "0"),
    "double_free_late": (f"free {NOT_A_BLOCK}", r" ss=0x[0-9a-f]+ slab=\d+ state=(UNUSED|EMPTY class=27 block=\d+ offset=0)"),
    "double_free_large": ("block freed twice", LARGE + "0"),
    "foreign_stack": (f"free {FOREIGN}", ""),
    "foreign_static": (f"free {FOREIGN}", ""),
    "foreign_unmapped": (f"free {FOREIGN}", ""),
    "foreign_reserved": (f"free {FOREIGN}", ""),
    "interior": (f"free {NOT_A_BLOCK}", SMALL + "16"),
    "interior_large": (f"free {NOT_A_BLOCK}", LARGE + "65536"),
    "misaligned": (f"free {NOT_A_BLOCK}", SMALL + "1"),
    "interior_realloc": (f"realloc {NOT_A_BLOCK}", SMALL + "16"),
    "foreign_realloc": (f"realloc {FOREIGN}", ""),
    "foreign_usable": (f"malloc_usable_size {FOREIGN}", ""),
    "overwritten_link": (DAMAGED, SMALL + "0" + LINK),
    "overwritten_batch": (DAMAGED, SMALL + "0" + LINK),
    "zeroed_batch": (DAMAGED, SMALL + "0 link=0x0"),
}


def commit(fault, setting):
    ends = setting in ("abort", "exit:23") or (setting != "report" and FOREIGN not in FAULTS[fault][0])
    status, how = (23, "exit, as HAKMEM_ON_ERROR demands, with the status 23") if setting == "exit:23" else \
        (-signal.SIGABRT, "abort, as HAKMEM_ON_ERROR demands")
    variables = {"HAKMEM_ON_ERROR": setting} if setting else {}
    result = run([program("misuse"), fault], library=LIBRARY, env=variables, timeout=30, expect=status if ends else 0)
    address, *last = result.stdout.splitlines()
    equal(last, [] if ends else ["went on"], f"what the program says to the end, with {setting}")
    text, facts = FAULTS[fault]
    end = f"; ending by {how}" if ends else ""
    expected = re.escape(f"hakmem: {text} (address={address}") + facts + re.escape(f"){end}\n")
    check(re.fullmatch(expected, result.stderr), f"with {setting} HAKMEM reports {result.stderr!r}, not {expected!r}")


def looked_into(fault):
    """Where the program is looked into a report is a block of text. Of an address that isn't HAKMEM's it says who called, and
    nothing is read and printed of the memory there, whose bytes are the program's."""
    with Folder() as folder:
        result = run([program("misuse"), fault], library=LIBRARY, timeout=30, env={"HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder})
    address = result.stdout.split()[0]
    what = "address space that HAKMEM has not brought into use" if fault == "foreign_reserved" else "not HAKMEM's"
    expected = re.escape(f"hakmem: {FAULTS[fault][0]} (address={address})\nhakmem:   {address} is {what}\n") + \
        r"hakmem:   called by thread \d+ \(misuse\):\n(hakmem:     (#\d+ .*|\(no stack\))\n)+"
    check(re.fullmatch(expected, result.stderr), f"looked into, HAKMEM reports {result.stderr!r}, not {expected!r}")


def handled(fault):
    """A handler of SIGABRT that uses the heap and exits: the dump that is then written holds the event."""
    with Folder() as folder:
        dump = folder / "dump.json"
        result = run([program("misuse"), fault, "handle"], library=LIBRARY, timeout=30,
                     env={"HAKMEM_ON_ERROR": "abort", "HAKMEM_DUMP_ON": "exit", "HAKMEM_DUMP_PATH": dump, "HAKMEM_TRACE": "error"})
        address, end = result.stdout.splitlines()
        equal(end, "handled", "the program's last line")
        events = [event for event in json.loads(dump.read_text())["events"] if event["name"] == "fatal"]
        equal([event["args"]["address"] for event in events], [address], "the addresses of fatal events in the dump")


def main():
    for setting in ("", "auto", "abort", "report", "exit:23"):
        commit(sys.argv[1], setting)
    if FOREIGN in FAULTS[sys.argv[1]][0]:
        looked_into(sys.argv[1])
    handled(sys.argv[1])


main()
