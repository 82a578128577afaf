#!/usr/bin/python3
"""own.py PROGRAM [core|tight|linked|sample|full [ARGUMENT…]]: one of our own test programs, with libhakmem.so preloaded; or with
libhakmem-core.so; or with little address space; or as it is, because libhakmem.a is linked into it; or at a level of guarding. It must end well,
and say nothing on stderr."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, GUARDS, LIBRARY, check, equal, messages, program, run

LIBRARIES = {"core": CORE_LIBRARY, "linked": None}
VARIABLES = {"tight": {"HAKMEM_RESERVE": "2G"}, **GUARDS}


def main():
    how = sys.argv[2] if len(sys.argv) > 2 else "preload"
    result = run([program(sys.argv[1]), *sys.argv[3:]], library=LIBRARIES.get(how, LIBRARY), env=VARIABLES.get(how, {}), timeout=280)
    equal(messages(result), "", "messages")
    check(result.stdout.strip(), "the program said nothing")


main()
