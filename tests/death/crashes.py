#!/usr/bin/env python3
"""HAKMEM_DUMP_ON: what dies, or asks, leaves one valid dump that tells where and why, and ends as it would have ended without."""
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "schema"))
from support import BUILD, LIBRARY, TIMEOUT, Folder, check, clean_environment, equal, program  # noqa: E402
from messages import validate  # noqa: E402

SECONDS = 1.0  # that a dump may take


class End:
    """How a program ended: its status as wait(2) gives it, its words, and the dumps that it left."""

    def __init__(self, case, folder, on="crash,abort,oom,signal", name="crashes", library=LIBRARY, address_space=None, **variables):
        def limit():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if address_space:
                resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        if on:
            variables["HAKMEM_DUMP_ON"] = on
        variables["HAKMEM_DUMP_PATH"] = str(folder / "%e.%p.json")
        if library:
            variables["LD_PRELOAD"] = library
        began = time.monotonic()
        child = subprocess.Popen([str(program(name)), case], env=clean_environment(**variables), cwd=folder, text=True,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit)
        self.words, self.errors = child.communicate(timeout=TIMEOUT)
        self.seconds = time.monotonic() - began
        self.status, self.pid = child.returncode, child.pid
        files = sorted(folder.glob("*.json*"))
        self.dumps = [json.loads(file.read_text()) for file in files]
        equal([file.name for file in files if file.suffix != ".json"], [], "files that are not whole")
        for dump in self.dumps:
            validate(dump)
        for file in files:
            equal(file.stat().st_mode & 0o7777, 0o600, "mode of the dump")

    def value(self, name):
        return next(line.partition("=")[2] for line in self.words.splitlines() if line.startswith(name + "="))


def report(dump, folder):
    """What hakmem-top says of a dump, and with which status."""
    path = folder / "reported"
    path.write_text(json.dumps(dump))
    result = subprocess.run([BUILD / "hakmem-top", "--report", "heap", path], env=clean_environment(), text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT)
    equal(result.stderr, "", "hakmem-top's complaints")
    return result.stdout, result.returncode


def died(case, number, reason="crash", says=(), sums=(0,), **options):
    """Runs a case three times: each ends by the signal and leaves one dump, which the viewer reads. Returns the last end."""
    for _ in range(3):
        with Folder() as folder:
            end = End(case, folder, **options)
            equal(end.status, -number, f"end of {case}")
            check(end.seconds < SECONDS + 1, f"{case} took {end.seconds:.1f} s")
            equal(len(end.dumps), 1, f"dumps of {case} {end.errors}")
            dump = end.dumps[0]
            equal((dump["reason"], dump["crash"]["signal"], dump["process"]["pid"]), (reason, number, end.pid), "what the dump is about")
            check(dump["uptime_us"] < SECONDS * 1e6 + 1e6, "the dump came late")
            equal(dump["crash"]["registers"].get("rip", dump["crash"]["pc"]), dump["crash"]["pc"], "pc")
            check(dump["crash"]["stack"]["words"], "no word of the stack")
            check(any(module["path"].endswith("crashes") and module["build_id"] for module in dump["modules"]) or
                  options.get("name"), "the program is no module")
            text, status = report(dump, folder)
            check(status in sums, f"hakmem-top --report heap of {case} ends with {status}:\n{text}")
            for words in says:
                check(words in text, f"the report on {case} doesn't say {words!r}:\n{text}")
    check("incomplete" not in dump or case == "damaged_records", f"incomplete: {dump.get('incomplete')}")
    return end


def null_pointer():
    crash = died("null_pointer", signal.SIGSEGV, says=("SIGSEGV", "0x10", "not HAKMEM's")).dumps[0]["crash"]
    equal((crash["address"], crash["code_name"], crash["mapping"], crash["heap"]["kind"]), ("0x10", "SEGV_MAPERR", None, "foreign"), "crash")
    equal(crash.get("access", "write"), "write", "what was tried")


