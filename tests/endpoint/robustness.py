#!/usr/bin/env python3
"""Whatever is sent to an endpoint, and whatever the program does to its own descriptors and processes: an error or a
closed connection, and the program runs on. With an argument only the case of that name runs.
"""
import json
import os
import pathlib
import resource
import select
import socket
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import LIBRARY, Folder, check, clean_environment, equal, program, run, skip  # noqa: E402
from client import Client, apply_delta, connect, descriptors, eventually, socket_path  # noqa: E402

END_STATUS = 7  # of the target, when all is well


class Target:
    """The target program on HAKMEM, its endpoint in `folder`. At the end of a with block it must still work, and
    end well without a word or a file left behind."""

    def __init__(self, folder, introspect=1, **options):
        self.folder = folder
        variables = options.pop("variables", {})
        environment = clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=introspect, HAKMEM_DIR=folder,
                                        **variables)
        self.process = subprocess.Popen([program("endpoint_target")], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options)
        self.pid = self.process.pid
        equal(self.process.stdout.readline(), "ready\n", "the program's first line")

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def rest(self):
        """From now on the program allocates at times only: the test waits for something else, and others need the processor."""
        equal(self.order("gently"), "gentle", "the program's answer")

    def connect(self):
        return connect(self.folder, self.pid)

    def check_progress(self):
        """The allocating thread goes on."""
        before = int(self.order("count"))
        eventually(lambda: int(self.order("count")) > before + 10, "the program goes on allocating")

    def endpoint_thread(self):
        """The endpoint's thread id, None without one."""
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            if (task / "comm").read_text() == "hakmem\n":
                return int(task.name)
        return None

    def endpoint_descriptors(self):
        """What the endpoint's thread has open."""
        return descriptors(self.pid, eventually(self.endpoint_thread, "the endpoint's thread is there"))

    def cpu_ticks(self):
        """Processor time that the endpoint's thread has used. Its socket is there a moment before its name is."""
        eventually(self.endpoint_thread, "the endpoint's thread is there")
        text = pathlib.Path(f"/proc/{self.pid}/task/{self.endpoint_thread()}/stat").read_text()
        fields = text[text.rindex(")") + 2:].split()
        return int(fields[11]) + int(fields[12])

    def end(self):
        """Ends the program; returns what it wrote to stderr."""
        _, errors = self.process.communicate(timeout=60)
        equal(self.process.returncode, END_STATUS, "the program's exit status")
        return errors

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.check_progress()
                equal(self.end(), "", "stderr of the program")
                equal(os.listdir(self.folder), [], "files left in the runtime directory")
        finally:
            self.process.kill()
            self.process.wait()


def expect_error(client, line, code):
    answer = client.ask(line)
    equal((answer["type"], answer.get("code")), ("error", code), f"the answer to {line[:60]!r}")
    equal(answer["request"], line[:200], "the request in the answer")


def bad_requests(folder):
    """Each is answered with its error, and the connection goes on."""
    with Target(folder) as target, target.connect() as client:
        for line, code in (("nonsense", "unknown_verb"), ("", "unknown_verb"), ("SNAPSHOT", "unknown_verb"),
                           ("snapshotx", "unknown_verb"), ("x" * 4000, "unknown_verb"), ("\x01\x7f\t", "unknown_verb"),
                           ("snapshot now", "unknown_argument"), ("ping a=b", "unknown_argument"),
                           ("subscribe how=much", "unknown_argument"), ("subscribe what=", "bad_argument"),
                           ("subscribe what=snapshot,", "bad_argument"), ("subscribe interval_ms=9", "bad_argument"),
                           ("subscribe interval_ms=1e3", "bad_argument"), ("subscribe interval_ms=", "bad_argument"),
                           ("subscribe interval_ms=99999999999999999999", "bad_argument"),
                           ("dump file=x", "unknown_argument"), ("dump path=", "bad_argument"),
                           ("dump path=/nonexistent/x.json", "io"), ("dump path=" + "/x" * 2000, "io")):
            expect_error(client, line, code)
            equal(client.ask("ping")["type"], "pong", f"the answer to ping after {line[:60]!r}")
        for line, code in (("ping\0junk", "unknown_verb"), ("dump path=/x\0y", "bad_argument")):
            equal(client.ask(line)["code"], code, f"the answer to {line!r}")
        # A pipe may be nobody's: the endpoint's thread waits for no other end, whether there is one or not.
        os.mkfifo(folder / "pipe")
        readers = []
        for _ in range(2):
            answer = client.ask(f"dump path={folder}/pipe")
            equal((answer["code"], answer["message"]), ("io", f"{folder}/pipe: Not a regular file"), "the answer to a dump into a pipe")
            readers.append(os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK))
        for reader in readers:
            os.close(reader)
        os.unlink(folder / "pipe")
        equal(client.ask("  ping  ")["type"], "pong", "spaces around a verb")
        equal(client.ask("ping\r")["type"], "pong", "a carriage return at the line's end")


