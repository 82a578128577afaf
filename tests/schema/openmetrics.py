#!/usr/bin/python3
"""The answer to `stats format=openmetrics` follows OpenMetrics 1.0 to the letter, whatever the program is called, and says what a
snapshot says; `hakmem-top --metrics` prints it as it is."""
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "endpoint"))
from support import BUILD, LIBRARY, Folder, check, clean_environment, equal, program, run  # noqa: E402
from client import connect, eventually  # noqa: E402

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*"
ESCAPED = r'(?:[^"\\\n]|\\["\\n])*'
LABEL = rf'({LABEL_NAME})="({ESCAPED})"'
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
DESCRIPTOR = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) ({ESCAPED})")
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}(?:,{LABEL})*)?)\}})? ({NUMBER})(?: {NUMBER})?")
TYPES = {"gauge": ("",), "counter": ("_total", "_created"), "unknown": ("",), "info": ("_info",)}


class Bad(Exception):
    """What a text that is no OpenMetrics text has wrong."""


def need(condition, what):
    if not condition:
        raise Bad(what)


class Family:
    def __init__(self, name):
        self.name, self.kind, self.metadata, self.samples = name, "unknown", {}, {}

    def describe(self, word, value):
        need(not self.samples, f"{word} of {self.name} behind its samples")
        need(word not in self.metadata, f"a second {word} of {self.name}")
        self.metadata[word] = value
        if word == "TYPE":
            need(value in TYPES, f"{self.name} is of the type {value}")
            self.kind = value
        if word == "UNIT":
            need(value and self.name.endswith("_" + value), f"{self.name} doesn't end in its unit {value}")

    def add(self, name, labels, number):
        need(name[len(self.name):] in TYPES[self.kind], f"{name} in the {self.kind} {self.name}")
        pairs = re.findall(LABEL, labels or "")
        key = (name, tuple(sorted(pairs)))
        need(len(dict(pairs)) == len(pairs), f"a label stands twice in {name}")
        need(not any(label.startswith("__") for label, _ in pairs), f"a reserved label in {name}")
        need(key not in self.samples, f"{name} twice with the same labels")
        need(self.kind != "counter" or float(number) >= 0, f"the counter {name} is negative")
        self.samples[key] = float(number)


def parse(text):
    """The families of a text, by name. Raises Bad for what the grammar, or the rules beside it, don't allow."""
    need(text.endswith("# EOF\n") or text.endswith("# EOF"), "no # EOF at the end")
    lines = text.removesuffix("\n").split("\n")
    need(lines.index("# EOF") == len(lines) - 1, "something behind # EOF")
    families, current = {}, None
    for line in lines[:-1]:
        if descriptor := DESCRIPTOR.fullmatch(line):
            word, name, value = descriptor.groups()
            owner = name
        else:
            sample = SAMPLE.fullmatch(line)
            need(sample, f"neither a descriptor nor a sample: {line!r}")
            name = sample[1]
            owner = current.name if current and name.startswith(current.name) and \
                name[len(current.name):] in TYPES[current.kind] else name
        if current is None or owner != current.name:
            need(owner not in families, f"the family {owner} is interrupted by another")
            current = families[owner] = Family(owner)
        if descriptor:
            current.describe(word, value)
        else:
            current.add(name, sample[2], sample[sample.lastindex])
    for family in families.values():
        clashes = [family.name + suffix for suffix in TYPES[family.kind] if suffix and family.name + suffix in families]
        need(not clashes, f"{family.name} and {clashes} clash")
    return families


