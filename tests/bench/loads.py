#!/usr/bin/python3
"""loads.py CASE: the loads, and the programs that compare allocators by them. No speed is judged here, only that
figures come and that they are of what they say."""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, SOURCE, Folder, check, equal, run, skip

LOADS = BUILD / "bench_loads"
LINE = (r"load=(\S+) operations=(\d+) bytes=(\d+) wall_s=(\d+\.\d{6}) cpu_s=(\d+\.\d{6}) peak_kib=(\d+) end_kib=(\d+)"
        r"(?: mean_ns=(\d+) p999_ns=(\d+) max_ns=(\d+))?\n")
PAIR = ["--only", "hakmem", "--only", "glibc"]


def names(*kinds):
    rows = [line.split("\t") for line in run([LOADS, "--list"]).stdout.splitlines()]
    check(len(rows) > 30 and all(len(row) == 5 and row[1] in ("speed", "memory", "pool") for row in rows),
          "rows of --list")
    return [row[0] for row in rows if not kinds or row[1] in kinds]


def figures(load, operations, seed=7, library=None):
    """(operations, bytes, peak, end) of a run of about so many operations."""
    match = re.fullmatch(LINE, run([LOADS, load, operations, seed, 20], library=library).stdout)
    check(match and match[1] == load, f"line of {load}")
    made, requested, peak, end = (int(match[i]) for i in (2, 3, 6, 7))
    check(made >= 0.9 * operations, f"{load} made {made} operations of {operations}")
    check(peak > 0 and end > 0 and float(match[4]) > 0 and float(match[5]) > 0, f"figures of {load}")
    if load == "growth":
        check(0 < int(match[8]) <= int(match[10]) and int(match[9]) <= int(match[10]), f"times of {load}: {match[0]}")
    return made, requested, peak, end


def script(name, *arguments, expect=0):
    """Runs compare or plot; what a tool is missing for is skipped here too."""
    result = run([sys.executable, SOURCE / "tests/bench" / name, *arguments], expect=None, timeout=280)
    if result.returncode == 77:
        skip(re.search(r"SKIP: (.*)", result.stdout)[1])
    print(result.stdout, result.stderr)
    equal(result.returncode, expect, f"exit status of {name} {' '.join(map(str, arguments))}")
    return result


def usage():
    """Bad arguments: a usage line and status 2."""
    for words in ("", "unknown", "ping_pong 0", "ping_pong -1", "ping_pong 1x", "ping_pong ", "ping_pong 1 0",
                  "ping_pong 1 4294967296", "ping_pong 1 1 x", "ping_pong 1 1 1 1", "fixed:0", "fixed:", "fixed",
                  "--list x"):
        arguments = words.split(" ") if words else []
        result = run([LOADS, *arguments], expect=2)
        check(result.stderr.startswith("usage: ") and result.stderr.count("\n") == 1, f"usage after {arguments}")
        equal(result.stdout, "", "output")


def every_load():
    """Each load runs, with HAKMEM too, and does the same work under both."""
    for library, name in (LIBRARY, "libhakmem.so"), (None, "libc.so"):
        check(f"/{name}" in run([LOADS, "--allocator"], library=library).stdout, f"malloc does not come from {name}")
    for load in [*names(), "fixed:48", "fixed:1048576"]:
        operations = 5 if load == "start" else 3000
        theirs, ours = figures(load, operations), figures(load, operations, library=LIBRARY)
        equal(ours[:2], theirs[:2], f"operations and bytes of {load}")


def same_work():
    """A seed makes the same operations each time, and another seed others, however the threads are scheduled."""
    for load in ("random_4093", "lcg_8_threads", "remote_50", "remote_90", "one_way", "server_8_threads"):
        first = figures(load, 1000000)
        equal(figures(load, 1000000)[:2], first[:2], f"{load} again")
        check(figures(load, 1000000, seed=8)[1] != first[1], f"{load} with another seed")


def held_memory():
    """The end is measured while the blocks are held that a load holds, and after the others are free."""
    _, requested, peak, end = figures("idle_1024", 100000)
    check(peak * 1024 > requested and end < peak / 4, f"idle_1024: {requested} bytes, {peak} and {end} KiB")
    check(figures("kept_1024", 100000)[3] > 2 * end, "kept_1024 holds no more than idle_1024")
    _, requested, _, end = figures("threads_hold", 20000)
    check(end * 1024 > requested, f"threads_hold: {end} KiB resident for {requested} bytes")


