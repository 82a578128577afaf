#!/usr/bin/python3
"""own.py PROGRAM [core|tight|linked]: one of our own test programs, with libhakmem.so preloaded; or with libhakmem-core.so; or with little
address space; or as it is, because libhakmem.a is linked into it. It must end well, and say nothing on stderr."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, LIBRARY, check, equal, messages, program, run

LIBRARIES = {"preload": LIBRARY, "core": CORE_LIBRARY, "tight": LIBRARY, "linked": None}


def main():
    how = sys.argv[2] if len(sys.argv) > 2 else "preload"
    result = run([program(sys.argv[1])], library=LIBRARIES[how], env={"HAKMEM_RESERVE": "2G"} if how == "tight" else {}, timeout=280)
    equal(messages(result), "", "messages")
    check(result.stdout.strip(), "the program said nothing")


main()
