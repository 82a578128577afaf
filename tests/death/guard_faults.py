#!/usr/bin/env python3
"""HAKMEM_GUARD=sample: a fault on a guarded block is reported with all that is known, and what follows is what HAKMEM_ON_ERROR says;
every other fault goes the way that it would have gone without, core dump and all."""
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "schema"))
from support import BUILD, LIBRARY, TIMEOUT, Folder, check, clean_environment, equal, program  # noqa: E402
from messages import validate  # noqa: E402


def run(case, expected, guard="sample", **variables):
    """What the program said, and what was reported. `expected` is its status as wait(2) has it, -11 for SIGSEGV."""
    variables = {"HAKMEM_GUARD": guard, "HAKMEM_GUARD_RATE": 1, "LD_PRELOAD": str(LIBRARY), **variables}
    result = subprocess.run([program("guard_faults"), case], env=clean_environment(**variables), text=True, stdin=subprocess.DEVNULL,
                            capture_output=True, timeout=TIMEOUT, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    equal(result.returncode, expected, f"status of {case}; it said {result.stdout}{result.stderr}")
    return result.stdout, result.stderr


def count(text, errors):
    return len(re.findall(text, errors, re.M))


def functions(errors, heading):
    """Names of the functions in the stack below a heading, by the symbols of our own program."""
    block = re.search(rf"^hakmem:   {heading} by thread \d+.*:\n((?:hakmem:     #.*\n)+)", errors, re.M)
    check(block, f"no stack of \"{heading}\" in\n{errors}")
    offsets = re.findall(r"guard_faults\+(0x[0-9a-f]+)", block[1])
    check(offsets, f"no frame of the program's in\n{block[1]}")
    names = subprocess.run(["addr2line", "-f", "-e", program("guard_faults"), *offsets], capture_output=True, text=True, check=True).stdout
    return names.split("\n")[::2]


def goes_on():
    """One report an error, with the stacks of access, allocation and free; then the page is open, and what was written stays."""
    words, errors = run("use_after_free", 0, HAKMEM_ON_ERROR="report")
    equal(words, "read 1\nread b\nend\n", "what the program saw")
    equal(count("^hakmem: access to a block that was freed", errors), 1, "reports")
    equal(functions(errors, "read")[:3], ["read_block", "use_after_free", "main"], "functions of the access")
    equal(functions(errors, "allocated")[:2], ["make_block", "use_after_free"], "functions of the allocation")
    equal(functions(errors, "freed")[:2], ["drop_block", "use_after_free"], "functions of the free")
    check(re.search(r"0x[0-9a-f]+ is 3 bytes into a freed block of 40 bytes at 0x[0-9a-f]+, class 2, guarded at level sample\n", errors),
          f"where it was:\n{errors}")
    check(re.search(r"^hakmem:     0x[0-9a-f]+ .*\[61\]", errors, re.M), f"the memory there:\n{errors}")
    _, errors = run("two_blocks", 0, HAKMEM_ON_ERROR="report")
    equal(count("^hakmem: access to a block that was freed", errors), 2, "reports of two errors")


def ends():
    """It ends by the signal, by an exit status, or not."""
    for mode, status in (("auto", -signal.SIGSEGV), ("abort", -signal.SIGSEGV), ("exit:7", 7)):
        words, errors = run("use_after_free", status, HAKMEM_ON_ERROR=mode)
        equal(words, "", "what it said before it ended")
        end = "the signal" if status < 0 else "exit, as HAKMEM_ON_ERROR demands, with the status 7"
        equal(count(rf"^hakmem: access to a block that was freed .*; ending by {end}$", errors), 1, f"reports with {mode}")
    _, errors = run("null_pointer", -signal.SIGSEGV, HAKMEM_ON_ERROR="report")
    equal(errors, "", "what is said of the program's own fault")


def many_threads():
    """Eight threads at once at one page: it is reported, and all go on."""
    for _ in range(10):
        _, errors = run("same_block", 0, HAKMEM_ON_ERROR="report")
        equal(count("^hakmem: access to a block that was freed", errors), 1, "reports")
    words, errors = run("cancelled", 0, HAKMEM_ON_ERROR="report")
    equal((words, count("^hakmem: access to a block that was freed", errors)), ("1\nend\n", 1), "a thread that is to be cancelled")
    words, errors = run("used_by_another", 0, guard="full", HAKMEM_ON_ERROR="report")
    equal(words, "end\n", "whether a thread went on with a block that another was freeing")


def own_handlers():
    """A handler that the program installs later gets what it would have got, after the report if a guard's page was it; or nothing of
    that, where the program goes on."""
    words, errors = run("handled", 0)
    equal(count("own handler: signal 11 at 0x10\n", words), 3, "the program's own faults")
    equal(count("own handler", words), 6, "calls of the program's handler")
    equal(count("^hakmem: access to a block that was freed", errors), 3, "reports")
    words, errors = run("handled", 0, HAKMEM_ON_ERROR="report")
    equal(count("own handler", words), 3, "calls of the program's handler where it goes on")
    equal(count("^hakmem: access to a block that was freed", errors), 3, "reports where it goes on")
    words, errors = run("chained", -signal.SIGSEGV, HAKMEM_ON_ERROR="report")
    equal(words, "chains\n", "calls of a handler that calls ours")
    equal(count("^hakmem: access to a block that was freed", errors), 1, "reports beside it")
    words, errors = run("put_back", -signal.SIGSEGV)
    equal((words, errors), ("own handler: signal 11 at 0x10\n", ""), "calls of handlers, where the program puts back what it found")


def children():
    words, errors = run("in_child", 0, HAKMEM_ON_ERROR="report")
    equal(words, "child 3\nend\n", "what became of the child")
    equal(count("^hakmem: access to a block that was freed", errors), 1, "reports")


def dumps():
    """The dump of the crash has the report and the block, and hakmem-top names the functions."""
    with Folder() as folder:
        run("use_after_free", -signal.SIGSEGV, HAKMEM_DUMP_ON="crash", HAKMEM_DUMP_PATH=str(folder / "dump.json"))
        dump = validate(json.loads((folder / "dump.json").read_text()))
        equal(len(dump["reports"]), 1, "reports in the dump")
        equal(dump["reports"][0]["access"]["kind"], "read", "the access")
        equal(dump["reports"][0]["block"]["bytes"], 40, "bytes of the block")
        equal(dump["crash"]["heap"]["guarded"]["address"], dump["reports"][0]["block"]["address"], "the block that the crash is about")
        for kind, status in (("heap", 0), ("guard", 3)):
            said = subprocess.run([BUILD / "hakmem-top", f"--report={kind}", folder / "dump.json"], env=clean_environment(), text=True,
                                  capture_output=True, timeout=TIMEOUT)
            equal((said.stderr, said.returncode), ("", status), f"complaints and status of --report={kind}")
            for name in ("read_block", "make_block", "drop_block"):
                check(f"{name}  guard_faults.c:" in said.stdout, f"no {name} in --report={kind}:\n{said.stdout}")
        # What can't hold reports doesn't pass for a program without mistakes.
        (folder / "snapshot.json").write_text(json.dumps({**dump, "type": "snapshot"}))
        said = subprocess.run([BUILD / "hakmem-top", "--report=guard", folder / "snapshot.json"], env=clean_environment(), text=True,
                              capture_output=True, timeout=TIMEOUT)
        equal((said.stdout, said.returncode), ("", 1), "--report=guard of a snapshot")
        check("neither a dump" in said.stderr, said.stderr)
        narrowed = {"level": "full", "class": 6, "site": "0x1234"}
        (folder / "answer.json").write_text(json.dumps({"type": "guarded", "guard": narrowed, "blocks": [], "modules": []}))
        said = subprocess.run([BUILD / "hakmem-top", "--report=guard", folder / "answer.json"], env=clean_environment(), text=True,
                              capture_output=True, timeout=TIMEOUT)
        equal((said.stderr, said.returncode), ("", 0), "--report=guard where there is no report")
        check("of class 6 only" in said.stdout and "come by 0x1234 only" in said.stdout, said.stdout)
        run("use_after_free", 0, HAKMEM_DUMP_ON="exit", HAKMEM_DUMP_PATH=str(folder / "exit.json"), HAKMEM_ON_ERROR="report")
        equal(len(validate(json.loads((folder / "exit.json").read_text()))["reports"]), 1, "reports in the dump at exit")


def core_dumps():
    """A core dump is made, or not, as without guards."""
    def ended(case, **options):
        with Folder() as folder:
            pid = os.fork()
            if pid == 0:
                os.chdir(folder)
                resource.setrlimit(resource.RLIMIT_CORE, (64 << 20, 64 << 20))
                os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
                os.execve(program("guard_faults"), ["guard_faults", case], clean_environment(**options))
            status = os.waitpid(pid, 0)[1]
            return os.WIFSIGNALED(status) and os.WTERMSIG(status), os.WIFSIGNALED(status) and os.WCOREDUMP(status)
    without = ended("null_pointer")
    equal(without[0], signal.SIGSEGV, "signal without HAKMEM")
    guards = {"LD_PRELOAD": str(LIBRARY), "HAKMEM_GUARD": "sample", "HAKMEM_GUARD_RATE": 1}
    equal(ended("null_pointer", **guards), without, "signal and core of the program's own fault")
    equal(ended("use_after_free", **guards), without, "signal and core of a guard's")


def run_time():
    """Guards and the handler come when they are asked for."""
    with Folder() as folder:
        child = subprocess.Popen([program("guard_faults"), "at_run_time"], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=clean_environment(LD_PRELOAD=str(LIBRARY), HAKMEM_INTROSPECT=1,
                                                                               HAKMEM_DIR=str(folder), HAKMEM_ON_ERROR="report"))
        equal(child.stdout.readline(), "ready\n", "what the program said")
        with socket.socket(socket.AF_UNIX) as endpoint:
            deadline = time.monotonic() + TIMEOUT
            while not (paths := list(folder.glob("*.sock"))) and time.monotonic() < deadline:
                time.sleep(0.01)
            endpoint.connect(str(paths[0]))
            stream = endpoint.makefile("rw")
            stream.readline()
            stream.write("set guard=sample guard_rate=1\n")
            stream.flush()
            equal(json.loads(stream.readline())["settings"]["guard"], "sample", "the level")
            child.stdin.write("go\n")
            child.stdin.flush()
            words, errors = child.communicate(timeout=TIMEOUT)
        equal((words, child.returncode), ("end\n", 0), "what it said then, and its status")
        equal(count("^hakmem: access to a block that was freed", errors), 1, f"reports\n{errors}")
        check("read_block" in functions(errors, "read") and "drop_block" in functions(errors, "freed"), f"functions:\n{errors}")


CASES = (goes_on, ends, many_threads, own_handlers, children, dumps, core_dumps, run_time)

next(case for case in CASES if case.__name__ == sys.argv[1])()
