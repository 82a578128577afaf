"""Large programs and their own tests, unchanged, on the preloaded library: what `tests/preload/run --all` runs beside the quick ones of
programs.py. Each function has the Debian packages that it needs beside it, does its work in a folder, and leaves the proof that its
memory came from HAKMEM (support.check_trace)."""
import concurrent.futures
import hashlib
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ElementTree

from programs import find_redis
from support import LIBRARY, SOURCE, check, check_trace, clean_environment, equal, fail, run, skip, tool, traced

LONG = 900  # seconds that a single program may take

# CPython's own tests: containers and memory, text, files and compression, threads, processes.
CPYTHON_MODULES = """
    test_array test_bytes test_bigmem test_buffer test_collections test_deque test_dict test_gc test_generators test_heapq test_itertools
    test_json test_list test_long test_marshal test_memoryview test_ordered_dict test_pickle test_re test_set test_sort test_string
    test_struct test_tuple test_unicode test_userdict test_weakref test_xml_etree_c test_zlib test_bz2 test_lzma test_tempfile
    test_multibytecodec test_decimal test_ctypes test_fork1 test_thread test_threading test_threading_local test_queue test_subprocess
    test_concurrent_futures test_multiprocessing_fork test_multiprocessing_spawn test_signal test_asyncio test_os test_posix test_io
    test_mmap test_descr""".split()


def preloaded(command, folder, env=None, **options):
    options.setdefault("timeout", LONG)
    return run(command, library=LIBRARY, env={**traced(folder / "log"), **(env or {})}, **options)