def compare():
    """Every load is in the tables, each with its ratio and interval; peers that are none are refused."""
    output = script("compare", "--quick", *PAIR).stdout
    for load in names("speed", "memory"):
        row = rf"^{load} +[0-9.e+]+ ±0% +[0-9.e+]+ ±0% +([0-9.]+) +([0-9.]+)-([0-9.]+) +glibc$"
        found = re.findall(row, output, re.M)
        check(found and all(ratio == low == high for ratio, low, high in found), f"rows of {load}")
    check(not any(load in output for load in names("pool")), "loads that are not there to compare allocators by")
    equal(len(re.findall(r"^geometric mean +[0-9.]+ +1\.00 +[0-9.]+ ", output, re.M)), 2, "geometric means")
    check(re.search(r"^Below 0.95 of the best peer: ", output, re.M), "last line")
    check("/nonexistent.so is missing" in script("compare", "none=/nonexistent.so", expect=2).stderr, "no such library")
    empty = BUILD / "tests/libbench_empty.so"
    check("malloc comes from" in script("compare", f"empty={empty}", expect=2).stderr, "a library without malloc")
    check("no load matches" in script("compare", "--loads", "none*", expect=2).stderr, "a load that isn't there")


def compare_json():
    """Every run's figures, of peers with variables of their own too, and system calls."""
    result = json.loads(script("compare", "--quick", "--json", "--syscalls", "--loads", "ping_*", "--loads", "start",
                               f"other={LIBRARY},HAKMEM_SS_SHARED=0", *PAIR, "--only", "other").stdout)
    equal(sorted(result["runs"]), ["ping_pong", "start"], "loads")
    equal(sorted(result["runs"]["ping_pong"]), ["glibc", "hakmem", "other"], "allocators")
    equal(sorted(result["runs"]["start"]), ["empty", "glibc", "hakmem", "other"], "allocators of the start")
    check(result["runs"]["ping_pong"]["hakmem"][0]["operations"] == 2000, "operations")
    for of_all, for_memory in result["system_calls"]["ping_pong"].values():
        check(of_all > for_memory > 0, f"{of_all} calls, {for_memory} for memory")


def instructions():
    """A malloc and a free take some instructions each; the loop's own are not among them."""
    output = script("compare", "--instructions", "--quick", "--json", "--loads", "ping_pong", *PAIR).stdout
    for name, count in json.loads(output)["instructions_per_operation"]["ping_pong"].items():
        check(4 < count < 200, f"{count} instructions per operation with {name}")


def plot():
    """A picture that is XML, with a line and a name for each allocator, and a word on cliffs."""
    with Folder() as folder:
        output = script("plot", "--quick", folder / "plot.svg", *PAIR).stdout
        root = ElementTree.parse(folder / "plot.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    lines = [line.get("points").split() for line in root.iter(f"{svg}polyline")]
    equal([len(points) for points in lines], [5, 5], "points of the lines")
    words = [word.text for word in root.iter(f"{svg}text")]
    check({"hakmem", "glibc", "16", "1 MiB"} <= set(words), f"words of the picture: {words}")
    check("cliff" in output or "loses" in output, "a word on cliffs")


def table_of(text, name):
    """The rows of an experiment's table in Markdown, as dictionaries, and the lines below it."""
    title, lines, words = re.search(rf"^\*\*{name}\*\*: (.*)\n\n((?:\|.*\n)+)\n((?:.+\n)+)", text, re.M).groups()
    head, rule, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines.splitlines())
    check(title and rows and all(len(row) == len(head) for row in (rule, *rows)), f"table of {name}")
    return [dict(zip(head, row)) for row in rows], words


