#!/usr/bin/python3
"""What `./build.sh demo` prints without a terminal: at least three frames in which allocations move, and the status of the program
that was watched. Then the same for a program that fails."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, SOURCE, Folder, check, equal, run

PHASES = ["/usr/bin/python3", SOURCE / "tests/demo/phases.py"]


def main():
    with Folder() as folder:
        env = {"PYTHONMALLOC": "malloc", "HAKMEM_DIR": folder, "TERM": "dumb"}
        result = run([BUILD / "hakmem-top", "-b", "-n", "4", "-d", "0.5", "--", *PHASES, "3"], env=env)
        frames = re.split(r"^ hakmem-top ", result.stdout, flags=re.M)[1:]
        check(len(frames) >= 3, f"{len(frames)} frames")
        totals = [re.search(r"^Allocs .* (\S+) in all", frame, re.M)[1] for frame in frames]
        equal(len(set(totals[:3])), 3, f"allocations in the first frames, {totals}, that differ")
        check(all("Slot map" in frame for frame in frames), "a frame without the slot map")
        check("demo: all phases done" in result.stdout, "the program's own output")
        equal([path.name for path in folder.iterdir()], [], "what is left in the runtime directory")
        run([BUILD / "hakmem-top", "-b", "-n", "1", "--", "/bin/sh", "-c", "exit 23"], env=env, expect=23)


main()