def wait_until(condition, what, seconds=60):
    """Polls, since only the condition counts and not the time that it takes."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail(f"{what} did not come about within {seconds} s")
        time.sleep(0.05)


def cpython(folder):
    """A module fails on HAKMEM if it fails there, also alone and once more, and does not without."""
    if run(["/usr/bin/python3", "-c", "import test.test_json"], expect=None).returncode != 0:
        skip("CPython's tests are not installed")
    search = "import importlib.util, sys; print(*[name for name in sys.argv[1:] if not importlib.util.find_spec('test.' + name)])"
    absent = run(["/usr/bin/python3", "-c", search, *CPYTHON_MODULES]).stdout.strip()
    # They would fail without HAKMEM too, and so seem to be run and well.
    check(not absent, f"/usr/bin/python3 has no such modules of tests, which CPYTHON_MODULES names: {absent}")

    def tests(library, modules, *options):
        variables = {"PYTHONMALLOC": "malloc", **(traced(folder / "log") if library else {})}
        result = run(["/usr/bin/python3", "-m", "test", "--timeout", "600", *options, *modules], library=library, env=variables,
                     expect=None, timeout=3 * LONG, cwd=folder)
        return result

    first = tests(LIBRARY, CPYTHON_MODULES, "-j2", "--junit-xml", "report.xml")
    # The summary names them in indented lines under "2 tests failed:".
    failed = " ".join(re.findall(r"^\d+ tests? failed:\n((?:    .*\n)+)", first.stdout, re.M)).split()
    check(first.returncode == 0 or failed, f"no summary: {first.stdout[-2000:]}")
    told = []
    for module in failed:
        again = tests(LIBRARY, [module], "-v")
        if again.returncode == 0:
            told.append(f"{module} passed alone")
            continue
        check(tests(None, [module]).returncode != 0, f"{module} fails on HAKMEM and not without:\n{again.stdout[-3000:]}")
        told.append(f"{module} fails without HAKMEM too")
    good, unused = (sum(map(int, re.findall(rf"^(?:All )?(\d+) tests? {word}\b", first.stdout, re.M))) for word in ("OK", "skipped"))
    report = ElementTree.parse(folder / "report.xml").getroot()
    counts = f"{len(report.findall('.//testcase'))} tests, {len(report.findall('.//skipped'))} of them skipped"
    print("; ".join([f"{len(CPYTHON_MODULES)} modules, {good} OK, {unused} skipped: {counts}", *told]))
    check_trace(folder / "log")


def redis_restart(folder):
    """Snapshots by fork while clients write, an append-only file, kill -9, and all of it read back."""
    server, client, benchmark, socket = find_redis(folder), tool("redis-cli"), tool("redis-benchmark"), folder / "socket"

    def start():
        return subprocess.Popen([server, "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--appendonly", "yes",
                                 "--appendfsync", "always", "--save", "1 1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                env=clean_environment(LD_PRELOAD=LIBRARY, **traced(folder / "log")))

    def ask(*words):
        return run([client, "-s", socket, *words], expect=None).stdout.strip()

    def facts():
        return ask("dbsize"), hashlib.sha256(ask("sort", "numbers", "limit", "0", "100000").encode()).hexdigest()

    process = start()
    try:
        wait_until(lambda: ask("ping") == "PONG", "redis-server's answer")
        run([benchmark, "-s", socket, "-n", "20000", "-c", "20", "-q", "-d", "300", "-r", "5000", "-t", "set,lpush,sadd,hset,zadd"])
        for start_of_row in range(0, 20000, 500):
            ask("rpush", "numbers", *map(str, range(start_of_row, start_of_row + 500)))
        ask("bgsave")
        wait_until(lambda: "rdb_bgsave_in_progress:0" in ask("info", "persistence"), "the end of bgsave")
        before = facts()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
        process = start()
        wait_until(lambda: ask("ping") == "PONG", "redis-server's answer after the crash")
        equal(facts(), before, "what is there after the crash")
        ask("shutdown")
        equal(process.wait(timeout=60), 0, "exit status of redis-server")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    check_trace(folder / "log")


def postgres(folder):
    """initdb, pgbench, kill -9 of the postmaster in full flight, recovery: no money is lost."""
    programs = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        skip("PostgreSQL is not installed")
    where = programs[-1].parent
    options = {}
    if os.geteuid() == 0:  # it refuses root
        user = pwd.getpwnam("postgres")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    library = folder / "libhakmem.so"  # where that user can read it
    shutil.copy(LIBRARY, library)
    library.chmod(0o755)
    data = folder / "data"
    environment = {"PGHOST": folder, "PGDATABASE": "postgres", **traced(folder / "log")}

    def command(name, *words):
        return run([where / name, *words], library=library, env=environment, timeout=LONG, cwd=folder, **options).stdout

    def ask(query):
        return command("psql", "-At", "-c", query).strip()

    def start():
        command("pg_ctl", "-D", data, "-w", "-t", "120", "-l", folder / "server.log", "-o",
                f"-k {folder} -c listen_addresses= -c max_connections=20", "start")

    command("initdb", "-D", data, "--auth=trust", "-N", "-U", "postgres")
    environment["PGUSER"] = "postgres"
    start()
    try:
        command("pgbench", "-i", "-q", "-s", "5")
        command("pgbench", "-n", "-c", "4", "-j", "2", "-t", "300")
        load = subprocess.Popen([str(where / "pgbench"), "-n", "-c", "4", "-j", "2", "-T", "30"], cwd=folder, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                env=clean_environment(LD_PRELOAD=library, **environment), **options)
        done = ask("SELECT count(*) FROM pgbench_history")
        wait_until(lambda: int(ask("SELECT count(*) FROM pgbench_history")) > int(done) + 200, "transactions")
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        load.wait(timeout=60)
        # Its children notice that it is gone, one after the other; until then a new one refuses the data.
        wait_until(lambda: not subprocess.run(["pgrep", "-f", str(data)], stdout=subprocess.PIPE).stdout, "the end of the children")
        # Where nobody reaps it, the dead postmaster's number still seems to be in use.
        for lock in (data / "postmaster.pid", folder / ".s.PGSQL.5432", folder / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)
        start()
        sums = ask("SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches),"
                   " (SELECT sum(delta) FROM pgbench_history) = (SELECT sum(tbalance) FROM pgbench_tellers),"
                   " (SELECT count(*) FROM pgbench_accounts)")
        equal(sums, "t|t|500000", "the sums after recovery")
    finally:
        run([where / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop"], expect=None, env=environment, cwd=folder, **options)
    check("database system was not properly shut down" in (folder / "server.log").read_text(), "no recovery took place")
    check_trace(folder / "log")


def nginx(folder):
    """Two workers, files small and large, by several clients at once, through a reload of the configuration."""
    server, port = tool("nginx"), random.randrange(20000, 30000)
    pages = {f"page{size}": random.Random(size).randbytes(size) for size in (10, 3000, 70000, 2000000)}
    for name, content in pages.items():
        (folder / name).write_bytes(content)
    folder.chmod(0o755)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(f"""
        {user} worker_processes 2; pid {folder}/pid; error_log {folder}/error.log; daemon off;
        events {{ worker_connections 256; }}
        http {{ access_log {folder}/access.log; gzip on; gzip_types *; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
          server {{ listen 127.0.0.1:{port}; root {folder}; }} }}""")
    process = subprocess.Popen([server, "-p", str(folder), "-c", str(folder / "nginx.conf")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=clean_environment(LD_PRELOAD=LIBRARY, **traced(folder / "log")))

    def get(name):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=30) as answer:
            return answer.read() == pages[name]

    def answers():
        try:
            return get("page10")
        except OSError:
            return False

    try:
        wait_until(answers, "nginx's answer")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = []
            for number in range(4000):
                results.append(pool.submit(get, random.Random(number).choice(list(pages))))
                if number % 1000 == 500:
                    process.send_signal(signal.SIGHUP)
            check(all(result.result() for result in results), "a page came wrong")
        process.send_signal(signal.SIGQUIT)
        equal(process.wait(timeout=60), 0, "exit status of nginx")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    check_trace(folder / "log")


NODE_WORKERS = r"""
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const zlib = require("zlib");
if (isMainThread) {
  let left = 24, sum = 0;
  const begin = (n) => {
    const worker = new Worker(__filename, { workerData: n });
    worker.on("message", (value) => { sum += value; });
    worker.on("exit", (code) => { if (code !== 0) process.exit(4); if (--left >= 4) begin(left); if (left === 0) console.log("sum " + sum); });
  };
  for (let n = 0; n < 4; n++) begin(n);
} else {
  let kept = [];
  for (let round = 0; round < 60; round++) {
    const data = Buffer.alloc(50000 + 3000 * (round % 9), "worker " + workerData + " " + round);
    if (!zlib.gunzipSync(zlib.gzipSync(data)).equals(data)) process.exit(3);
    kept.push(data);
    if (round % 7 === 0) kept = [];
  }
  parentPort.postMessage(kept.length);
}
"""


def node_workers(folder):
    (folder / "workers.js").write_text(NODE_WORKERS)
    result = preloaded([tool("node"), folder / "workers.js"], folder)
    equal(result.stdout, f"sum {24 * 3}\n", "output")
    check_trace(folder / "log")


def gcc_project(folder):
    """This library, built under itself by two compilers at a time; what was built allocates."""
    for name in ("lib", "introspect", "viewer", "tests", "CMakeLists.txt"):
        source = SOURCE / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    preloaded([tool("cmake"), "-S", folder, "-B", folder / "out", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release"], folder)
    preloaded([tool("ninja"), "-C", folder / "out", "-j2", "hakmem"], folder)
    run([tool("perl"), "-e", "my @a = map { 'x' x $_ } 1 .. 3000; print scalar(@a);"], library=folder / "out/libhakmem.so",
        env=traced(folder / "log2"))
    check_trace(folder / "log")
    check_trace(folder / "log2")


def git_clone(folder):
    """A history of 60 commits over 1,500 files: cloned over the wire format, repacked with threads, checked."""
    origin, copy = folder / "origin", folder / "copy"
    environment = {"HOME": folder, "GIT_CONFIG_NOSYSTEM": 1, **{f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
                                                                 for what, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))}}

    def git(*words):
        return preloaded([tool("git"), *words], folder, env=environment).stdout

    origin.mkdir()
    git("-C", origin, "init", "-q")
    source = random.Random(7)
    for commit in range(60):
        for index in range(commit * 25, commit * 25 + 25):
            (origin / f"file{index}").write_text("".join(f"{source.random()}\n" for _ in range(200)))
        for index in source.sample(range(commit * 25 + 25), 10):
            with (origin / f"file{index}").open("a") as file:
                file.write(f"commit {commit}\n")
        git("-C", origin, "add", ".")
        git("-C", origin, "commit", "-q", "-m", f"commit {commit}")
    git("clone", "-q", "--no-local", origin, copy)
    git("-C", copy, "-c", "pack.threads=2", "gc", "-q", "--aggressive", "--prune=now")
    git("-C", copy, "fsck", "--strict", "--full")
    equal(git("-C", copy, "rev-parse", "HEAD^{tree}"), git("-C", origin, "rev-parse", "HEAD^{tree}"), "the clone's tree")
    check_trace(folder / "log")


def packers(folder):
    """xz and zstd with two threads each, there and back."""
    source = random.Random(11)
    words = [source.randbytes(source.randrange(3, 40)) for _ in range(3000)]
    content = b"".join(source.choice(words) for _ in range(1500000))
    (folder / "data").write_bytes(content)
    for name, pack, unpack in (("xz", ["-T2", "-3", "-k", "--block-size=4MiB"], ["-T2", "-d", "-k"]),
                               ("zstd", ["-T2", "-12", "-q", "-k"], ["-d", "-q", "-k", "-f"])):
        suffix = {"xz": "xz", "zstd": "zst"}[name]
        preloaded([tool(name), *pack, folder / "data"], folder)
        (folder / "data").unlink()
        preloaded([tool(name), *unpack, folder / f"data.{suffix}"], folder)
        check((folder / "data").read_bytes() == content, f"{name} brought something else back")
    check_trace(folder / "log")


def stress_ng(folder):
    result = preloaded([tool("stress-ng"), "--malloc", "2", "--malloc-ops", "40000", "--malloc-bytes", "64M", "--malloc-pthreads", "4",
                        "--verify", "--timeout", "120", "--temp-path", folder], folder)
    check("successful run completed" in result.stdout + result.stderr, "stress-ng did not say that it was successful")
    check_trace(folder / "log")


def chromium(folder):
    """A page with a script, as a picture and as text. Chromium brings an allocator of its own: that it works beside ours counts."""
    (folder / "page.html").write_text("<!DOCTYPE html><title>t</title><p id=p></p><script>let s = 0; for (let i = 0; i < 1e6; i++) "
                                      "s += new Array(i % 50).length; document.getElementById('p').textContent = 'sum ' + s;</script>")
    command = [tool("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={folder}/profile", "--virtual-time-budget=20000"]
    address = f"file://{folder}/page.html"
    environment = {"HOME": folder}
    result = preloaded([*command, "--dump-dom", address], folder, env=environment, timeout=180)
    check("sum 24500000" in result.stdout, f"the page was not shown: {result.stdout[-500:]}")
    preloaded([*command, f"--screenshot={folder}/page.png", address], folder, env=environment, timeout=180)
    check((folder / "page.png").read_bytes().startswith(b"\x89PNG"), "no picture was made")
    lines = (folder / "log").read_text() if (folder / "log").exists() else ""
    check("hakmem:" not in lines, f"HAKMEM reported: {lines[:300]}")
    print(f"{lines.count('[SP_ACQUIRE_STAGE3]')} SuperSlabs of HAKMEM's in its processes")


LARGE = {
    "cpython": (cpython, "python3 libpython3.11-testsuite"),
    "redis_restart": (redis_restart, "redis-tools"),
    "postgres": (postgres, "postgresql procps"),
    "nginx": (nginx, "nginx-light"),
    "node_workers": (node_workers, "nodejs"),
    "gcc_project": (gcc_project, "gcc g++ cmake ninja-build pkg-config libcjson-dev libncurses-dev systemtap-sdt-dev perl"),
    "git_clone": (git_clone, "git"),
    "packers": (packers, "xz-utils zstd"),
    "stress_ng": (stress_ng, "stress-ng"),
    "chromium": (chromium, "chromium"),
}
