#!/usr/bin/python3
"""Real programs, unchanged, on the preloaded library: programs.py NAME [LEVEL]. Each must do its work, and leave the proof that
its memory came from HAKMEM, which reported nothing about it (support.check_trace); at a level of guarding too."""
import hashlib
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import LIBRARY, Folder, check, check_trace, clean_environment, equal, fail, guard, run, skip, tool, traced

PYTHON_WORK = r"""
import collections, gc, hashlib, threading
def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else [depth]
def grow_and_shrink():
    for phase in range(4):
        data = {index: "x" * (index % 3000) for index in range(12000)}
        more = [tree(12), collections.deque(bytes(range(256)) * (index % 90) for index in range(3000))]
        for index in range(0, 12000, 2):
            del data[index]
        assert all(len(data[index]) == index % 3000 for index in data)
        assert sum(len(piece) for piece in more[1]) == sum(256 * (index % 90) for index in range(3000))
        del data, more
        gc.collect()
threads = [threading.Thread(target=grow_and_shrink) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("python is done")
"""

C_SOURCE = "#include <stdio.h>\nint main(void)\n{\n" + "".join(
    f'\tint v{i} = {i}; if (v{i} == {i + 1}) printf("%d", v{i});\n' for i in range(3000)) + '\tputs("compiled");\n}\n'

SQL = """
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
  INSERT INTO t SELECT i, 'name' || (i * 7919 % 40000), hex(zeroblob(i % 300)) FROM n;
CREATE INDEX t_name ON t (name);
DELETE FROM t WHERE id % 3 = 0;
VACUUM;
SELECT count(*), sum(length(body)), count(DISTINCT name) FROM t;
SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY body DESC, id LIMIT 5);
PRAGMA integrity_check;
"""

PERL_WORK = r"""
my %words;
for my $round (1 .. 5) {
    $words{"key$_"} = [ map { "value" x ($_ % 17) } 1 .. 8 ] for 1 .. 20000;
    delete $words{"key$_"} for grep { $_ % 2 } 1 .. 20000;
}
print scalar(keys %words), " ", length(join ",", sort map { $_->[3] } values %words), "\n";
"""

NODE_WORK = r"""
const zlib = require("zlib");
let kept = [];
for (let round = 0; round < 20; round++) {
  const data = Buffer.alloc(100000 + round * 5000, "hakmem " + round);
  const packed = zlib.deflateSync(data);
  if (!zlib.inflateSync(packed).equals(data)) process.exit(3);
  kept.push(packed);
  if (round % 3 === 0) kept = [];
}
console.log("node is done " + JSON.stringify({kept: kept.length}));
"""


def plain_and_preloaded(folder, command, **options):
    """Runs the command without HAKMEM and with it, and compares what it prints."""
    without = run(command, **options)
    with_hakmem = run(command, library=LIBRARY, env=traced(folder / "log"), **options)
    equal(with_hakmem.stdout, without.stdout, "output on HAKMEM")
    equal(with_hakmem.stderr, without.stderr, "messages on HAKMEM")
    check_trace(folder / "log")
    return with_hakmem.stdout


def python3(folder):
    for allocator in ("pymalloc", "malloc"):
        log = folder / f"log-{allocator}"
        result = run(["/usr/bin/python3", "-c", PYTHON_WORK], library=LIBRARY,
                     env={"PYTHONMALLOC": allocator, **traced(log)})
        equal(result.stdout, "python is done\n", "output")
        equal(result.stderr, "", "messages")
        check_trace(log)


def gcc(folder):
    (folder / "program.c").write_text(C_SOURCE)
    run([tool("gcc"), "-O1", "-o", folder / "program", folder / "program.c"], library=LIBRARY, env=traced(folder / "log"))
    check_trace(folder / "log")
    equal(run([folder / "program"]).stdout, "compiled\n", "what the compiled program prints")


def gxx(folder):
    source = pathlib.Path(__file__).with_name("cxx_throw.cpp")
    run([tool("g++"), "-O1", "-pthread", "-o", folder / "program", source], library=LIBRARY, env=traced(folder / "log"))
    check_trace(folder / "log")
    result = run([folder / "program"], library=LIBRARY, env=traced(folder / "log2"))
    equal(result.stdout, "all exceptions arrived\n", "output")
    check_trace(folder / "log2")


