#!/usr/bin/env python3
"""An interactive shell that has crcheckpoint save it, typed at its terminal, and its copy at another one.

    selfterminal.py FOLDER-OF-COMMANDS FOLDER SHELL [OPTION-OF-CRRESTART...]
"""

import os
import pty
import select
import subprocess
import sys
import time

binaries, folder, shell, *options = sys.argv[1:]


def start(command):
    """A program at a terminal of its own, with job control."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(PS1="ready> ", HISTFILE="/dev/null", TERM="dumb")
        os.execv(command[0], command)
    return pid, master


def read_until(master, words, seconds=30):
    text, end = "", time.monotonic() + seconds
    while words not in text:
        left = end - time.monotonic()
        if left < 0 or not select.select([master], [], [], left)[0]:
            sys.exit(f"no {words!r} came: {text!r}")
        try:
            text += os.read(master, 65536).decode(errors="replace")
        except OSError:
            sys.exit(f"the terminal has ended before {words!r}: {text!r}")
    return text


def ask(master, text, answer):
    os.write(master, text.encode() + b"\n")
    read_until(master, answer)


def end(pid, master):
    os.write(master, b"exit 3\n")
    while True:
        try:
            if not os.read(master, 65536):
                break
        except OSError:
            break
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status != 3:
        sys.exit(f"the shell ended with {status}")


program = {"bash": ["/bin/bash", "--norc", "--noprofile", "-i"], "dash": ["/bin/dash", "-i"]}[shell]
pid, master = start(program)
read_until(master, "ready> ")
ask(master, "word=kept; sleep 1000 & sleep 0.1", "ready> ")
ask(master, f"{binaries}/crcheckpoint --progress none --tree $$ -o {folder}/image; echo status $? $((1+1))", "status 0 2")
ask(master, "jobs; echo $word $((2+2))", "kept 4")
ask(master, "kill %1; wait; echo gone $((3+3))", "gone 6")
end(pid, master)

pid, master = start([f"{binaries}/crrestart", "--copy-status", *options, f"{folder}/image"])
read_until(master, "status 75 2")
ask(master, "jobs; echo $word $((2+2))", "kept 4")
# The shell has the terminal again: a command in the foreground can be ended by Ctrl-C.
ask(master, "sh -c 'echo begins $((9+1)); exec sleep 500'", "begins 10")
os.write(master, b"\x03")
ask(master, "echo interrupted $? $((4+4))", "interrupted 130 8")
ask(master, "kill %1; wait; echo gone $((3+3))", "gone 6")
end(pid, master)
subprocess.run([f"{binaries}/crimage", "verify", f"{folder}/image"], check=True, stdout=subprocess.DEVNULL)