def pieces_of_lines(folder):
    """Half a line is no request; its other half makes it one; several lines at once are several requests."""
    with Target(folder) as target:
        with target.connect() as client:
            client.socket.sendall(b"pi")
            with target.connect() as other:
                equal(other.ask("ping")["type"], "pong", "another client, while half a line waits")
            client.socket.sendall(b"ng\nping\nsta")
            equal([client.read()["type"], client.read()["type"]], ["pong", "pong"], "the answers to two lines")
            client.socket.sendall(b"ts\n")
            equal(client.read()["type"], "stats", "the answer to the third")
            client.socket.sendall(b"pin")
        # Closed in the middle of a line. And half closed, as `printf ping | socat` does it: what was asked is answered.
        with target.connect() as client:
            client.socket.sendall(b"ping\nhalf a li")
            client.socket.shutdown(socket.SHUT_WR)
            equal(client.read()["type"], "pong", "the answer after a half close")
            equal(client.read(), None, "what follows it")


def garbage(folder):
    """100 KiB without a newline end the connection, after an error; with newlines each line gets its error."""
    with Target(folder) as target:
        with target.connect() as client:
            try:
                client.socket.sendall(os.urandom(100 << 10).replace(b"\n", b"x"))
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = client.read()
            equal((answer["type"], answer["code"]), ("error", "line_too_long"), "the answer to garbage")
            equal(client.read(), None, "what follows it")
        with target.connect() as client:
            client.socket.sendall(b"y" * 4095 + b"\n")
            equal(client.read()["code"], "unknown_verb", "the longest line that is allowed")
            client.socket.sendall(b"y" * 4096 + b"\n")
            equal(client.read()["code"], "line_too_long", "a line of one byte more")
            equal(client.read(), None, "what follows it")
        with target.connect() as client:
            client.socket.sendall(b"\0\xff\n" * 500)
            for _ in range(500):
                equal(client.read()["code"], "unknown_verb", "the answer to a line of garbage")


def client_that_never_reads(folder):
    """It stops costing anything once its buffer is full, is thrown out, and nobody else waits for it."""
    with Target(folder) as target, target.connect() as watcher:
        before = watcher.ask("stats")["endpoint"]["mapped_bytes"]
        greedy = target.connect()
        greedy.socket.setblocking(False)
        try:
            while True:
                greedy.socket.send(b"snapshot\n" * 100)
        except BlockingIOError:
            pass
        target.check_progress()
        began = time.monotonic()
        equal(watcher.ask("snapshot")["type"], "snapshot", "another client's answer")
        check(time.monotonic() - began < 5, "another client waits for one that does not read")
        mapped = watcher.ask("stats")["endpoint"]["mapped_bytes"] - before
        check(mapped < 16 << 20, f"{mapped} bytes are mapped for clients")
        target.rest()
        eventually(lambda: watcher.ask("stats")["endpoint"]["disconnected"] == 1, "it is thrown out")
        greedy.close()


def slow_client(folder):
    """It misses deltas, is told how many, and gets one that builds on the last that it was sent."""
    with Target(folder) as target, target.connect() as watcher, target.connect() as slow:
        equal(slow.ask("subscribe what=snapshot interval_ms=10")["type"], "ok", "the answer to subscribe")
        eventually(lambda: watcher.ask("stats")["endpoint"]["dropped_snapshots"] > 5, "snapshots are dropped")
        state, told = None, 0
        while not told:
            message = slow.read()
            if message["type"] == "dropped":
                told = message["snapshots"]
            elif state is None:
                equal(message["type"], "snapshot", "the first of the stream")
                state = message
            else:
                equal(message["type"], "delta", "a streamed message")
                state = apply_delta(state, message)
        check(told > 5, f"told of {told} dropped snapshots only")
        fresh = slow.read()
        equal(fresh["type"], "delta", "the message after the gap")
        state = apply_delta(state, fresh)
        now = watcher.ask("snapshot")["time_us"]
        check(now - state["time_us"] < 5_000_000, "the state after the gap is an old one")


