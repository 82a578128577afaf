#!/usr/bin/python3
"""misuse.py FAULT: the program misuse commits one fault on the preloaded library. HAKMEM must say exactly one line about it, with the
address, and the program must go on to its end."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, equal, program, run

NOT_A_BLOCK = "of an address that is not the start of a live block"
TEXTS = {
    "double_free": "block freed twice",
    "double_free_large": f"free {NOT_A_BLOCK}",
    "foreign_stack": f"free {NOT_A_BLOCK}",
    "foreign_static": f"free {NOT_A_BLOCK}",
    "foreign_unmapped": f"free {NOT_A_BLOCK}",
    "foreign_reserved": f"free {NOT_A_BLOCK}",
    "interior": f"free {NOT_A_BLOCK}",
    "interior_large": f"free {NOT_A_BLOCK}",
    "foreign_realloc": f"realloc {NOT_A_BLOCK}",
    "foreign_usable": f"malloc_usable_size {NOT_A_BLOCK}",
    "overwritten_link": "free list damaged by a write to freed memory",
}


def main():
    fault = sys.argv[1]
    result = run([program("misuse"), fault], library=LIBRARY)
    address, end = result.stdout.splitlines()
    equal(end, "went on", "the program's last line")
    equal(result.stderr, f"hakmem: {TEXTS[fault]} (address={address})\n", "what HAKMEM reports")


main()
