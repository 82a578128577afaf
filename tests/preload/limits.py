#!/usr/bin/python3
"""limits.py CASE: programs under limits. Out of memory is NULL and ENOMEM and passes; a small address space is enough to run."""
import json
import pathlib
import resource
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "endpoint"))
from support import LIBRARY, Folder, check, check_trace, clean_environment, equal, program, run, skip, tool, traced  # noqa: E402
from client import connect  # noqa: E402

MIB = 1 << 20


def limited(kind, megabytes):
    def apply():
        resource.setrlimit(kind, (megabytes * MIB, megabytes * MIB))
    return apply


def out_of_memory():
    result = run([program("out_of_memory")], library=LIBRARY, preexec_fn=limited(resource.RLIMIT_AS, 400), timeout=280)
    equal(result.stdout, "memory ran out and came back\n", "output")
    equal(result.stderr, "", "messages")


def full_heap():
    result = run([program("full_heap")], library=LIBRARY, env={"HAKMEM_RESERVE": "64M"})
    equal(result.stdout, "found what was freed\n", "output")
    equal(result.stderr, "", "messages")


# What to run, and what it must print.
LINES = "".join(f"{i * 7919 % 100003} some text that makes the line longer\n" for i in range(40000))
REAL = {
    "perl": (["-e", 'my @a = map { "x" x $_ } 1 .. 5000; print scalar(@a), "\\n"'], "5000\n"),
    "python3": (["-c", "d = {str(i): [i] * 3 for i in range(50000)}; print(sum(v[1] for v in d.values()))"], "1249975000\n"),
    "sort": (["-n", "--parallel=1"], "".join(sorted(LINES.splitlines(True), key=lambda line: int(line.split()[0])))),
    "sqlite3": ([":memory:", "create table t(a, b); with recursive c(x) as (select 1 union all select x + 1 from c where x < 20000)"
                 " insert into t select x, hex(randomblob(40)) from c; select count(*), sum(length(b)) from t;"], "20000|1600000\n"),
}
LOOKING = {"HAKMEM_INTROSPECT": 1, "HAKMEM_TRACE": "all", "HAKMEM_DUMP_ON": "exit"}


def real(name, folder, variables, library=LIBRARY, **options):
    """Runs one of them, and checks what it prints."""
    arguments, output = REAL[name]
    (folder / "input").write_text(LINES)
    with open(folder / "input") as lines:
        result = run([tool(name), *arguments], library=library, stdin=lines, cwd=folder,
                     env={"PYTHONMALLOC": "malloc", "HAKMEM_DIR": folder, "HAKMEM_DUMP_PATH": folder / "dump", **variables}, **options)
    if result.returncode == 0:
        check(result.stdout == output, f"{name} printed {result.stdout[:200]!r}")
    return result


def real_programs():
    """Under `ulimit -v` and the like, and looked into meanwhile: they do what they always do, without a word."""
    limits = [(resource.RLIMIT_AS, megabytes) for megabytes in (200, 500, 2048)]
    limits += [(resource.RLIMIT_DATA, 200), (resource.RLIMIT_MEMLOCK, 0), (resource.RLIMIT_CORE, 0)]
    for kind, megabytes in limits:
        for name in REAL:
            for looking in ({}, LOOKING) if kind == resource.RLIMIT_AS else ({},):
                with Folder() as folder:
                    result = real(name, folder, {**traced(folder / "log"), **looking}, preexec_fn=limited(kind, megabytes))
                    equal(result.stderr, "", f"what {name} said under limit {kind} of {megabytes} MiB")
                    check_trace(folder / "log")
                    check(not looking or json.loads((folder / "dump").read_text())["type"] == "dump", "the dump")


def limits(case, argument, megabytes, said, kind=resource.RLIMIT_AS, **options):
    """Runs a case of limits.c under a limit, which says `said` and nothing else."""
    result = run([program("limits"), case, argument], library=LIBRARY, preexec_fn=limited(kind, megabytes), **options)
    equal((result.stdout, result.stderr), (said, ""), f"{case} {argument} under {megabytes} MiB")


def gives_back():
    """After memory was out and was freed, there is address space for others. Looking into it makes no difference."""
    for size in (64, 100000, 3000000):
        limits("gives_back", size, 300, "gave back\n")
    with Folder() as folder:
        limits("gives_back", 5000, 300, "gave back\n", env={"HAKMEM_DIR": folder, "HAKMEM_DUMP_PATH": folder / "dump", **LOOKING})
        check(json.loads((folder / "dump").read_text())["type"] == "dump", "the dump")


def second_reservation():
    for megabytes, use in ((400, 250), (2048, 1000)):
        limits("second_reservation", use, megabytes, "none was foreign\n")


def race():
    limits("race", 16, 500, "all are done\n")
    limits("race", 16, 300, "all are done\n", kind=resource.RLIMIT_DATA)


