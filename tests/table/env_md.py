#!/usr/bin/python3
"""env.md is what `hakmem-top --help-env=md` prints, word for word; and every variable of every table is in it."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, SOURCE, check, equal, run


def main():
    printed = run([BUILD / "hakmem-top", "--help-env=md"]).stdout
    check(printed == (SOURCE / "env.md").read_text(),
          "env.md differs from the tables: make it anew with hakmem-top --help-env=md >env.md")
    plain = run([BUILD / "hakmem-top", "--help-env"]).stdout
    for table in ("lib/env.def", "introspect/env.def"):
        # An argument of its own line's macro: HAK_ENV_VALUE(field, NAME, …) and HAK_ENV_STRING(field, NAME, …).
        names = re.findall(r"^HAK_ENV_\w+\(\w+, (\w+),", (SOURCE / table).read_text(), re.M)
        check(names, f"{table} has no rows")
        for name in names:
            equal(printed.count(f"`HAKMEM_{name}`"), 1, f"mentions of HAKMEM_{name} in env.md")
            check(f"HAKMEM_{name}" in plain, f"HAKMEM_{name} is missing from --help-env")


main()