def check_the_parser():
    """Texts with one fault each are refused."""
    good = '# TYPE a_bytes counter\n# UNIT a_bytes bytes\n# HELP a_bytes x \\" \\\\ \\n\na_bytes_total{b="1",c="\\"\\\\\\n"} 1\n# EOF\n'
    equal(parse(good)["a_bytes"].samples, {("a_bytes_total", (("b", "1"), ("c", '\\"\\\\\\n'))): 1.0}, "a good text's sample")
    for old, new in (("# EOF\n", ""), ("# EOF\n", "# EOF\n\n"), ("# EOF\n", "# EOF\na 1\n"), ("counter", "count"), ("_total", ""),
                     ("bytes\n# HELP", "seconds\n# HELP"), ('b="1"', 'b="\n"'), ('b="1"', 'b="""'), ('b="1"', 'b="\\x"'), ('b="1",', 'b="1",b="2",'),
                     (' 1\n', ' -1\n'), (" 1\n", " 1 \n"), (" 1\n", " 0x1\n"), (" 1\n", "  1\n"), ("{b", "{,b"), ("# TYPE", "#TYPE"), ("# TYPE", "# type"),
                     ("# HELP a_bytes", "# comment"), ("# UNIT", "\n# UNIT"), ("a_bytes_total", "2_total"),
                     ("# EOF", '# TYPE b gauge\nb 1\na_bytes_total{b="2"} 1\n# EOF'), ("# EOF", "# HELP a_bytes again\n# EOF"),
                     ("# EOF", 'a_bytes_total{c="\\"\\\\\\n",b="1"} 1\n# EOF'), ("# EOF", "# TYPE a_bytes_total gauge\na_bytes_total 1\n# EOF")):
        bad = good.replace(old, new, 1)
        try:
            parse(bad)
        except (Bad, ValueError):
            continue
        check(False, f"the parser accepts {bad!r}")


def values(families, name, **wanted):
    """Sums the samples of a family that have these labels."""
    found = families[name]
    return sum(value for (_, labels), value in found.samples.items() if wanted.items() <= dict(labels).items())


def compare(families, before, after):
    """What both tell lies between two snapshots, for what only grows; what is fixed is the same."""
    def between(name, *path, **labels):
        low, high = before, after
        for key in path:
            low, high = low[key], high[key]
        check(low <= values(families, name, **labels) <= high, f"{name} {labels}: {values(families, name, **labels)}, not in {low}..{high}")

    equal(values(families, "hakmem_reserved_bytes"), before["memory"]["reserved_bytes"], "reserved bytes")
    for name in before["syscalls"]:
        between(f"hakmem_{name}", "syscalls", name)
    between("hakmem_superslabs_created", "pool", "superslabs_created")
    between("hakmem_drained_blocks", "drain", "blocks")
    for row in before["classes"]:
        number = row["class"]
        between("hakmem_class_allocs", "classes", number, "allocs", **{"class": str(number)})
        between("hakmem_class_frees", "classes", number, "frees", **{"class": str(number)})
        for stage in ("depot", "stage1", "stage2", "stage3"):
            between("hakmem_class_refills", "classes", number, stage, stage=stage, **{"class": str(number)})


def main():
    check_the_parser()
    with Folder() as folder:
        for name, shown in (("plain", "plain"), ('q"uo\\te\nnew', r'q\"uo\\te\nnew'), ("grün\x1b[31m", "grün\x1b[31m")):
            copy = folder / name
            shutil.copy(program("endpoint_target"), copy)
            process = subprocess.Popen([copy], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=folder / "run"))
            try:
                equal(process.stdout.readline(), "ready\n", "the program's first line")
                with connect(folder / "run", process.pid) as client:
                    eventually(lambda: sum(row["allocs"] for row in client.ask("snapshot")["classes"]) > 10000, "the program allocates")
                    before, message, after = (client.ask(line) for line in ("snapshot", "stats format=openmetrics", "snapshot"))
                equal(set(message), {"type", "time_us", "text"}, "members of the message")
                families = parse(message["text"])
                compare(families, before, after)
                for family in families.values():
                    equal(set(family.metadata) - {"UNIT"}, {"TYPE", "HELP"}, f"what is said of {family.name}")
                    equal("UNIT" in family.metadata, family.name.endswith("_bytes"), f"a unit of {family.name}")
                    for _, labels in family.samples:
                        equal(dict(labels)["pid"], str(process.pid), f"pid of {family.name}")
                        equal(dict(labels)["program"], shown, f"program of {family.name}")
                printed = run([BUILD / "hakmem-top", "--metrics", str(process.pid)], env={"HAKMEM_DIR": folder / "run"}).stdout
                equal(set(parse(printed)), set(families), "families that hakmem-top prints")
                check("\x1b" not in printed, "hakmem-top prints an escape character")
                process.communicate(timeout=60)
            finally:
                process.kill()
                process.wait()
            print(f"{len(families)} families, {sum(len(family.samples) for family in families.values())} samples")


main()
