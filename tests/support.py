"""What the script tests share: where the build is, running a program on HAKMEM, and how a test ends.

A test says what went wrong with fail(), why it can't run here with skip() (ctest then counts it as skipped), and otherwise just
ends. Programs get the library by LD_PRELOAD for that one command only.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("HAK_BUILD", "out/release")).resolve()
SOURCE = pathlib.Path(os.environ.get("HAK_SOURCE", pathlib.Path(__file__).parent.parent)).resolve()
LIBRARY = BUILD / "libhakmem.so"
CORE_LIBRARY = BUILD / "libhakmem-core.so"
BENCH = BUILD / "bench_random_mixed_hakmem"
TIMEOUT = 120
# What runs the build's programs if this machine's processor can't: the words of an emulator's command.
EMULATOR = os.environ.get("HAK_EMULATOR", "").split()


def fail(message):
    print(f"FAIL: {message}")
    sys.exit(1)


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def check(condition, message):
    if not condition:
        fail(message)


def equal(actual, expected, what):
    check(actual == expected, f"{what}: got {actual!r}, not {expected!r}")


def tool(name):
    """The path of a program that the test needs."""
    path = shutil.which(name)
    if path is None:
        skip(f"{name} is not installed")
    return path


def program(name):
    """One of our own test programs."""
    return BUILD / "tests" / name


def clean_environment(**variables):
    """This process's environment without HAKMEM's variables, with those given."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HAKMEM_")}
    environment.pop("LD_PRELOAD", None)
    environment.update({key: str(value) for key, value in variables.items()})
    return environment


def run(command, library=None, expect=0, env=None, **options):
    """Runs a command to its end and returns the result with text output. `library` is preloaded; `expect` is the exit status that
    is right, None for any; `env` holds variables to add."""
    variables = dict(env or {})
    if EMULATOR and pathlib.Path(command[0]).is_relative_to(BUILD):
        command = EMULATOR + (["-E", f"LD_PRELOAD={library}"] if library is not None else []) + list(command)
    elif library is not None:
        variables["LD_PRELOAD"] = library
    options.setdefault("timeout", TIMEOUT)
    options.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run([str(word) for word in command], env=clean_environment(**variables), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if expect is not None and result.returncode != expect:
        print(result.stdout[-3000:])
        print(result.stderr[-3000:], file=sys.stderr)
        fail(f"{command[0]} ended with status {result.returncode}, not {expect}")
    return result


def messages(result):
    """What a program said on stderr, without what only debug builds of HAKMEM say: that a block was freed with a wrong size."""
    lines = result.stderr.splitlines(keepends=True)
    if "CMAKE_BUILD_TYPE:STRING=Debug" in (BUILD / "CMakeCache.txt").read_text():
        lines = [line for line in lines if "block freed with a size or an alignment that it can't have" not in line]
    return "".join(lines)


class Folder:
    """A temporary folder, removed at the end of a with block."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="hakmem-test-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


# At which level of guarding the programs run that are traced; of sample's blocks, many more than by default.
GUARDS = {"off": {}, "sample": {"HAKMEM_GUARD": "sample", "HAKMEM_GUARD_RATE": 20}, "full": {"HAKMEM_GUARD": "full"}}
guarding = {}


def guard(level):
    """From here on traced programs run at this level."""
    guarding.clear()
    guarding.update(GUARDS[level])


def traced(log):
    """Variables that make a program leave in `log` the proof that it ran on HAKMEM."""
    return {"HAKMEM_SS_ACQUIRE_DEBUG": 1, "HAKMEM_LOG_FILE": log, **guarding}


def check_trace(log):
    """The program ran on HAKMEM, and nothing was reported about it."""
    check(log.exists(), "the program did not run on HAKMEM: no debug line in the log")
    lines = log.read_text().splitlines()
    check(any(line.startswith("[SP_ACQUIRE_STAGE3]") for line in lines), "no SuperSlab was made")
    reports = [line for line in lines if line.startswith("hakmem:")]
    check(not reports, f"HAKMEM reported: {reports[:3]}")
