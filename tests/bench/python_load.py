"""Loads that are a real program: python3 with a script that keeps and drops small objects, strings, lists and dictionaries. `python` is as people run
it, with its own allocator for small objects, which takes memory from malloc in large pieces; in `python_malloc` every object is a block."""
import pathlib
import subprocess
import time

import allocators
from redis_load import figures_of
from support import clean_environment, fail

PYTHON = pathlib.Path("/usr/bin/python3")
# An operation is a turn of the loop. The interpreter waits at its end until it has been looked at.
SCRIPT = """
import sys
kept, total = {}, 0
for i in range(int(sys.argv[1])):
    words = ("word %d of many " % i * (i % 40)).split()
    counts = {word: len(word) for word in words}
    kept[i * 7919 % 5000] = [counts, sorted(words), "x" * (i % 3000)]
    total += len(counts)
print(total, flush=True)
sys.stdin.read()
"""


class PythonLoad(allocators.Load):
    def __init__(self, name, malloc):
        super().__init__(f"{name}\tspeed\t60000\t1\tobjects of many kinds, PYTHONMALLOC={malloc}")
        self.malloc = malloc

    def run(self, allocator, operations, seed, wait_ms=0):
        """The work is the same each time: neither seed nor wait has a meaning here."""
        with allocator.started() as variables, subprocess.Popen(
                [PYTHON, "-c", SCRIPT, str(operations)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=clean_environment(PYTHONMALLOC=self.malloc, **variables)) as process:
            began = time.monotonic()
            total = int(process.stdout.readline() or 0)
            if total == 0:
                fail(f"{PYTHON} ended with status {process.wait()}")
            return {"operations": operations, "bytes": total, "wall_s": time.monotonic() - began, **figures_of(process.pid)}


def find():
    """[the loads], or nothing where python3 isn't installed."""
    return [PythonLoad("python", "default"), PythonLoad("python_malloc", "malloc")] if PYTHON.exists() else []
