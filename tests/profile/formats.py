#!/usr/bin/python3
"""What hakmem-top writes for other people's tools, read by those tools: Debian's golang has `go tool pprof`, libjemalloc-dev jeprof. Usage:
formats.py CASE."""
import gzip
import pathlib
import re
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from document import build_id, document, planted, write
from support import BUILD, Folder, check, equal, program, run, skip, tool

TOP = BUILD / "hakmem-top"
PLANTED = program("planted")


def make(folder):
    """A profile with 3, 2 and 1 MB live in 3, 2 and 1 blocks, and the lines of its stacks."""
    stacks, modules = planted(PLANTED)
    blocks = [{"stack": number, "bytes": 1000000, "weight": 4 - number} for number in stacks]
    sites = [{"stack": 1, "allocs": 50, "alloc_bytes": 50000000}]
    return write(folder / "profile.json", document({number: frames for number, (_, frames) in stacks.items()}, modules, blocks, sites)), stacks


def pprof():
    with Folder() as folder:
        file, stacks = make(folder)
        written = folder / "out.pb.gz"
        run([TOP, "--pprof", written, file])
        check(b"planted::tree<double>::grow" in gzip.decompress(written.read_bytes()), "the profile has no name of ours")
        go = tool("go")
        if run([go, "tool", "pprof", "-h"], expect=None, env={"HOME": folder}).returncode != 0:
            skip("this go has no pprof")
        environment = {"HOME": folder, "PPROF_TMPDIR": folder}
        raw = run([go, "tool", "pprof", "-raw", written], env=environment).stdout
        check("PeriodType: space bytes\nPeriod: 65536\n" in raw, raw)
        check("alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes[dflt]" in raw, raw)
        check(re.search(r"^ +50 +50000000 +3 +3000000: ", raw, re.M), raw)
        check(re.search(rf"^1: \S+ {re.escape(str(PLANTED))} {build_id(PLANTED)} \[FN\]", raw, re.M), f"the first mapping is not the program:\n{raw}")
        top = run([go, "tool", "pprof", "-top", "-nodefraction=0", written], env=environment).stdout
        rows = {line.split(None, 5)[5]: line.split()[0] for line in top.splitlines() if re.match(r" +\d", line)}
        equal([rows.get(name) for name in ("planted::sprout (inline)", "compare_and_keep", "on_fault")], ["2929.69kB", "1953.12kB", "976.56kB"],
              f"the leaves of\n{top}")
        lines = run([go, "tool", "pprof", "-list", "^compare_and_keep$", written], env=environment, cwd=folder).stdout
        check(re.search(rf"1\.91MB +1\.91MB.* {stacks[2][0]}:\s*capture\(__LINE__\)", lines), f"the source with its bytes:\n{lines}")


def jeprof():
    with Folder() as folder:
        file, _ = make(folder)
        run([TOP, "--heap-v2", folder / "out.heap", file])
        text = run([tool("jeprof"), "--text", "--show_bytes", PLANTED, folder / "out.heap"], env={"HOME": folder}).stdout
        flat = {line.split(None, 5)[5]: line.split()[0] for line in text.splitlines() if re.match(r" *\d+ ", line)}
        grow = [value for name, value in flat.items() if name.startswith("planted::tree") and value != "0"]
        equal(grow, ["3000000"], "what jeprof finds in the function that allocates")
        equal(flat["compare_and_keep"], "2000000", "what jeprof finds in compare_and_keep")


def collapsed():
    with Folder() as folder:
        file, _ = make(folder)
        run([TOP, "--collapsed", folder / "out", file])
        lines = [line.rsplit(" ", 1) for line in (folder / "out").read_text().splitlines()]
        equal([int(value) for _, value in lines], [3000000, 2000000, 1000000], "the values")
        equal(lines[0][0].split(";")[-3:], ["main", "planted::tree<double>::grow", "planted::sprout"], "the first stack's leaves")
        text = run([TOP, "--collapsed=/dev/stdout", "--value=allocs", file]).stdout
        equal([line.rsplit(" ", 1)[1] for line in text.splitlines()], ["50"], "the allocations")


def flamegraph():
    with Folder() as folder:
        file, _ = make(folder)
        run([TOP, "--flamegraph", folder / "out.svg", "--value=live", file])
        svg = xml.etree.ElementTree.parse(folder / "out.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        equal(svg.tag, space + "svg", "the root element")
        shares = {box.find(space + "title").text.split(": ")[0]: float(box.get("data-w")) for box in svg.iter(space + "g")}
        equal((shares["all"], shares["main"], shares["planted::sprout"]), (1, 1, 0.5), "the widths")
        outside = [value for element in svg.iter() for name, value in element.attrib.items() if re.search(r"href|src", name)]
        equal(outside, [], "what the picture fetches")


CASES = {function.__name__: function for function in (pprof, jeprof, collapsed, flamegraph)}

CASES[sys.argv[1]]()