def sqlite3(folder):
    output = plain_and_preloaded(folder, [tool("sqlite3"), ":memory:", SQL])
    check(output.endswith("ok\n"), "the integrity check did not say ok")
    check(output.startswith("26667|"), "rows are missing")


def perl(folder):
    equal(plain_and_preloaded(folder, [tool("perl"), "-e", PERL_WORK]).split()[0], "10000", "keys left")


def node(folder):
    plain_and_preloaded(folder, [tool("node"), "-e", NODE_WORK])


def git(folder):
    repository = folder / "repository"
    repository.mkdir()
    environment = {"HOME": folder, "GIT_CONFIG_NOSYSTEM": 1, **traced(folder / "log")}
    for role in ("AUTHOR", "COMMITTER"):
        environment[f"GIT_{role}_NAME"] = "Test"
        environment[f"GIT_{role}_EMAIL"] = "test@example.org"

    def command(*words):
        return run([tool("git"), "-C", repository, *words], library=LIBRARY, env=environment).stdout

    command("init", "-q")
    for number in range(3):
        for index in range(60):
            (repository / f"file{index}").write_text(f"{number} {index}\n" * (index + 1))
        command("add", ".")
        command("commit", "-q", "-m", f"commit {number}")
    command("gc", "-q")
    command("fsck", "--strict")
    equal(command("log", "--format=%s").split("\n")[:3], ["commit 2", "commit 1", "commit 0"], "the log")
    check("60 files changed" in command("diff", "--stat", "HEAD~1"), "the diff of the last commit")
    check_trace(folder / "log")


def redis(folder):
    server, client, benchmark = find_redis(folder), tool("redis-cli"), tool("redis-benchmark")
    socket = folder / "redis.sock"
    with subprocess.Popen([server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)],
                          stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          env=clean_environment(LD_PRELOAD=LIBRARY, **traced(folder / "log"))) as process:
        try:
            use_redis(process, client, benchmark, socket)
        finally:
            if process.poll() is None:
                process.kill()
    equal(process.returncode, 0, "exit status of redis-server")
    check_trace(folder / "log")


def find_redis(folder):
    """redis-server; or the same program under the name that redis-tools installs it by."""
    for name in ("redis-server", "redis-check-rdb"):
        path = next((pathlib.Path(where) / name for where in ("/usr/bin", "/usr/local/bin")
                     if (pathlib.Path(where) / name).exists()), None)
        if path:
            (folder / "redis-server").symlink_to(path.resolve())
            return str(folder / "redis-server")
    return skip("redis-server is not installed")


def use_redis(process, client, benchmark, socket):
    def ask(*words):
        return run([client, "-s", socket, *words]).stdout.strip()

    deadline = time.monotonic() + 30
    while run([client, "-s", socket, "ping"], expect=None).stdout.strip() != "PONG":
        if process.poll() is not None or time.monotonic() > deadline:
            fail("redis-server does not answer")
        time.sleep(0.05)
    run([benchmark, "-s", socket, "-n", "8000", "-c", "20", "-q", "-d", "700", "-r", "3000",
         "-t", "set,get,lpush,lpop,sadd,hset,zadd,lrange_100"])
    keys = int(ask("dbsize"))
    check(keys > 2000, f"only {keys} keys after the benchmark")
    digest = hashlib.sha256(b"x" * 300000).hexdigest()
    ask("set", "long", digest * 1000)
    equal(ask("strlen", "long"), "64000", "length of a long value")
    equal(ask("flushall"), "OK", "flushall")
    run([client, "-s", socket, "shutdown", "nosave"], expect=None)
    process.wait(timeout=30)


QUICK = {"python3": python3, "gcc": gcc, "g++": gxx, "sqlite3": sqlite3, "perl": perl, "node": node, "git": git, "redis": redis}

if __name__ == "__main__":
    guard(sys.argv[2] if len(sys.argv) > 2 else "off")
    with Folder() as test_folder:
        QUICK[sys.argv[1]](test_folder)
