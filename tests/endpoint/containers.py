#!/usr/bin/python3
"""containers.py CASE: a program in a container is found from outside by its pid out there: through /proc/PID/root, under the pid that
it has inside. As root the container has a pid and a mount namespace of its own, else a user namespace too."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from support import BUILD, LIBRARY, Folder, check, clean_environment, equal, program, run, skip, tool  # noqa: E402
from client import eventually  # noqa: E402

TOP = BUILD / "hakmem-top"
# What is in `$1` is seen inside only; the shell's child is 2 in there.
SCRIPT = 'mount -t tmpfs none "$1" && mkdir -m 700 "$1/run" && { LD_PRELOAD=$2 HAKMEM_INTROSPECT=1 HAKMEM_DIR=$1/run "$3"; exit; }'


class Container:
    """The target program in a container whose runtime directory is not to be seen from outside."""

    def __init__(self, folder, *more):
        self.hidden = folder / "hidden"
        self.hidden.mkdir()
        how = [tool("unshare"), *(() if os.geteuid() == 0 else ("-r",)), "-p", "-f", "-m", "--mount-proc", *more]
        if subprocess.run([*how, "mount", "-t", "tmpfs", "none", self.hidden], check=False, stderr=subprocess.DEVNULL).returncode != 0:
            skip("no containers are to be had here")
        self.process = subprocess.Popen([*how, "sh", "-c", SCRIPT, "sh", self.hidden, LIBRARY, program("endpoint_target")], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment())
        equal(self.process.stdout.readline(), "ready\n", "the program's first line")
        self.pid = self.process.pid
        # unshare, its child the shell, and the program.
        for _ in range(2):
            self.pid = int(eventually(lambda: pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split(), "a child")[0])
        self.inner = int(pathlib.Path(f"/proc/{self.pid}/status").read_text().split("NSpid:")[1].split("\n")[0].split()[-1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.process.communicate(timeout=60)
            equal(self.process.returncode, 7, "the program's exit status")
        self.process.kill()
        self.process.wait()


def found_by_pid(folder):
    """By its pid outside; not under the pid that it has inside, which is somebody else's here."""
    elsewhere = {"HAKMEM_DIR": folder / "empty"}
    with Container(folder) as container:
        check(container.inner != container.pid and container.inner < 100, f"pids {container.pid}, {container.inner}")
        eventually(lambda: run([TOP, "--once", "--json", container.pid], env=elsewhere, expect=None).returncode == 0, "it is found")
        document = json.loads(run([TOP, "--once", "--json", container.pid], env=elsewhere).stdout)
        equal(document["process"]["pid"], container.inner, "pid in the snapshot: its own idea of it")
        check(document["process"]["exe"].endswith("endpoint_target"), f"program: {document['process']['exe']}")
        equal(os.listdir(container.hidden), [], "files of the container's that are seen from outside")
        # A dump is not asked for where the path would mean another place.
        run([TOP, "--dump", folder / "dump.json", container.pid], env=elsewhere)
        equal(json.loads((folder / "dump.json").read_text())["process"]["pid"], container.inner, "pid in the dump")
        check("hakmem_live_bytes{" in run([TOP, "--metrics", container.pid], env=elsewhere).stdout, "no metrics")
        listed = run([TOP, "--list"], env=elsewhere).stdout
        check(f"in a container: hakmem-top {container.pid} opens it" in listed, f"the list doesn't tell of it:\n{listed}")


def shared_directory(folder):
    """A directory that host and container share: an entry of the container's, whose pid means nothing or another process outside, is
    not swept away while it is served, nor by a program that starts on the host."""
    shared = folder / "shared"
    shared.mkdir(mode=0o700)
    with Container(folder) as container:
        environment = clean_environment(LD_PRELOAD=LIBRARY, HAKMEM_INTROSPECT=1, HAKMEM_DIR=f"/proc/{container.pid}/root{container.hidden}/run")
        names = sorted(os.listdir(environment["HAKMEM_DIR"]))
        check(any(name.startswith(f"{container.inner}-") and name.endswith(".sock") for name in names), f"names inside: {names}")
        # A program of the host's that serves there too, and one that lists.
        subprocess.run([program("early")], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
        run([TOP, "--list"], env={"HAKMEM_DIR": environment["HAKMEM_DIR"]}, expect=None)
        left = [name for name in names if name.endswith(".sock")]
        equal([name for name in sorted(os.listdir(environment["HAKMEM_DIR"])) if name.endswith(".sock")], left, "sockets afterwards")


CASES = (found_by_pid, shared_directory)


def main():
    with Folder() as folder:
        next(case for case in CASES if case.__name__ == sys.argv[1])(folder)


main()
