#!/usr/bin/python3
"""lint.py DIRECTORY [WORDS]: clang-tidy and cppcheck over all C and C++ of a configured build directory, or over the files whose path holds one of
the words. Prints each finding once; the exit status is 0 if there is none.

Which of clang-tidy's checks are on is said in .clang-tidy. cppcheck looks for errors, warnings, and what is slow or not portable; its
class `style` is left out: most of that asks for declarations further in, and the rest was wrong wherever it was looked at.
"""
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent.parent
FINDING = re.compile(r"^(/\S+?:\d+:\d+: (?:warning|error): (?:.*\n)??.* \[[\w.,-]+\])$", re.MULTILINE)

# What cppcheck says and isn't so, here: the message's name, where, and why.
WRONG = (
    ("varFuncNullUB", "*", "NULL is a pointer wherever this is compiled"),
    ("comparePointers", "introspect/schema.h", "both symbols are ends of one object, made by the assembler"),
    ("leakReturnValNotUsed", "tests/*", "calls that must fail, which is what is tested"),
    ("memleakOnRealloc", "tests/*", "a failure ends the test"),
    ("leakNoVarFunctionCall", "tests/*", "what a thread's end frees"),
    ("zerodiv", "tests/death/*", "which is what is tested"),
    ("pointerOutOfBounds", "tests/death/*", "pointers that the program hasn't, which is what is tested"),
    ("nullPointerArithmetic", "tests/preload/limits.c", "the list has blocks, or the check before ended it"),
    ("uninitvar", "tests/preload/full_heap.c", "a constant array of functions has its values"),
)


def commands(build, words):
    """The compilation database with each file once, as many are compiled for several targets."""
    once = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if any(word in entry["file"] for word in words or [""]):
            once.setdefault(entry["file"], entry)
    return list(once.values())


# clang's analyzer takes nine tenths of the time. It follows calls as far as it can in what runs inside other people's programs, and
# less far in the viewer, whose readers are fuzzed with sanitizers, and in tests, where what goes wrong shows when they run.
DEEP = (f"{SOURCE}/lib/", f"{SOURCE}/introspect/")
SHALLOW = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "mode=shallow")]


def tidy(folder, name):
    """One file's findings. Those at libc's declarations are none of ours."""
    depth = [] if name.startswith(DEEP) else SHALLOW
    result = subprocess.run(["clang-tidy", "-p", folder, "--quiet", f"--header-filter=^{re.escape(str(SOURCE))}/", *depth, name],
                            capture_output=True, text=True, timeout=900)
    findings = {line for line in FINDING.findall(result.stdout) if line.startswith(f"{SOURCE}/")}
    if result.returncode != 0 and not FINDING.search(result.stdout):
        findings.add(f"{name}: clang-tidy failed: {result.stderr.strip()}")
    return findings


def cppcheck(folder):
    """All files' findings, but for those of tests/model: it doesn't understand the macros there."""
    allowed = [f"--suppress={name}:{place if place == '*' else SOURCE / place}" for name, place, _ in WRONG]
    result = subprocess.run(["cppcheck", f"--project={folder}/compile_commands.json", "-q", "-j", str((os.cpu_count() + 1) // 2),
                             "--enable=warning,performance,portability", f"-i{SOURCE}/tests/model", "--error-exitcode=1", "--suppress=*:/usr/*",
                             "--template={file}:{line}:{column}: {severity}: {message} [{id}]", *allowed],
                            capture_output=True, text=True, timeout=1500)
    findings = set(result.stderr.split("\n")) - {""}
    if result.returncode != 0 and not findings:
        findings.add(f"cppcheck failed: {result.stdout.strip()}")
    return findings


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    folder = build / "lint"
    folder.mkdir(exist_ok=True)
    entries = commands(build, sys.argv[2:])
    (folder / "compile_commands.json").write_text(json.dumps(entries))
    names = [entry["file"] for entry in entries]
    # What takes longest begins first: cppcheck, which looks at all files, then the largest of these.
    work = [functools.partial(tidy, folder, name) for name in sorted(names, key=os.path.getsize, reverse=True)]
    if any(f"{SOURCE}/tests/model/" not in name for name in names):
        work.insert(0, functools.partial(cppcheck, folder))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        findings = set().union(*pool.map(lambda check: check(), work))
    for line in sorted(findings):
        print(line.replace(f"{SOURCE}/", "").replace("\n", ""))
    print(f"{len(entries)} files, {len(findings)} findings")
    sys.exit(1 if findings or not entries else 0)


main()