def experiments():
    """Each experiment's table has a row for each setting of each load, and what is counted is what the setting does."""
    output = script("experiments", "--quick", "--markdown").stdout
    for line in script("experiments", "--list").stdout.splitlines():
        table_of(output, line.split("\t")[0])
    rows, words = table_of(output, "shared")
    for apart, together in zip(rows[::2], rows[1::2]):
        equal((apart["setting"], together["setting"]), ("0", "1"), "settings of shared")
        check(int(apart["SuperSlabs"]) > 2 * int(together["SuperSlabs"]), f"SuperSlabs of {apart['load']}")
    check(re.search(r"^The figures (support|are no reason) ", words, re.M), words)
    rows, _ = table_of(output, "stages")
    for row in rows:
        shares = {stage: float(row[stage][:-1]) for stage in list(row)[2:]}
        check(abs(sum(shares.values()) - 100) < 0.5, f"sum of the shares: {row}")
        check(shares["unused"] > 0 and shares["fresh"] > 0 == shares["LRU"], f"stages of a first few slabs: {row}")
    rows, _ = table_of(output, "affinity")
    check(all(1 <= float(row["classes"]) <= int(row["most"]) for row in rows), "classes in a SuperSlab")
    rows, _ = table_of(output, "lru")
    hits = {row["setting"]: int(row["hits"]) for row in rows if row["load"] == "large"}
    check(hits["0"] == 0 < hits["4"] < hits["64"], f"hits by capacity: {hits}")
    rows, words = table_of(output, "trace")
    equal([row["setting"] for row in rows[:4]], ["off", "compiled out", "core", "watched"], "settings of trace")
    check(all(float(row["instructions"]) > 4 for row in rows if row["setting"] == "core" and row["load"] != "server"),
          f"instructions: {rows}")
    check(words.count("the target, ") == 2, words)
    rows, words = table_of(output, "looking")
    equal([row["setting"] for row in rows[:4]], ["off", "on", "10 Hz", "all events"], "settings of looking")
    check(words.count("times as fast as off") == 3, words)
    rows, words = table_of(output, "profiling")
    equal([row["setting"] for row in rows[:6]], ["core", "off", "512 KiB", "64 KiB", "alone", "every block"], "settings of profiling")
    equal(words.count("the target, "), 3 + any(row["setting"] == "heaptrack" for row in rows), "targets of profiling")
    check(float(rows[5]["ns"]) > float(rows[1]["ns"]), f"every block for nothing: {rows}")
    rows, words = table_of(output, "guards")
    equal([row["setting"] for row in rows[:3]], ["off", "sample", "full"], "settings of guards")
    equal(words.count("the target, "), 3, "targets of guards")
    check(float(rows[2]["instructions"]) > 2 * float(rows[0]["instructions"]), f"every block guarded for nothing: {rows}")
    check("no experiment matches" in script("experiments", "-l", "none", expect=2).stderr, "no such experiment")


def experiments_json():
    """Every run's figures, and what was counted."""
    result = json.loads(script("experiments", "--quick", "--json", "-l", "prewarm", "-l", "drain").stdout)
    equal(sorted(result), ["drain", "prewarm"], "experiments")
    check(result["prewarm"]["runs"]["growth"]["8"][0]["max_ns"] > 0, "times of mallocs")
    equal(set(result["drain"]["runs"]["server"]), set(result["drain"]["counted"]["server"]), "settings")


def readme():
    """Tables are put between their marks, and nothing else is changed."""
    mark = "before\n<!-- experiment {0} -->\nold\n<!-- end -->\nafter\n"
    with Folder() as folder:
        (folder / "file").write_text(mark.format("stages") + mark.format("drain"))
        script("figures.py", "experiments", "--into", folder / "file", "--quick")
        text = (folder / "file").read_text()
    check(table_of(text, "stages") and table_of(text, "drain") and "old" not in text, text)
    equal(re.sub(r"\*\*(?s:.*?)<", "old\n<", text), mark.format("stages") + mark.format("drain"), "the rest")
    marks = re.findall(r"^<!-- experiment (\w+) -->$", (SOURCE / "README.md").read_text(), re.M)
    equal(marks, [line.split("\t")[0] for line in script("experiments", "--list").stdout.splitlines()],
          "marks in README.md")


CASES = {case.__name__: case for case in (
    usage, every_load, same_work, held_memory, compare, compare_json, instructions, plot, experiments, experiments_json,
    readme)}
CASES[sys.argv[1]]()
