"""What the programs with planted bugs do (bugs.c, deletes.cpp), and what must be made of them at each level of guarding: the one table that
detect.py, sampling.py and compare go by.

A report names the kind of mistake, the block, and by their stacks the functions that play a part, each a letter here:
    m  misuses_it_by_…    a  allocates_it…    f  frees_it    o  others, which have had the block's place since
"""
import pathlib
import re

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
FUNCTIONS = {"m": "misuses_it", "a": "allocates_it", "f": "frees_it", "o": "churns"}

# The texts of reports by their names, from the library's own table.
KINDS = dict(re.findall(r'^\tX\((\w+), "(.*)"\)', (SOURCE / "lib/report.h").read_text(), re.M))
LEVELS = ("off", "sample", "full")

# How checkers call the families of mistakes.
DOUBLE_FREE = r"double[- ]free|freed twice"
BAD_FREE = r"not malloc\(\)-ed|invalid (unaligned )?free|free\(\): invalid|not HAKMEM's|not the start of a live block"
OVERFLOW = r"heap-buffer-overflow|canary corrupted|beyond a block's end"
UNDERFLOW = r"heap-buffer-overflow|before a block's beginning"
AFTER_FREE = r"use-after-free|write after free|block that was freed"
REALLOC = r"double[- ]free|realloc\(\): invalid|realloc of a block that was freed"
LEAK = r"detected memory leaks|live at the end: [1-9]"
DELETE = r"mismatch|size or an alignment that it can't have"


class Seen:
    """A report: its kind, the functions whose stacks it holds, whether it names the block that the program told of, as those with its
    stacks do, how many there are if the program goes on, and whether it comes at the program's end."""

    def __init__(self, kind, functions="", names_block=None, times=1, at_end=False):
        self.kind, self.text, self.functions, self.times = kind, KINDS[kind], set(functions), times
        self.at_end = at_end
        self.is_fault = kind.startswith("FAULT")
        self.is_damage = kind in ("OVERFLOW", "UNDERFLOW")  # found later, at its first byte
        self.names_block = bool({"a", "f"} & self.functions) if names_block is None else names_block


class Bug:
    """`says` is how README calls it, `family` how checkers do, `functions` are those that a perfect report names. Of each level: the reports
    of which one must come, none if nothing is promised. `chance` is the share of guarded blocks in which a level of chance finds it: where
    the block lies at its page's other end, nothing may be seen."""

    def __init__(self, says, family, functions, off=(), sample=(), full=(), chance=1.0):
        self.says, self.family, self.functions = says, family, set(functions)
        self.levels = dict(zip(LEVELS, map(seen_of, (off, sample, full))))
        self.chance = chance


def seen_of(some):
    return [some] if isinstance(some, Seen) else list(some)


def overflow(says, sample=("FAULT_OVERFLOW", "OVERFLOW"), chance=1.0):
    """A write beyond the end. It stops at an inaccessible page, or is found when the block is freed."""
    found = [Seen(kind, "ma" if kind.startswith("FAULT") else "af") for kind in sample]
    return Bug(says, OVERFLOW, "ma", sample=found, full=Seen("OVERFLOW", "af"), chance=chance)


TWICE = {"sample": Seen("DOUBLE_FREE", "maf"), "full": Seen("DOUBLE_FREE", "maf")}
FOREIGN = {"off": Seen("FOREIGN_FREE"), "sample": Seen("FOREIGN_FREE", "m"), "full": Seen("FOREIGN_FREE", "m")}
WRONG_DELETE = {"sample": Seen("WRONG_SIZE", "ma"), "full": Seen("WRONG_SIZE", "ma")}

BUGS = {
    "double_free": Bug("double free", DOUBLE_FREE, "maf", off=Seen("DOUBLE_FREE"), **TWICE),
    "double_free_delayed": Bug("double free, others freed between", DOUBLE_FREE, "maf", off=Seen("DOUBLE_FREE"), **TWICE),
    "double_free_reused": Bug("double free, its memory in use again", DOUBLE_FREE, "maf", **TWICE),
    "invalid_free": Bug("free of a static variable", BAD_FREE, "m", **FOREIGN),
    "interior_free": Bug("free of a block's inside", BAD_FREE, "ma", off=Seen("INVALID_FREE"), sample=Seen("INVALID_FREE", "ma"),
                         full=Seen("INVALID_FREE", "ma")),
    "stack_free": Bug("free of a local variable", BAD_FREE, "m", **FOREIGN),
    "overflow_by_1": overflow("overflow by 1 byte", ["OVERFLOW"]),
    "overflow_not_freed": Bug("overflow by 1 byte, never freed", OVERFLOW, "ma", full=Seen("OVERFLOW", "a", at_end=True)),
    "overflow_by_page": overflow("overflow by a page", ["FAULT_OVERFLOW"]),
    "overflow_in_libc": overflow("overflow in libc's memset"),
    "overflow_read": Bug("read beyond the end", OVERFLOW, "ma", sample=Seen("FAULT_OVERFLOW", "ma"), chance=0.5),
    "overflow_aligned": overflow("overflow of an aligned block"),
    "overflow_large": Bug("overflow of a large block", OVERFLOW, "ma", full=Seen("OVERFLOW", "af")),
    "overflow_shrunk": overflow("overflow of a block that realloc made shorter", ["OVERFLOW"]),
    "overflow_across_threads": overflow("overflow in another thread"),
    "underflow": Bug("underflow by 1 byte", UNDERFLOW, "ma", sample=[Seen("FAULT_UNDERFLOW", "ma"), Seen("UNDERFLOW", "af")],
                     full=Seen("UNDERFLOW", "af")),
    "write_after_free": Bug("write after free", AFTER_FREE, "maf", sample=Seen("FAULT_AFTER_FREE", "maf"),
                            full=Seen("USE_AFTER_FREE", "af")),
    "write_after_free_late": Bug("write after free, just before the end", AFTER_FREE, "maf", sample=Seen("FAULT_AFTER_FREE", "maf"),
                                 full=Seen("USE_AFTER_FREE", "af", at_end=True)),
    "write_after_free_large": Bug("write after free of a large block", AFTER_FREE, "maf", full=Seen("FAULT_AFTER_FREE", "maf")),
    "read_after_free": Bug("read after free", AFTER_FREE, "maf", sample=Seen("FAULT_AFTER_FREE", "maf")),
    "write_after_quarantine": Bug("write after free and quarantine", AFTER_FREE, "maf", sample=Seen("FAULT_AFTER_FREE", "mo"),
                                  full=Seen("USE_AFTER_FREE", "o")),
    "realloc_of_freed": Bug("realloc of a freed block", REALLOC, "maf", off=Seen("REALLOC_OF_FREED"), sample=Seen("REALLOC_OF_FREED", "maf"),
                            full=Seen("REALLOC_OF_FREED", "maf")),
    "leak": Bug("leak", LEAK, "a"),
    "delete_as_base": Bug("delete as a smaller base class", DELETE, "ma", **WRONG_DELETE),
    "delete_of_array": Bug("delete of an array", DELETE, "ma", **WRONG_DELETE),
    "delete_aligned_of_plain": Bug("aligned delete of a block that isn't", DELETE, "ma", **WRONG_DELETE),
    "delete_plain_of_aligned": Bug("plain delete of an aligned block", DELETE, "ma", **WRONG_DELETE),
    "delete_of_malloc": Bug("delete of malloc's block", DELETE, "ma"),
}