def other_signals():
    crash = died("aborts", signal.SIGABRT, reason="abort", says=("SIGABRT",)).dumps[0]["crash"]
    equal(crash["address"], None, "address of an abort")
    end = died("reported", signal.SIGABRT, reason="abort", says=("Reported ", "32 bytes into a live block of 131072"))
    said = end.dumps[0]["report"]
    equal((said["kind"], said["block"], said["offset"]), ("live", end.value("block"), 32), f"what was reported: {said['text']}")
    crash = died("bad_file", signal.SIGBUS, says=("SIGBUS",)).dumps[0]["crash"]
    equal((crash["code_name"], crash["mapping"]["permissions"], crash["heap"]["kind"]), ("BUS_ADRERR", "rw-s", "foreign"), "bad file")
    died("divides", signal.SIGFPE, says=("SIGFPE",))
    end = died("kills_itself", signal.SIGSEGV)
    equal((end.dumps[0]["crash"]["code_name"], end.dumps[0]["crash"]["sender"]), ("SI_USER", end.pid), "who sent the signal")
    crash = died("not_canonical", signal.SIGSEGV).dumps[0]["crash"]
    check(crash["address"] is None or crash["code_name"] != "SI_KERNEL", "an address that nobody knows")


def heap_addresses():
    """The faulting address in the heap: the block, and what had become of it."""
    for case, kind, class_bytes, words in (("live_block", "live", 3072, "live block"), ("freed_block", "cached", 3072, "freed"),
                                           ("large_block", "live", None, "large")):
        end = died(case, signal.SIGSEGV, says=(words, "24 bytes"))
        crash = end.dumps[0]["crash"]
        equal((crash["heap"]["kind"], crash["heap"]["block"], crash["heap"]["offset"]), (kind, end.value("block"), 24), case)
        equal(int(crash["address"], 16), int(end.value("block"), 16) + 24, "faulting address")
        check(class_bytes is None or crash["heap"]["block_bytes"] == class_bytes, f"size of the block: {crash['heap']}")
        check(any(pointer["block"] == end.value("block") for pointer in crash["pointers"]), "no register points to the block")
        row = next(row for row in end.dumps[0]["superslabs"] if row["ss"] == crash["heap"]["ss"])
        equal(row["slots"][crash["heap"]["slot"]][0], "ACTIVE", "its slot")
    equal(died("beyond_the_heap", signal.SIGSEGV).dumps[0]["crash"]["heap"]["kind"], "reserved", "beyond the heap")


def stack_overflow():
    for case in ("stack_overflow", "thread_stack_overflow"):
        crash = died(case, signal.SIGSEGV, says=("stack overflow",)).dumps[0]["crash"]
        check(abs(int(crash["address"], 16) - int(crash["sp"], 16)) < 65536, "the address is not the stack's")


def inside_malloc():
    """Locks that are held are not waited for; what was in motion is marked, or the sums hold."""
    end = died("inside_malloc", signal.SIGSEGV, sums=(0, 3))
    crash = end.dumps[0]["crash"]
    equal((crash["heap"]["state"], crash["heap"]["kind"]), ("ACTIVE", "untouched"), "the block being cut out")
    for _ in range(6):
        died("any_moment", signal.SIGSEGV, sums=(0, 3))


def eight_threads():
    died("eight_threads", signal.SIGSEGV)


def out_of_memory():
    for _ in range(3):
        with Folder() as folder:
            end = End("out_of_memory", folder, address_space=300 << 20)
            equal((end.status, len(end.dumps), end.errors), (3, 1, ""), "out of memory")
            dump = end.dumps[0]
            equal((dump["reason"], dump["refused"]["bytes"], dump["faults"]["out_of_memory"]), ("oom", 10000, 1), "the dump")
            live = next(row["live_blocks"] for row in dump["classes"] if row["block_bytes"] >= 10000)
            check(abs(live - int(end.value("count"))) <= 1, f"{live} live blocks, not {end.value('count')}")
            check("superslabs" in dump and "incomplete" not in dump, "no slot map")
            text, status = report(dump, folder)
            check(status == 0 and "10000 bytes" in text, f"the report ends with {status}:\n{text}")
            cut = folder / "cut"
            cut.write_text(json.dumps(dump)[:-100])
            refused = subprocess.run([BUILD / "hakmem-top", "--report=heap", cut], text=True, stderr=subprocess.PIPE, timeout=TIMEOUT)
            check(refused.returncode == 1 and "ends in the middle" in refused.stderr, f"a dump that was cut: {refused.stderr!r}")
            dump["pool"]["superslabs"] += 1
            text, status = report(dump, folder)
            check(status == 3 and "SuperSlabs in use: the slot map says" in text, f"the report on wrong sums ends with {status}:\n{text}")


