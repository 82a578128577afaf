#!/usr/bin/python3
"""sanitizer.py address|thread: a program built with a sanitizer must keep its own malloc. Preloaded into one, the library stops it with one
clear line, HAKMEM's or the sanitizer's; it neither crashes nor lets it run on two allocators."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check, equal, run, skip, tool

SOURCE = """#include <stdio.h>
#include <stdlib.h>
int main(void) { void *volatile block = malloc(10); free(block); puts("ran"); return 0; }
"""
LINES = {"hakmem: this program is built with a sanitizer", "ASan runtime does not come first"}


def main():
    kind = sys.argv[1]
    with Folder() as folder:
        (folder / "program.c").write_text(SOURCE)
        command = [tool("gcc"), f"-fsanitize={kind}", "-o", folder / "program", folder / "program.c"]
        if run(command, expect=None).returncode != 0:
            skip(f"gcc has no -fsanitize={kind} here")
        result = run([folder / "program"], library=LIBRARY, expect=None)
        equal(result.returncode, 1, "exit status")
        equal(result.stdout, "", "output")
        check(any(line in result.stderr for line in LINES), f"messages: {result.stderr!r}")


main()
