"""What compare, plot and experiments share: which allocators there are, one run of bench_loads under one of them, and
figures from several runs.

HAKMEM is out/release/libhakmem.so, or that of the build directory HAK_BUILD. Peers are looked for where Debian and
others put libraries; one more is given as NAME=PATH.so, with variables for it after commas:
NAME=PATH.so,HAKMEM_SS_AFFINITY=0.
"""
import contextlib
import os
import pathlib
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys

os.environ.setdefault("HAK_BUILD", str(pathlib.Path(__file__).resolve().parents[2] / "out/release"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, Folder, run

LOADS = BUILD / "bench_loads"
EMPTY = BUILD / "tests/libbench_empty.so"
FOLDERS = (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
HEAPTRACK = pathlib.Path("/usr/lib/heaptrack")
PEERS = {"mimalloc": "libmimalloc.so.[0-9]*", "jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}
OURS = "hakmem"
TIMEOUT = 600
RESAMPLES = 2000


def end(message):
    """Ends the program because it was asked for something that it can't do."""
    print(f"{pathlib.Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    sys.exit(2)


class Allocator:
    """A library to preload, or none for glibc's malloc, and the variables to set for it."""

    def __init__(self, name, library=None, variables=None):
        self.name, self.library, self.variables = name, library, variables or {}

    def run(self, command, **options):
        """Runs a command under this allocator and returns the result."""
        return run(command, library=self.library, env=self.variables, timeout=TIMEOUT, **options)

    def environment(self):
        """The variables that a tool which starts the program itself, such as strace, has to set for it."""
        return dict(self.variables, **({"LD_PRELOAD": self.library} if self.library else {}))

    @contextlib.contextmanager
    def started(self):
        """Those variables, while a program runs with them."""
        yield self.environment()

    def verify(self):
        """A library that can't be preloaded only costs a warning, and all figures would be glibc's."""
        if not LOADS.exists():
            end(f"{LOADS} is missing: run ./build.sh all")
        if self.library and not self.library.exists():
            end(f"{self.library} is missing")
        found = pathlib.Path(self.run([LOADS, "--allocator"]).stdout.strip())
        right = found.resolve() == self.library.resolve() if self.library else found.name.startswith("libc.so")
        if not right:
            end(f"{self.name}: malloc comes from {found}, not from {self.library or 'libc.so.6'}")


def given(text):
    """NAME=PATH.so[,VARIABLE=VALUE…]"""
    name, _, rest = text.partition("=")
    path, *variables = rest.split(",")
    if not re.fullmatch(r"[\w.+-]+", name) or not path or any("=" not in word for word in variables):
        end(f"{text!r} is not of the form NAME=PATH.so[,VARIABLE=VALUE…]")
    return Allocator(name, pathlib.Path(path).resolve(), dict(word.split("=", 1) for word in variables))


def installed(name):
    for folder in FOLDERS:
        found = sorted(pathlib.Path(folder).glob(PEERS[name]))
        if found:
            return [Allocator(name, found[0])]
    return []


class Heaptrack(Allocator):
    """libc's malloc, watched as the command heaptrack does it: each allocation goes through a pipe to a second process, what
    that writes through a third, which compresses it."""

    @contextlib.contextmanager
    def started(self):
        with Folder() as folder:
            os.mkfifo(folder / "pipe")
            compressor = "zstd" if shutil.which("zstd") else "gzip"
            command = ["sh", "-c", f'"$0" <"$1" | {compressor} -c', HEAPTRACK / "libexec/heaptrack_interpret", folder / "pipe"]
            with open(folder / "output", "wb") as output, subprocess.Popen(
                    command, stdout=output, stderr=subprocess.DEVNULL) as interpreter:
                try:
                    yield {"LD_PRELOAD": self.library, "DUMP_HEAPTRACK_OUTPUT": folder / "pipe"}
                    interpreter.wait(timeout=TIMEOUT)
                finally:
                    interpreter.kill()

    def run(self, command, **options):
        with self.started() as variables:
            return run(command, env=variables, timeout=TIMEOUT, **options)


def find_heaptrack():
    """[heaptrack], or nothing where it isn't installed."""
    library = HEAPTRACK / "libheaptrack_preload.so"
    return [Heaptrack("heaptrack", library)] if library.exists() else []


def find_allocators(more, only):
    """HAKMEM, then every peer there is; `more` as on the command line; `only` names, of those, the ones to take."""
    every = [Allocator(OURS, LIBRARY), Allocator("glibc")]
    every += [peer for name in PEERS for peer in installed(name)] + [given(text) for text in more]
    names = [allocator.name for allocator in every]
    if len(set(names)) < len(names):
        end("two allocators have the same name")
    for name in only:
        if name not in names:
            end(f"no allocator {name}: there are {', '.join(names)}")
    chosen = [allocator for allocator in every if not only or allocator.name in only]
    for allocator in chosen:
        allocator.verify()
    return chosen


class Load:
    """A row of `bench_loads --list`."""

    def __init__(self, line):
        self.name, self.kind, operations, threads, self.help = line.split("\t")
        self.operations, self.threads = int(operations), int(threads)

    def run(self, allocator, operations, seed, wait_ms):
        return run_load(allocator, self.name, operations, seed, wait_ms)


def list_loads():
    if not LOADS.exists():
        end(f"{LOADS} is missing: run ./build.sh all")
    return [Load(line) for line in run([LOADS, "--list"]).stdout.splitlines()]


def parse_run(text):
    """The line of a run, as a dictionary."""
    words = dict(word.split("=", 1) for word in text.split())
    kind = {name: float if name.endswith("_s") else str if name == "load" else int for name in words}
    return {name: kind[name](value) for name, value in words.items()}


def run_load(allocator, name, operations, seed, wait_ms=3000):
    return parse_run(allocator.run([LOADS, name, operations, seed, wait_ms]).stdout)


def interval(figure, rounds):
    """The 90 % bootstrap interval of a figure: figure(indices) computes it from the rounds with these indices, which
    are drawn anew, with repetition, 2,000 times. All allocators' runs of a round are drawn together, since they ran
    side by side."""
    draw = random.Random(1)
    drawn = [[draw.randrange(rounds) for _ in range(rounds)] for _ in range(RESAMPLES if rounds > 1 else 1)]
    values = sorted(map(figure, drawn))
    return values[int(0.05 * len(values))], values[min(int(0.95 * len(values)), len(values) - 1)]


def median_of(values, indices):
    return statistics.median(values[i] for i in indices)


def table(head, rows):
    """Lines of text: the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [row[0].ljust(widths[0]), *(word.rjust(width) for word, width in zip(row[1:], widths[1:]))]
        yield "  ".join(cells).rstrip()
