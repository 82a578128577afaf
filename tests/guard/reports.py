"""HAKMEM's reports of misuse, as they stand on stderr: a line with what happened, the address and the block, then by whom, each with a stack, and
the memory there."""
import re

from support import run, tool

FRAME = re.compile(r"(/\S+)\+0x([0-9a-f]+)$", re.M)
LINE = re.compile(r"hakmem: (?! )(?!live at the end)(.*)")
DEED = re.compile(r"hakmem:   (\w+) by thread (\d+)\b")
STACKS = {"allocated": "allocated", "freed": "freed"}  # of the block; who accesses it, finds it damaged or calls is "access"


class Report:
    """`kind` is what happened, `facts` are the words NAME=VALUE of the line, `stacks` and `threads` are by who did something: access, allocated,
    freed."""

    def __init__(self, line):
        self.line, self.kind = line, line.partition(" (address=")[0]
        self.facts = dict(re.findall(r"(\w+)=(-?\w+)", line))
        self.stacks, self.threads = {}, {}

    def number(self, name):
        return int(self.facts.get(name, "0"), 0)


def reports(text):
    """All of them, in their order."""
    some, stack = [], None
    for line in text.splitlines():
        if match := LINE.match(line):
            some.append(Report(match[1]))
            stack = None
        elif some and (match := DEED.match(line)):
            who = STACKS.get(match[1], "access")
            some[-1].threads[who] = int(match[2])
            stack = some[-1].stacks.setdefault(who, [])
        elif stack is not None and line.startswith("hakmem:     #"):
            stack.append(line)
        else:
            stack = None
    return some


def named(text):
    """The text with the functions' names behind the frames, which HAKMEM prints as FILE+0xOFFSET."""
    frames = {}
    for path, offset in FRAME.findall(text):
        frames.setdefault(path, set()).add(offset)
    names = {}
    for path, offsets in frames.items():
        some = sorted(offsets)
        lines = run([tool("addr2line"), "-f", "-C", "-e", path, *(f"0x{offset}" for offset in some)], expect=None).stdout.splitlines()
        names.update({(path, offset): name for offset, name in zip(some, lines[::2])})
    return FRAME.sub(lambda frame: f"{frame[0]} {names.get((frame[1], frame[2]), '')}", text)
