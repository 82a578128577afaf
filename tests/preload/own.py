#!/usr/bin/python3
"""own.py PROGRAM [core|tight|linked|sample|full [ARGUMENT…]]: one of our own test programs, with libhakmem.so preloaded; or with
libhakmem-core.so; or with little address space; or as it is, because libhakmem.a is linked into it; or at a level of guarding. It must end well,
and say nothing on stderr. Those of C++'s operators are told of their wrong sizes, and of nothing else."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import CORE_LIBRARY, GUARDS, LIBRARY, check, equal, messages, program, run

WRONG_SIZE = "hakmem: block freed with a size or an alignment that it can't have ("
LIBRARIES = {"core": CORE_LIBRARY, "linked": None}
VARIABLES = {"tight": {"HAKMEM_RESERVE": "2G"}, **GUARDS}


def main():
    how = sys.argv[2] if len(sys.argv) > 2 else "preload"
    result = run([program(sys.argv[1]), *sys.argv[3:]], library=LIBRARIES.get(how, LIBRARY), env=VARIABLES.get(how, {}), timeout=280)
    lines = messages(result).splitlines()
    if "cxx" in sys.argv[1] and "right" not in sys.argv:
        lines = [line for line in lines if not line.startswith(WRONG_SIZE)]
    equal(lines, [], "messages")
    check(result.stdout.strip(), "the program said nothing")


main()
