#!/usr/bin/python3
"""sanitizer.py CASE: the library preloaded into a program that is built with a sanitizer, which must keep a malloc of its own:

  gcc_address, gcc_leak, gcc_thread        the program stops with one clear line, HAKMEM's or the sanitizer's, instead of running on
                                           two allocators
  clang_address, clang_leak, clang_thread  the sanitizer, linked into the program, comes before any library: the fault is found
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, SOURCE, Folder, check, equal, run, skip, tool

# It says whose malloc it had. With an argument it writes to a block that it has freed, and forgets another.
PROGRAM = """#include <stdio.h>
#include <stdlib.h>
#include "lib/hakmem.h"
#pragma weak hak_stage_counts
int main(int argc, char **argv)
{
	(void)argv;
	for (int i = 0; i < 3000; i++) {
		char *volatile block = malloc(10 + i % 1000);
		block[9] = 1;
		free(block);
		if (argc > 1) {
			block[9] = 2;
			block = malloc(99);
		}
	}
	struct hak_stage_counts stages = {.superslabs = 0};
	if (hak_stage_counts)
		hak_stage_counts(&stages);
	puts(stages.superslabs ? "hakmem" : "own");
	return 0;
}
"""
STOPS = ("hakmem: this program is built with a sanitizer", "ASan runtime does not come first")
FOUND = {"address": "AddressSanitizer: heap-use-after-free", "leak": "LeakSanitizer: detected memory leaks",
         "thread": "ThreadSanitizer: heap-use-after-free"}


def build(folder, compiler, *options):
    (folder / "program.c").write_text(PROGRAM)
    path = folder / "program"
    if run([tool(compiler), "-fno-builtin", "-I", SOURCE, *options, "-o", path, folder / "program.c"], expect=None).returncode != 0:
        skip(f"{compiler} has no {' '.join(options)} here")
    return path


def stops(program):
    result = run([program], library=LIBRARY, expect=None)
    equal(result.returncode, 1, "exit status")
    equal(result.stdout, "", "output")
    check(any(line in result.stderr for line in STOPS), f"messages: {result.stderr!r}")


def steps_aside(program, kind):
    # Older ThreadSanitizers can't place their shadow everywhere.
    fixed = [tool("setarch"), "-R"]
    if run([*fixed, "true"], expect=None).returncode != 0:
        fixed = []
    result = run([*fixed, program], library=LIBRARY)
    equal((result.stdout, result.stderr), ("own\n", ""), "whose malloc it was, and messages")
    result = run([*fixed, program, "fault"], library=LIBRARY, expect=None)
    check(result.returncode != 0 and FOUND[kind] in result.stderr, f"the fault was not found: {result.stderr[:500]!r}")


def main():
    case = sys.argv[1]
    with Folder() as folder:
        if case.startswith("gcc_"):
            stops(build(folder, "gcc", f"-fsanitize={case[4:]}"))
        else:
            steps_aside(build(folder, "clang", f"-fsanitize={case[6:]}"), case[6:])


main()