def many_clients(folder):
    """200 at once are served; above 256 that are subscribed they are told that it is busy; the idle make room for new ones; afterwards
    everything is free again."""
    with Target(folder) as target:
        first = target.connect()
        before = len(target.endpoint_descriptors())
        path = socket_path(folder, target.pid)
        clients = [Client(path) for _ in range(200)]
        for client in clients:
            client.send("snapshot")
        for client in clients:
            equal(client.read()["type"], "snapshot", "one of 200 answers")
        target.check_progress()
        clients += [Client(path) for _ in range(255 - len(clients))]
        for client in clients[1:]:
            equal(client.ask("subscribe interval_ms=3600000")["type"], "ok", "the answer to subscribe")
        silent = clients[0]

        def refusal():
            """What one more is told: `silent` makes room for it once it has been silent for a second."""
            first.ask("ping")
            refused = Client(path, greeting=False)
            answer = refused.read()
            if answer["type"] == "hello":
                clients.append(refused)
                return None
            equal(answer["code"], "busy", "what the 257th client is told")
            equal(refused.read(), None, "what follows it")
            refused.close()
            return answer
        silent.ask("ping")
        refusal()
        eventually(lambda: not refusal(), "an idle client makes room")
        equal(silent.read()["code"], "busy", "what the idle one is told")
        equal(silent.read(), None, "what follows it")
        equal(clients[-1].ask("ping")["type"], "pong", "the answer to the one that took its place")
        equal(clients[1].read()["type"], "snapshot", "what a subscribed one goes on with")
        for client in clients:
            client.close()
        eventually(lambda: first.ask("stats")["endpoint"]["clients"] == 1, "closed connections are forgotten")
        equal(len(target.endpoint_descriptors()), before, "descriptors after 256 clients")
        with Client(path) as again:
            equal(again.ask("ping")["type"], "pong", "a client after that")
        first.close()


def killed_mid_reply(folder):
    """Clients that vanish while they are being answered."""
    with Target(folder) as target:
        with target.connect() as watcher:
            before = len(target.endpoint_descriptors())
            for _ in range(50):
                client = target.connect()
                client.socket.sendall(b"snapshot\n" * 30)
                client.socket.recv(1000)
                client.close()
            eventually(lambda: watcher.ask("stats")["endpoint"]["clients"] == 1, "vanished clients are forgotten")
            equal(len(target.endpoint_descriptors()), before, "descriptors after vanished clients")


def fork_child(folder):
    """A child has its own endpoint, nothing of its parent's, and takes nothing away from it."""
    with Target(folder) as target, target.connect() as parent:
        own = {link for link in target.endpoint_descriptors().values() if link.startswith("socket:")}
        check(len(own) == 2, "the parent's listener and connection do not show")
        equal(own & set(descriptors(target.pid).values()), set(), "sockets of ours in the program's table")
        child = int(target.order("fork"))
        with connect(folder, child) as client:
            equal(client.hello["pid"], child, "the child's greeting")
            snapshot = client.ask("snapshot")
            equal(snapshot["process"]["pid"], child, "pid in the child's snapshot")
            equal(snapshot["process"]["ppid"], target.pid, "ppid in the child's snapshot")
            shared = own & set(descriptors(child).values())
            equal(shared, set(), "sockets of the parent that the child holds")
            equal(parent.ask("snapshot")["process"]["pid"], target.pid, "pid in the parent's snapshot")
            path = socket_path(folder, child)
            equal(target.order("reap"), "1", "children that ended well")
        eventually(lambda: not path.exists(), "the child's socket is removed at its end")
        equal(parent.ask("ping")["type"], "pong", "the parent's endpoint after the child's end")
        with target.connect() as again:
            equal(again.hello["pid"], target.pid, "the greeting at the parent's socket")