def asked():
    """A signal asks for a dump, twice; the program goes on, and its exit is its own. Without the word it dies of the signal."""
    for variables, number in (({}, 12), ({"HAKMEM_DUMP_SIGNAL": "USR1,USR2"}, 12)):
        with Folder() as folder:
            end = End("asks", folder, on="signal", **variables)
            equal((end.status, end.words, len(end.dumps)), (4, "goes on\n", 1), "a program that was asked")
            equal((end.dumps[0]["reason"], end.dumps[0]["crash"]["signal"]), ("signal", number), "the dump")
    with Folder() as folder:
        end = End("asks", folder, on="crash")
        equal((end.status, end.dumps), (-signal.SIGUSR2, []), "a program that isn't to be asked")


def damaged_records():
    """What crashes while it is written is cut there, and named."""
    end = died("damaged_records", signal.SIGSEGV, sums=(3,), says=("incomplete",))
    check("superslabs" in end.dumps[0]["incomplete"], f"incomplete: {end.dumps[0].get('incomplete')}")


def handlers():
    """Handlers of the program's: one that was there first is called with all it would have got; a later one replaces ours."""
    with Folder() as folder:
        end = End("earlier_handler", folder, name="crashes_linked", library=None, CRASHES_COME_FIRST=1)
        equal((end.status, len(end.dumps)), (5, 1), "with a handler that came first")
    with Folder() as folder:
        equal((End("later_handler", folder).status, os.listdir(folder)), (70, []), "with a handler that came later")
    with Folder() as folder:
        end = End("quits_as_ever", folder)
        equal((end.status, end.dumps), (-signal.SIGTERM, []), "a signal that is none of ours")


def children():
    """A child of fork leaves a dump of its own; one of vfork none."""
    with Folder() as folder:
        end = End("in_child", folder)
        equal((end.status, len(end.dumps)), (8, 1), f"a child's crash {end.errors}")
        equal(end.dumps[0]["process"]["ppid"], end.pid, "whose dump it is")


def no_room():
    """Where the dump can't be written one line says so, nothing half is left, and the end is the same."""
    for path, size, reason in (("missing/dump", -1, "No such file or directory"), ("/dev/full", -1, "No space left on device"),
                               ("dump", 8192, "File too large")):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with Folder() as folder:
            child = subprocess.run([program("crashes"), "null_pointer"], cwd=folder, text=True, stderr=subprocess.PIPE, timeout=TIMEOUT,
                                   preexec_fn=limit,
                                   env=clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_DUMP_ON="crash", HAKMEM_DUMP_PATH=path))
            equal(child.returncode, -signal.SIGSEGV, "end")
            check(child.stderr.startswith("hakmem: no dump: ") and child.stderr.endswith(f": {reason}\n"), f"stderr: {child.stderr!r}")
            equal(os.listdir(folder), [], "files")


def core_dumps():
    """A core dump is made, or not, as without HAKMEM."""
    def dumped_core(**options):
        with Folder() as folder:
            variables = clean_environment(HAKMEM_DUMP_PATH=str(folder / "dump"), **options)
            pid = os.fork()
            if pid == 0:
                os.chdir(folder)
                resource.setrlimit(resource.RLIMIT_CORE, (64 << 20, 64 << 20))
                os.execve(program("crashes"), ["crashes", case], variables)
            status = os.waitpid(pid, 0)[1]
            equal((folder / "dump").exists(), "HAKMEM_DUMP_ON" in options, "a dump")
            return os.WTERMSIG(status), os.WCOREDUMP(status)
    for case in ("null_pointer", "aborts", "kills_itself"):
        without = dumped_core()
        equal(dumped_core(LD_PRELOAD=str(LIBRARY), HAKMEM_DUMP_ON="crash,abort"), without, f"signal and core of {case}")


CASES = (null_pointer, other_signals, heap_addresses, stack_overflow, inside_malloc, eight_threads, out_of_memory, asked, damaged_records,
         handlers, children, no_room, core_dumps)

next(case for case in CASES if case.__name__ == sys.argv[1])()
