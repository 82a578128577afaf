#!/usr/bin/python3
"""The rules of the house that a machine can check: a unit test for each module of lib and introspect, all of them registered, and all
cases of scripts; a mention of each file in its folder's README.md; no include out of lib; a bound on the length of files."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import SOURCE, check

# malloc.c is entry.c under libc's names: the preload tests are its tests.
WITHOUT_UNIT_TEST = {"lib/malloc.c"}


def problems():
    suites = (SOURCE / "tests/suites.def").read_text()
    for folder in ("lib", "introspect"):
        for source in sorted((SOURCE / folder).glob("*.c")):
            name = f"{folder}/{source.name}"
            if name not in WITHOUT_UNIT_TEST and not (SOURCE / f"tests/unit/{source.stem}_test.c").exists():
                yield f"{name} has no unit test"
    for test in sorted((SOURCE / "tests/unit").glob("*_test.c")):
        if not re.search(rf"\b{test.stem[:-5]}\b", suites):
            yield f"{test.name} is not in suites.def"
    for script in sorted((SOURCE / "tests").rglob("*.py")):
        cases = re.search(r"^CASES = [^(]*\(([^)]*)\)", script.read_text(), re.M)
        for case in re.findall(r"\w+", cases[1]) if cases else ():
            if not re.search(rf"\b{case}\b", suites):
                yield f"{script.name}'s case {case} is not in suites.def"
    for folder in ("lib", "introspect", "viewer"):
        readme = (SOURCE / folder / "README.md").read_text()
        for source in sorted((SOURCE / folder).glob("*.[ch]")):
            # A row may stand for a family of files, such as panel_….
            if source.stem not in readme and f"`{source.stem.split('_')[0]}_" not in readme:
                yield f"{folder}/README.md does not mention {source.stem}"
    for source in (path for folder in ("lib", "introspect", "viewer", "tests") for path in (SOURCE / folder).rglob("*.[ch]")):
        lines = source.read_text().splitlines()
        if len(lines) >= 600:
            yield f"{source.relative_to(SOURCE)} has {len(lines)} lines"
    for source in (SOURCE / "lib").glob("*.[ch]"):
        for include in re.findall(r'#include "(.*?)"', source.read_text()):
            if "/" in include or not (SOURCE / "lib" / include).exists():
                yield f"lib/{source.name} includes {include}, which is no file of lib"
    yield from upward_includes()


def upward_includes():
    """Includes of lib that go up the list in its README.md. The names of its table are in layer order; a .def belongs to its row."""
    rows = re.findall(r"^\| (`.*?) \|", (SOURCE / "lib/README.md").read_text(), re.M)
    order = {name.removesuffix(".h").removesuffix(".def"): i for i, row in enumerate(rows) for name in re.findall(r"`(.*?)`", row)}
    for source in (SOURCE / "lib").glob("*.[ch]"):
        for include in re.findall(r'#include "(.*?)"', source.read_text()):
            if order[pathlib.Path(include).stem] > order[source.stem]:
                yield f"lib/{source.name} includes {include}, which is above it in lib/README.md"


def main():
    found = list(problems())
    for problem in found:
        print(problem)
    check(not found, f"{len(found)} rules broken")


main()