def fork_storm(folder):
    """Children that live for less than the delay pay nothing and leave nothing."""
    with Target(folder) as target, target.connect() as client:
        for _ in range(20):
            for _ in range(5):
                target.order("fork")
            equal(target.order("reap"), "5", "children that ended well")
        equal(client.ask("ping")["type"], "pong", "the parent's endpoint after a hundred children")


def exec_image(folder):
    """After exec the new image serves under the same name."""
    with Target(folder) as target:
        old = target.connect()
        path = socket_path(folder, target.pid)
        equal(target.order("exec"), "ready", "the new image's first line")
        equal(old.read(), None, "the old image's connection")
        with target.connect() as client:
            equal(client.hello["pid"], target.pid, "the new image's greeting")
        equal(sorted(os.listdir(folder)), [path.name, path.stem + ".trace"], "files after exec")


def descriptors_closed(folder):
    """A program that closes every descriptor, as daemons do, takes nothing from its clients."""
    with Target(folder) as target, target.connect() as client:
        equal(target.order("close"), "closed", "the program's answer")
        equal(client.ask("ping")["type"], "pong", "the answer to a connection from before")
        with target.connect() as again:
            equal(again.ask("ping")["type"], "pong", "the answer to a new one")


def lowest_descriptor(folder):
    """close(0) and open give the program 0 each time, whoever connects meanwhile."""
    with Target(folder) as target:
        with target.connect() as watcher:
            path = socket_path(folder, target.pid)
            answers = target.process.stdout
            target.process.stdin.write("lowest\n")
            target.process.stdin.flush()
            # Until both have come far enough beside each other, however the machine divides its time between them.
            many = False
            while not many or watcher.ask("stats")["endpoint"]["connections"] < 2000:
                for _ in range(100):
                    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                        one.connect(str(path))
                if not many and select.select([answers], [], [], 0)[0]:
                    equal(answers.readline(), "many\n", "the program's answer after many descriptors")
                    many = True
        target.process.stdin.write("enough\n")
        target.process.stdin.flush()
        equal(answers.readline(), "0\n", "times when the lowest number was not free")


def full_descriptor_table(folder):
    """That the program has no descriptor free means nothing to clients. Where the limit is too low for all of them the
    endpoint waits, without spinning, and goes on when one leaves."""
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with Target(folder, preexec_fn=limit) as target:
        path = socket_path(folder, target.pid)
        check(int(target.order("fill")) > 50, "the table was not filled")
        clients = [Client(path) for _ in range(50)]
        equal(clients[-1].ask("ping")["type"], "pong", "the answer beside a full table")
        more = [Client(path, greeting=False) for _ in range(30)]
        waiting = more[-1]
        target.rest()
        used = target.cpu_ticks()
        waiting.socket.settimeout(2)
        try:
            waiting.read()
            check(False, "a client was served beyond the limit")
        except TimeoutError:
            pass
        used = target.cpu_ticks() - used
        check(used <= 0.2 * 2 * os.sysconf("SC_CLK_TCK"), f"the endpoint's thread spins: {used} ticks in 2 s")
        waiting.socket.settimeout(30)
        for client in clients:
            client.close()
        equal(waiting.read()["type"], "hello", "the greeting, at last")
        equal(target.order("unfill"), "unfilled", "the program's answer")
        for client in more:
            client.close()


def closed_stderr(folder):
    """When the program closes its standard error, a pipe's reader sees the end; debug lines of the endpoint's thread don't
    keep it open, and come while it is."""
    variables = {"HAKMEM_SS_LRU_DEBUG": 1, "HAKMEM_SS_LRU_AGE_MS": 3600000}
    target = Target(folder, variables=variables)
    try:
        with target.connect() as client:
            equal(target.order("large"), "done", "the program's answer")
            client.ask("purge")
            line = target.process.stderr.readline()
            while not line.startswith("[SS_LRU_EVICT]"):  # by the purge, and thus by the endpoint's thread
                check(line.startswith("[SS_LRU_"), f"a line on stderr: {line!r}")
                line = target.process.stderr.readline()
            target.order("close stderr")
            target.process.stderr.read()
            equal(client.ask("ping")["type"], "pong", "the answer afterwards")
        target.process.stdin.close()
        equal(target.process.wait(60), END_STATUS, "the program's exit status")
    finally:
        target.process.kill()
        target.process.wait()


