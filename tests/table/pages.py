#!/usr/bin/python3
"""The pages and completions say what the tables say: hakmem.7 has each variable as `hakmem-top --help-env=md` describes it, and each option of
options.c is in --help, in hakmem-top.1 and in both completions, which have no others. Usage: pages.py [write], to put the variables there."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, SOURCE, check, equal, run, tool

PAGE = SOURCE / "viewer/man/hakmem.7"
KINDS = {"switch": "0 or 1", "text": "text", "word": "a word", "words": "words"}


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def variables():
    """The entries of hakmem.7, made of the rows that --help-env=md prints."""
    text = run([BUILD / "hakmem-top", "--help-env=md"]).stdout
    rows = re.findall(r"^\| `(HAKMEM_\w+)` \| (.*?) \| (.*?) \| (.*?) \| (.*) \|$", text, re.M)
    check(len(rows) > 20, f"--help-env=md has {len(rows)} rows")
    for name, kind, limits, default, words in rows:
        what = limits.replace(" … ", " to ") or KINDS[kind]
        if limits:
            what = f"{kind}, {what}"
        default = default.strip("`")
        words = words.replace("\\|", "|")
        yield f".TP\n.B {name}\n{roff(words[0].upper() + words[1:])}.\n.br\n({roff(what)}; default: {roff(default)})\n"


def check_variables(write):
    text = PAGE.read_text()
    begin, end = text.index('.\\" environment\n') + len('.\\" environment\n'), text.index('.\\" end\n')
    made = "".join(variables())
    if write:
        PAGE.write_text(text[:begin] + made + text[end:])
    else:
        check(text[begin:end] == made, "hakmem.7 differs from the tables of variables: tests/table/pages.py write puts it right")


def check_options():
    source = (SOURCE / "viewer/options.c").read_text()
    table = source[source.index("long_options[] = {"):source.index("{NULL, 0, NULL, 0}")]
    options = {f"--{name}": argument for name, argument in re.findall(r'\{"([\w-]+)", (\w+),', table)}
    check(len(options) > 15, f"only {len(options)} options in options.c")
    places = {
        "--help": run([BUILD / "hakmem-top", "--help"]).stdout,
        "hakmem-top.1": (SOURCE / "viewer/man/hakmem-top.1").read_text().replace("\\-", "-"),
        "bash's completion": (SOURCE / "viewer/completion/hakmem-top").read_text(),
        "zsh's completion": (SOURCE / "viewer/completion/_hakmem-top").read_text(),
    }
    for place, text in places.items():
        known = set(re.findall(r"(?<![\w-])(--[a-z][\w-]*)", text))
        for option in options:
            check(option in known, f"{place} lacks {option}")
        if place != "hakmem-top.1":
            extra = known - set(options) - {"--option"}
            check(not extra, f"{place} has {sorted(extra)}, which options.c hasn't")
    # In the completions a value is asked for exactly where the option takes one.
    zsh = places["zsh's completion"]
    for option, argument in options.items():
        takes = re.search(rf"{option}(=|\+)", zsh) is not None
        equal(takes, argument != "no_argument", f"whether zsh's {option} takes a value")


def check_bash():
    """bash's completion offers what it lists, without the package bash-completion too."""
    script = (f'_init_completion() {{ cur=${{COMP_WORDS[COMP_CWORD]}}; prev=${{COMP_WORDS[COMP_CWORD-1]}}; words=("${{COMP_WORDS[@]}}"); '
              f'cword=$COMP_CWORD; }}; _filedir() {{ :; }}; hakmem-top() {{ echo "7 open 0.1 /bin/x"; echo "8 closed - y"; }}; '
              f'. "{SOURCE}/viewer/completion/hakmem-top"; compopt() {{ :; }}; '
              'COMP_WORDS=(hakmem-top "$1"); COMP_CWORD=1; _hakmem_top; printf "%s\\n" "${COMPREPLY[@]}"')
    offered = {word: run([tool("bash"), "-c", script, "bash", word]).stdout.split() for word in ("--re", "--h", "")}
    equal(sorted(offered["--re"]), ["--readonly", "--record-max=", "--record=", "--replay=", "--report="], "what --re is completed to")
    equal(sorted(offered["--h"]), ["--heap-v2=", "--help", "--help-env", "--html="], "what --h is completed to")
    equal(offered[""], ["7"], "the processes that are offered")


def check_form():
    """groff finds nothing wrong with the pages, where it is installed."""
    groff = subprocess.run(["which", "groff"], capture_output=True, check=False).stdout.decode().strip()
    for page in ("hakmem-top.1", "hakmem.7"):
        if groff:
            result = run([groff, "-man", "-Tutf8", "-ww", "-Kutf8", SOURCE / "viewer/man" / page])
            equal(result.stderr, "", f"what groff says of {page}")


def main():
    check_variables("write" in sys.argv[1:])
    check_options()
    check_bash()
    check_form()


main()