# Sizes that fill what serves them badly or well: of each class and run of slots from just above the one before it. 0: sizes as
# programs have them.
SHARE_SIZES = (0, 24, 64, 100, 180, 513, 1025, 1100, 1153, 1600, 2049, 3000, 4096, 4097, 5200, 6200, 7200, 8193, 10400,
               12300, 14400, 16385, 21000, 24600, 28700, 32800, 37500, 43700, 52500, 58300, 65600, 75000, 87400, 100 << 10,
               105000, 117000, 132000, 150000, 175000, 215000, 270000, 330000, 395000, 460000, 525000, 590000, 660000,
               720000, 790000, 920000, 1050000, 1400000, 1600000, 2100000, 2700000, 3000000, 4200000, 6300000, 10 << 20,
               20000000, 40 << 20, 64 << 20)


def share():
    """What a program gets before memory is out is at least 80 % of what glibc gives it."""
    small = []
    cases = [(500, size) for size in SHARE_SIZES]
    cases += [(megabytes, size) for megabytes in (200, 2048) for size in (0, 100 << 10, 330000, 3000000)]
    for megabytes, size in cases:
        command = [program("limits"), "exhaust", size]
        ours, libcs = (int(run(command, library=library, preexec_fn=limited(resource.RLIMIT_AS, megabytes)).stdout)
                       for library in (LIBRARY, None))
        print(f"ulimit -v of {megabytes} MiB, blocks of {size or 'mixed'} bytes: {ours >> 20} of {libcs >> 20} MiB, "
              f"{1000 * ours // libcs / 10} %")
        if ours < libcs * 0.8:
            small.append((megabytes, size))
    check(not small, f"too little: {small}")


def locked(what):
    """Locked memory doesn't go back, and keeps its contents."""
    result = run([program("limits"), "locked", what], library=LIBRARY)
    equal(result.stderr, "", "messages")
    if result.stdout.startswith("not locked: "):
        skip(f"memory may not be locked here: {result.stdout[len('not locked: '):].strip()}")
    equal(result.stdout, "locked\n", "output")


def locked_current():
    locked("current")


def locked_future():
    locked("future")


def mappings():
    """With as many mappings as there may be (vm.max_map_count), the heap grows on."""
    if int(pathlib.Path("/proc/sys/vm/max_map_count").read_text()) > 1 << 17:
        skip("vm.max_map_count is too high to be reached here")
    result = run([program("limits"), "mappings", 600], library=LIBRARY)
    equal((result.stdout, result.stderr), ("600 MiB\n", ""), "the heap's growth")


def failing_calls():
    """HAKMEM's N-th system call fails, and those after it for a while, in real programs that are looked into: they end well,
    or say that memory is out; none crashes or hangs."""
    refused = 0
    for name in ("perl", "python3", "sort"):
        for looking, count in ({}, 1), ({}, 40), (LOOKING, 40):
            for first in (1, 2, 3, 4, 5, 7, 10, 20):
                with Folder() as folder:
                    result = real(name, folder, {"FAILING_CALLS": f"{first},{count}", **looking},
                                  f"{program('failing_calls.so')}:{LIBRARY}", expect=None)
                    # There is another way round a single refusal. After many some say so, some just end; by abort too.
                    check(result.returncode == 0 if count == 1 else result.returncode >= 0 or result.returncode == -signal.SIGABRT,
                          f"{name}, call {first}, {count} of them: status {result.returncode}, {result.stderr[-500:]}")
                    refused += result.returncode != 0
    print(f"{refused} programs ended because memory was out")
    check(refused, "no program was refused memory: do the calls fail?")


def looked_into():
    """A program that is out of memory can be looked into: a snapshot, or an error that says why not, and it goes on."""
    for megabytes, size in ((200, 1000), (500, 64), (500, 1000000)):
        with Folder() as folder:
            process = subprocess.Popen(
                [program("limits"), "hold", str(size)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_DIR=folder, HAKMEM_DUMP_PATH=folder / "dump", **LOOKING),
                preexec_fn=limited(resource.RLIMIT_AS, megabytes))
            equal(process.stdout.readline(), "out\n", "the program's first line")
            with connect(folder, process.pid) as client:
                answers = [client.ask(line)["type"] for line in ("snapshot", "stats", "ping", "drain", "purge", "snapshot")]
                print(f"{megabytes} MiB, blocks of {size} bytes: {answers}")
                check(answers[2] == "pong", f"answers {answers}")
                client.send("subscribe what=snapshot,events interval_ms=50")
                process.stdin.write("more, and there is none\n")
                process.stdin.flush()
                equal(process.stdout.readline(), "back\n", "the program's second line")
            equal((process.wait(60), process.stderr.read()), (0, ""), "its end")


def one_big_block():
    """More than twice what is reserved at first is served in one piece, where the limit allows it."""
    code = "import ctypes; m = ctypes.CDLL(None).malloc; m.restype = ctypes.c_void_p; print(bool(m(2000 << 20)))"
    result = run([tool("python3"), "-c", code], library=LIBRARY, preexec_fn=limited(resource.RLIMIT_AS, 4000))
    equal(result.stdout, "True\n", "malloc of 2,000 MiB under a limit of 4,000 MiB")


globals()[sys.argv[1]]()