def nothing_by_default(folder):
    """Without a setting: no thread, no descriptor, no file, no output."""
    with Target(folder, introspect=0) as target:
        target.check_progress()
        equal(target.endpoint_thread(), None, "the endpoint's thread")
        equal(sorted(descriptors(target.pid)), [0, 1, 2], "descriptors")
        equal(os.listdir(folder), [], "files")


def modes_and_signals(folder):
    """The directory is made with 0700, the socket with 0600; the thread takes no signals, and no descriptor."""
    runtime = folder / "made"
    with Target(runtime) as target:
        path = socket_path(runtime, target.pid)
        eventually(path.exists, "the socket is there")
        equal(stat.S_IMODE(runtime.stat().st_mode), 0o700, "mode of the directory")
        equal(stat.S_IMODE(path.stat().st_mode), 0o600, "mode of the socket")
        thread = eventually(target.endpoint_thread, "the endpoint's thread has its name")
        status = pathlib.Path(f"/proc/{target.pid}/task/{thread}/status").read_text()
        blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
        expected = (1 << 64) - 1
        for signal in (9, 19, 32, 33):  # KILL and STOP can't be blocked, the other two belong to libc
            expected &= ~(1 << (signal - 1))
        equal(blocked & expected, expected, "signals blocked in the endpoint's thread")
        status = pathlib.Path(f"/proc/{target.pid}/status").read_text()
        equal(int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16), 0,
              "signals blocked in the program's main thread")
        equal(sorted(descriptors(target.pid)), [0, 1, 2], "the program's descriptors")
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            equal(os.sched_getscheduler(thread), os.SCHED_BATCH, "the policy of the endpoint's thread")
            equal(os.sched_getscheduler(target.pid), os.SCHED_OTHER, "the policy of the program's main thread")
        for fd in target.endpoint_descriptors():
            info = pathlib.Path(f"/proc/{target.pid}/task/{thread}/fdinfo/{fd}").read_text()
            flags = int(next(line for line in info.splitlines() if line.startswith("flags:")).split()[1], 8)
            check(flags & os.O_CLOEXEC, f"descriptor {fd} of the endpoint's thread is not closed by exec")


def bad_directories(folder):
    """No usable directory: one line on stderr, and the program runs as without."""
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    link = folder / "link"
    link.symlink_to(folder)
    file = folder / "file"
    file.write_text("")
    for directory in (open_to_all, link, file, folder / "missing" / "below"):
        target = Target(directory)
        try:
            target.check_progress()
            errors = target.end()
            equal(errors.count("\n"), 1, f"lines on stderr for {directory}: {errors!r}")
            check(errors.startswith("hakmem: "), f"stderr: {errors!r}")
        finally:
            target.process.kill()
            target.process.wait()
    long_path = folder / ("d" * 100) / ("e" * 40)  # more than a socket's address holds
    long_path.mkdir(parents=True, mode=0o700)
    with Target(long_path) as target:
        eventually(lambda: os.listdir(long_path), "the socket in a directory with a long path")
        path = socket_path(long_path, target.pid)
        eventually(path.exists, "the socket has its name")
        equal(sorted(os.listdir(long_path)), [path.name, path.stem + ".trace"], "the names there")
        directory = os.open(long_path, os.O_PATH)
        with Client(f"/proc/self/fd/{directory}/{path.name}") as client:
            equal(client.ask("ping")["type"], "pong", "its answer")
        os.close(directory)


