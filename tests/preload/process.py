#!/usr/bin/python3
"""process.py CASE: what the library is inside a process: its names, its mappings, its signal handlers, and what it is when it comes by
dlopen. The cases run in python3, which is given the library."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check, equal, messages, run, skip, tool

# How a block is made and freed by every name that programs may find. free_sized is told a size that is wrong.
NAMES = r"""
import ctypes, errno
lib = ctypes.CDLL(None, use_errno=True)
P, N = ctypes.c_void_p, ctypes.c_size_t
def function(name, result, *arguments):
    f = getattr(lib, name)
    f.restype, f.argtypes = result, arguments
    return f
usable = function("malloc_usable_size", N, P)
fill = function("memset", P, P, ctypes.c_int, N)
frees = [function(name, None, P) for name in ("free", "cfree", "__libc_free", "__libc_cfree")]
sized, aligned_sized = function("free_sized", None, P, N), function("free_aligned_sized", None, P, N, N)
frees += [lambda p: sized(p, 5), lambda p: aligned_sized(p, 64, 7000)]
makes = []
for prefix in ("", "__libc_"):
    makes += [lambda n, f=function(prefix + "malloc", P, N): f(n), lambda n, f=function(prefix + "calloc", P, N, N): f(n, 1),
              lambda n, f=function(prefix + "realloc", P, P, N): f(None, n),
              lambda n, f=function(prefix + "reallocarray", P, P, N, N): f(None, 1, n),
              lambda n, f=function(prefix + "memalign", P, N, N): f(64, n), lambda n, f=function(prefix + "valloc", P, N): f(n),
              lambda n, f=function(prefix + "pvalloc", P, N): f(n)]
makes.append(lambda n, f=function("aligned_alloc", P, N, N): f(256, n))
def posix(name):
    f = function(name, ctypes.c_int, P, N, N)
    def make(n):
        out = P()
        assert f(ctypes.byref(out), 128, n) == 0
        return out.value
    return make
makes += [posix("posix_memalign"), posix("__posix_memalign")]
for n in (1, 1000, 40000, 3 << 20):
    for make in makes:
        for free in frees:
            block = make(n)
            assert block and block % 16 == 0 and usable(block) >= n and usable(block) % 16 == 0
            fill(block, 1, n)
            free(block)
assert lib.malloc_trim(0) in (0, 1) and lib.mallopt(-1, 1) == 1
print(len(makes), len(frees))
"""

# Flags of the mappings that may be written to, by address, after a lot has been reserved and committed.
FLAGS = r"""
import ctypes, re
malloc = ctypes.CDLL(None).malloc
malloc.restype, malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
block = malloc(16 << 30)
assert block
for entry in re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", open("/proc/self/smaps").read()):
    found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)", entry)
    if found and found[4] == "0":
        first, end = int(found[1], 16), int(found[2], 16)
        kind = "block" if first <= block < end else "near" if abs(first - block) < 1 << 42 else "other"
        print(kind, found[3], end - first, *re.search(r"VmFlags: (.*)", entry)[1].split())
"""


def python(code, library=LIBRARY, **env):
    return run([tool("python3"), "-c", code], library=library, env=env)


def names():
    """All names work together: what one makes, each other can free; a wrong size or alignment said to free does no harm."""
    result = python(NAMES)
    equal((result.stdout, messages(result)), ("17 6\n", ""), "ways to make and to free")


def flags():
    rows = [line.split() for line in python(FLAGS).stdout.splitlines()]
    return [(kind, rights, int(length), set(words)) for kind, rights, length, *words in rows if kind != "other"]


def huge_pages():
    """The metadata is sparse, and asks for no huge pages; the heap itself may have them."""
    if not pathlib.Path("/sys/kernel/mm/transparent_hugepage").exists():
        skip("this kernel has no transparent huge pages")
    rows = flags()
    metadata = [row for row in rows if row[0] == "near" and row[1].startswith("rw") and "nh" in row[3]]
    check(any(length >= 2 << 20 for _, _, length, _ in metadata), f"no metadata without huge pages: {rows}")
    check(all("nh" not in words for kind, _, _, words in rows if kind == "block"), f"the heap may not have huge pages: {rows}")


def dumped():
    """The reservation stays out of core dumps, what is committed is in them."""
    rows = flags()
    reserved = [row for row in rows if row[1].startswith("---")]
    check(any(length >= 100 << 30 for _, _, length, _ in reserved), f"no reservation: {rows}")
    check(all("dd" in words for _, _, _, words in reserved), f"a part of the reservation would be dumped: {rows}")
    committed = [row for row in rows if row[1].startswith("rw")]
    check(committed and all("dd" not in words for _, _, _, words in committed), f"committed memory would not be dumped: {rows}")


def no_handlers():
    """No signal is caught, ignored or blocked that wasn't before, whatever is switched on: nothing of ours runs inside a handler. (32 and
    33 are libc's own, for threads.)"""
    def caught(**options):
        lines = run(["/bin/cat", "/proc/self/status"], **options).stdout.splitlines()
        return [(line[:6], int(line[7:], 16) & ~(3 << 31)) for line in lines if line.startswith(("SigCgt", "SigIgn", "SigBlk"))]
    with Folder() as folder:
        for env in ({}, {"HAKMEM_INTROSPECT": 1, "HAKMEM_DIR": folder / "dir", "HAKMEM_TRACE": "all", "HAKMEM_DUMP_ON": "exit",
                         "HAKMEM_DUMP_PATH": folder / "dump"}):
            equal(caught(library=LIBRARY, env=env), caught(), f"signals under {env}")


def opened():
    """dlopen gives the library to whoever asks for its own names, and leaves the program's malloc alone. Where the program has no static
    TLS to spare it fails with a message, and the program goes on."""
    code = f"""
import ctypes, os, threading
try:
    lib = ctypes.CDLL({str(LIBRARY)!r})
except OSError as error:
    print("refused:", error)
    raise SystemExit
lib.hak_malloc.restype, lib.hak_malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
lib.hak_free.argtypes = lib.hak_usable_size.argtypes = (ctypes.c_void_p,)
def use():
    blocks = [lib.hak_malloc(n * 100) for n in range(1, 500)]
    assert all(lib.hak_usable_size(block) >= (n + 1) * 100 for n, block in enumerate(blocks))
    for block in blocks:
        lib.hak_free(block)
threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
child = os.fork()
use()
if child == 0: os._exit(0)
assert os.waitpid(child, 0)[1] == 0
own = ctypes.CDLL(None)
own.malloc.restype, own.malloc_usable_size.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
print("opened", own.malloc_usable_size(own.malloc(24)) == 32)
import _ctypes
_ctypes.dlclose(lib._handle)
use()
"""
    result = python(code, library=None)
    equal((result.stdout, result.stderr), ("opened False\n", ""), "a program that opens the library")
    result = python(code, library=None, GLIBC_TUNABLES="glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1")
    if result.stdout == "opened False\n":
        print("left out: this libc has room for the library's TLS all the same")
        return
    check(result.stdout.startswith("refused:") and "static TLS" in result.stdout, f"without TLS to spare: {result.stdout!r}")
    equal(result.stderr, "", "messages without TLS to spare")


CASES = (names, huge_pages, dumped, no_handlers, opened)

next(case for case in CASES if case.__name__ == sys.argv[1])()
