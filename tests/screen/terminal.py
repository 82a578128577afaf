"""What the screen tests share: a private tmux server with one pane, a mock target, and waiting for what a screen shows.

Nothing here sleeps for a fixed time: a condition is looked at again and again until it holds or a generous deadline passes.
"""
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import BUILD, LIBRARY, check, clean_environment, equal, fail, tool

TOP = BUILD / "hakmem-top"
HERE = pathlib.Path(__file__).resolve().parent
DEADLINE = 30


def wait(condition, what):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return fail(f"waited {DEADLINE} s for {what}")


class Mock:
    """A mock target in a directory of its own. A with block ends it."""

    def __init__(self, directory, *options):
        directory.mkdir(mode=0o700, exist_ok=True)
        self.process = subprocess.Popen([sys.executable, HERE / "mock_target.py", directory, *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=clean_environment())
        words = self.process.stdout.readline().split()
        self.pid, self.socket = int(words[1]), words[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
        self.process.wait(DEADLINE)


class Screen:
    """A terminal of the given size in which `script` runs under sh. A with block ends it."""
    count = 0

    def __init__(self, folder, script, width=80, height=24, term="xterm-256color", locale="C.UTF-8", **variables):
        # A server of its own for each screen: one that is just ending would take the next one's session with it.
        Screen.count += 1
        self.tmux = [tool("tmux"), "-S", str(folder / f"tmux-{Screen.count}"), "-f", "/dev/null"]
        environment = clean_environment(LC_ALL="C.UTF-8", **variables)
        environment.pop("TMUX", None)
        check(TOP.exists(), f"{TOP} isn't built")
        preset = f"export LC_ALL={locale}; " + (f"export TERM={term}; " if term else "unset TERM; ")
        # The last command keeps the pane open, so that what is left on the terminal can be looked at.
        command = ["sh", "-c", f"trap : INT; {preset}stty -g >{folder}/before; {script}; echo \"status $?\"; stty -g >{folder}/after; exec cat"]
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(width), "-y", str(height), *command], env=environment,
                       check=True)
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run([*self.tmux, "kill-server"], check=False, stderr=subprocess.DEVNULL)

    def rows(self, colours=False):
        result = subprocess.run([*self.tmux, "capture-pane", "-p", *(["-e"] if colours else [])], check=True,
                                stdout=subprocess.PIPE, encoding="utf-8")
        return result.stdout.split("\n")[:-1]

    def text(self, colours=False):
        return "\n".join(self.rows(colours))

    def keys(self, *names):
        for name in names:
            subprocess.run([*self.tmux, "send-keys", name], check=True)

    def raw(self, text):
        subprocess.run([*self.tmux, "send-keys", "-l", text], check=True)

    def resize(self, width, height):
        subprocess.run([*self.tmux, "resize-window", "-x", str(width), "-y", str(height)], check=True)

    def sees(self, *patterns):
        """Waits until every pattern is found on the screen, and returns its text."""
        def look():
            text = self.text()
            return text if all(re.search(pattern, text, re.M) for pattern in patterns) else None
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            text = look()
            if text is not None:
                return text
            time.sleep(0.02)
        print(self.text())
        return fail(f"the screen never showed {patterns}")

    def restored(self, status):
        """The program has ended with this status, and the terminal is as it was before."""
        self.sees(rf"^status {status}$")
        after = wait(lambda: (self.folder / "after").exists() and (self.folder / "after").read_text(), "the terminal's settings")
        equal(after, (self.folder / "before").read_text(), "the terminal's settings")