def other_users(folder):
    """Another user is refused, even where the file modes would let him in; root, and the program's own user, are not."""
    if os.geteuid() != 0:
        skip("only root can be two users")
    folder.chmod(0o711)
    with Target(folder) as target:
        path = socket_path(folder, target.pid)
        eventually(path.exists, "the socket is there")
        path.chmod(0o666)
        script = ("import os, socket, sys; os.setresgid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2]));"
                  "os.setresuid(int(sys.argv[2]), int(sys.argv[2]), int(sys.argv[2])); s = socket.socket(socket.AF_UNIX);"
                  "s.connect(sys.argv[1]); s.sendall(b'ping\\n') if len(sys.argv) > 3 else None; print(s.makefile().read())")
        answer = json.loads(run([sys.executable, "-c", script, path, 65534]).stdout)
        equal((answer["type"], answer["code"]), ("error", "forbidden"), "what another user is told")
        with target.connect() as client:
            equal(client.ask("ping")["type"], "pong", "root's answer")

    # The program runs as another user: that user may, root may, a third may not.
    theirs = folder / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 65534, 65534)
    with Target(theirs, user=65534, group=65534, extra_groups=[]) as target:
        with target.connect() as client:
            equal(client.ask("ping")["type"], "pong", "root's answer from another user's program")
        theirs.chmod(0o711)
        path = socket_path(theirs, target.pid)
        path.chmod(0o666)
        answer = json.loads(run([sys.executable, "-c", script, path, 65533]).stdout)
        equal(answer["code"], "forbidden", "what a third user is told")
        with target.connect() as client:
            equal(client.ask("ping")["type"], "pong", "root's answer after that")


def squatters(folder):
    """Whatever stands under the socket's name is replaced by the socket, and nothing outside is touched."""
    victim = folder / "victim"
    victim.write_text("kept")
    for make in (os.mkfifo, lambda name: os.symlink(victim, name), lambda name: name.write_text("file")):
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        # The name holds pid and start time, so the process has to be there first: a shell that waits for a line.
        environment = clean_environment(HAKMEM_INTROSPECT=1, HAKMEM_DIR=runtime)
        process = subprocess.Popen(["sh", "-c", 'read line; LD_PRELOAD=$1 exec "$2"', "sh", LIBRARY, program("endpoint_target")],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        try:
            path = socket_path(runtime, process.pid)
            for name in (path, runtime / ("." + path.name)):
                make(name)
            process.stdin.write("\n")
            process.stdin.flush()
            equal(process.stdout.readline(), "ready\n", "the program's first line")
            with connect(runtime, process.pid) as client:
                equal(client.ask("ping")["type"], "pong", "the answer at a name that was taken")
            equal(sorted(os.listdir(runtime)), [path.name, path.stem + ".trace"], "what is left beside the socket")
            check(stat.S_ISSOCK(path.lstat().st_mode), "the name is no socket's")
            _, errors = process.communicate(timeout=60)
            equal((process.returncode, errors), (END_STATUS, ""), "the program's end")
        finally:
            process.kill()
            process.wait()
        equal(os.listdir(runtime), [], "what is left at the end")
        runtime.rmdir()
    equal(victim.read_text(), "kept", "the file that a link led to")


def exit_dump(folder):
    """HAKMEM_DUMP_ON=exit leaves a whole dump with the last events; where it can't be written, no half file."""
    variables = {"HAKMEM_DUMP_ON": "exit", "HAKMEM_TRACE": "all", "HAKMEM_DUMP_PATH": str(folder / "%e-%p-%%.json")}
    target = Target(folder, introspect=0, variables=variables)
    equal(target.end(), "", "stderr of the program")
    path = folder / f"endpoint_target-{target.pid}-%.json"
    equal(os.listdir(folder), [path.name], "files after the exit")
    dump = json.loads(path.read_text())
    equal((dump["type"], dump["reason"]), ("dump", "exit"), "the dump's kind")
    check(dump["events"], "no events in the dump")
    check(any(module["path"].endswith("libhakmem.so") for module in dump["modules"]), "libhakmem.so is no module")
    equal(stat.S_IMODE(path.stat().st_mode), 0o600, "mode of the dump")
    path.unlink()

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    target = Target(folder, introspect=0, variables=variables, preexec_fn=limit)
    errors = target.end()
    check(errors.startswith("hakmem: no dump: ") and errors.count("\n") == 1, f"stderr without room: {errors!r}")
    equal(os.listdir(folder), [], "files after a dump without room")


CASES = (bad_requests, pieces_of_lines, garbage, client_that_never_reads, slow_client, many_clients, killed_mid_reply,
         fork_child, fork_storm, exec_image, descriptors_closed, full_descriptor_table, nothing_by_default,
         modes_and_signals, bad_directories, exit_dump, lowest_descriptor, closed_stderr, other_users, squatters)


def main():
    wanted = sys.argv[1:]
    for case in CASES:
        if wanted and case.__name__ not in wanted:
            continue
        with Folder() as folder:
            began = time.monotonic()
            case(folder)
            print(f"{case.__name__}: {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    main()
