"""Drives a shell and an editor in two windows of tmux or screen, checkpoints the server, restarts it, and drives them on.

    panes.py BINARIES DIRECTORY tmux|screen [OPTION OF CRRESTART...]

Ends with 0 and the line "OK" if both go on where they were, job control works, and no text is lost.
"""

import os
import re
import subprocess
import sys
import time

binaries, directory, program, *options = sys.argv[1:]
image = directory + "/image"
environment = dict(
    os.environ, TERM="xterm", PS1="PROMPT> ", HISTFILE="/dev/null", TMUX_TMPDIR=directory, SCREENDIR=directory + "/screens", SHELL="/bin/sh",
    PATH=binaries + ":" + os.environ["PATH"])
file = directory + "/text"


def run(*command):
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stdout.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


class Tmux:
    def start(self):
        run("tmux", "-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "bash --norc")
        run("tmux", "split-window", f"vim -u NONE -N {file}")
        self.panes = run("tmux", "list-panes", "-F", "#{pane_id}").split()
        return int(run("tmux", "display-message", "-p", "#{pid}"))

    def type(self, window, *keys):
        run("tmux", "send-keys", "-t", self.panes[window], *keys)

    def shown(self, window):
        return run("tmux", "capture-pane", "-p", "-t", self.panes[window])

    def resize(self):
        run("tmux", "resize-pane", "-t", self.panes[0], "-y", "8")

    def end(self):
        subprocess.run(["tmux", "kill-server"], env=environment, stderr=subprocess.DEVNULL)


class Screen:
    keys = {"Enter": "\r", "Escape": "\x1b", "C-c": "\x03", "C-z": "\x1a", "Space": " "}

    def start(self):
        os.makedirs(directory + "/screens", mode=0o700, exist_ok=True)
        os.chmod(directory + "/screens", 0o700)
        run("screen", "-c", "/dev/null", "-dmS", "test", "bash", "--norc")
        run("screen", "-S", "test", "-X", "screen", "vim", "-u", "NONE", "-N", file)
        found = re.search(r"(\d+)\.test", subprocess.run(
            ["screen", "-ls"], env=environment, stdout=subprocess.PIPE, check=False).stdout.decode())
        return int(found[1])

    def type(self, window, *keys):
        run("screen", "-S", "test", "-p", str(window), "-X", "stuff", "".join(self.keys.get(key, key) for key in keys))

    def shown(self, window):
        copy = f"{directory}/copy"
        if os.path.exists(copy):
            os.unlink(copy)
        run("screen", "-S", "test", "-p", str(window), "-X", "hardcopy", copy)
        for _ in range(40):
            if os.path.exists(copy):
                time.sleep(0.05)
                return open(copy, errors="replace").read()
            time.sleep(0.05)
        return ""

    def resize(self):
        pass

    def end(self):
        subprocess.run(["screen", "-S", "test", "-X", "quit"], env=environment, stdout=subprocess.DEVNULL)


def expect(window, pattern):
    end = time.monotonic() + 20
    while not re.search(pattern, server.shown(window), re.S):
        if time.monotonic() > end:
            sys.exit(f"{pattern!r} is not shown in window {window}, but {server.shown(window)!r}")
        time.sleep(0.1)


server = {"tmux": Tmux, "screen": Screen}[program]()
try:
    root = server.start()
    expect(0, "PROMPT>")
    expect(1, "~.*~")
    server.type(0, "x=42; sleep 1111 &", "Enter")
    server.type(0, "sleep 2222", "Enter")
    time.sleep(0.5)
    server.type(0, "C-z")
    expect(0, "Stopped")
    server.type(1, "ihello world", "Escape")
    expect(1, "hello world")

    # Left running, first.
    run("crcheckpoint", "--tree", str(root), "-o", image)
    server.type(0, "clear; echo still-$((x+1))", "Enter")
    expect(0, "still-43")
    run("crcheckpoint", "--tree", str(root), "-o", image, "--force", "--kill")
    restarted = subprocess.Popen(
        ["crrestart", *options, image], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(2)
    if restarted.poll() is not None:
        sys.exit(f"crrestart ended with {restarted.returncode}: {restarted.stderr.read().decode(errors='replace')}")

    expect(1, "hello world")
    server.type(0, "clear; echo is-$((x*2)); jobs", "Enter")
    expect(0, "is-84.*1111.*2222|is-84.*2222.*1111")
    server.type(0, "clear; fg %2", "Enter")
    expect(0, "2222")
    time.sleep(0.3)
    server.type(0, "C-c")
    server.type(0, "clear; kill %1; echo gone-$((x+4))", "Enter")
    expect(0, "gone-46")
    server.resize()
    server.type(0, "clear; stty size; tty", "Enter")
    expect(0, "8 80.*/dev/pts/" if program == "tmux" else "24 80.*/dev/pts/")
    server.type(1, "a again", "Escape")
    expect(1, "hello world again")
    server.type(1, ":wq", "Enter")
    for _ in range(100):
        if os.path.exists(file) and open(file).read():
            break
        time.sleep(0.05)
    assert open(file).read() == "hello world again\n", open(file).read()
    server.type(0, "exit", "Enter")
    time.sleep(0.3)
    server.type(0, "exit", "Enter") if restarted.poll() is None and program == "screen" else None
    try:
        restarted.wait(20)
    except subprocess.TimeoutExpired:
        sys.exit("the server does not end with its last window")
finally:
    server.end()
print("OK")
