"""Drives a program in a shell on one terminal, checkpoints it with --kill, restarts it on another terminal, and drives it on.

    jobs.py BINARIES DIRECTORY PROGRAM [OPTION OF CRRESTART...]

Ends with 0 and the line "OK" if the program answers as before, job control works, and the shell has its settings back.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

binaries, directory, program, *options = sys.argv[1:]
image = directory + "/image"
environment = dict(os.environ, TERM="xterm", PS1="PROMPT> ", HISTFILE="/dev/null", PATH=binaries + ":" + os.environ["PATH"])


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, command):
        self.shown = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, environment)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def take(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def expect(self, pattern):
        """Waits until the pattern has been shown, and forgets everything up to it."""
        end = time.monotonic() + 20
        while True:
            found = re.search(pattern.encode(), self.shown, re.S)
            if found:
                self.shown = self.shown[found.end():]
                return found[0].decode(errors="replace")
            if time.monotonic() > end or not self.take(0.1):
                sys.exit(f"{pattern!r} was not shown, but {self.shown[-2000:]!r}")

    def type(self, keys):
        os.write(self.master, keys.encode())

    def ask(self, keys, answer):
        """Types until it is answered: a program that is not ready yet throws keys away."""
        self.type(keys)
        self.expect(answer)

    def settings(self):
        return termios.tcgetattr(self.master)[:4]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def checkpoint(root):
    subprocess.run(
        ["crcheckpoint", "--tree", str(root), "-o", image, "--force", "--kill"], env=environment, check=True,
        start_new_session=True, stdin=subprocess.DEVNULL)


def shell():
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"])
    terminal.expect("PROMPT> ")
    return terminal


def restart():
    terminal = shell()
    terminal.before = terminal.settings()
    terminal.type(f"crrestart {' '.join(options)} {image}\r")
    return terminal


def finish(terminal):
    """The shell has its terminal back."""
    terminal.expect("PROMPT> ")
    terminal.ask("echo back-$((1+2))\r", "back-3")
    terminal.expect("PROMPT> ")
    if terminal.settings() != terminal.before:
        sys.exit(f"the settings of the shell were {terminal.before}, and are {terminal.settings()}")


def stop_and_continue(terminal):
    terminal.ask("\x1a", "Stopped")
    terminal.expect("PROMPT> ")
    terminal.ask("echo shell-$((1+2))\r", "shell-3")
    terminal.expect("PROMPT> ")
    terminal.type("fg\r")


def vim():
    first = shell()
    file = directory + "/text"
    first.ask(f"vim -u NONE {file}\r", "~.*~")
    first.ask("ihello world\x1b", "world")
    checkpoint(children(first.pid)[0])
    second = restart()
    second.expect("hello world")
    second.ask("a again\x1b:echo 'n'.(40+2)\r", "n42")
    stop_and_continue(second)
    second.expect("again")
    second.type("oline\x1b:wq\r")
    finish(second)
    assert open(file).read() == "hello world again\nline\n", open(file).read()


def python3():
    first = shell()
    first.ask("python3 -q\r", ">>> ")
    first.ask("x = 42; print('set', x)\r", "set 42")
    first.expect(">>> ")
    checkpoint(children(first.pid)[0])
    second = restart()
    second.ask("print('is', x * 2)\r", "is 84")
    second.ask("import time; print('nap', 1 + 1); time.sleep(1000)\r", "nap 2")
    second.ask("\x03", "KeyboardInterrupt")
    stop_and_continue(second)
    second.ask("print('is', x * 3)\r", "is 126")
    second.type("exit()\r")
    finish(second)


def interactive_shell():
    """A background job, a stopped one, one in the foreground."""
    name = program
    first = shell()
    first.type(name + (" --norc" if name == "bash" else " -f") + "\r")
    first.ask("x=42; echo set-$((x+1))\r", "set-43")
    first.ask("sleep 1111 & echo job-$((x+2))\r", "job-44")
    first.ask("sleep 2222; echo\r", "2222")
    time.sleep(0.3)
    first.ask("\x1a", "topped|suspended")
    first.ask("echo ready-$((x+3))\r", "ready-45")
    checkpoint(children(first.pid)[0])
    second = restart()
    second.ask("echo is-$((x*2))\r", "is-84")
    second.ask("jobs\r", "1111")
    second.expect("2222")
    second.type("fg %2\r")
    second.expect("2222")
    time.sleep(0.3)
    second.ask("\x03", "(PROMPT|%|#|\\$)")
    second.ask("kill %1; echo gone-$((x+4))\r", "gone-46")
    second.ask("sleep 3333\r", "3333")
    time.sleep(0.3)
    second.ask("\x1a", "topped|suspended")
    second.ask("jobs; echo jobs-$((x+5))\r", "3333.*jobs-47")
    second.type("kill -9 %%\r")
    second.type("exit\r")
    time.sleep(0.5)
    second.type("\rexit\r") if not children(second.pid) == [] else None
    second.ask("\recho back-$((1+2))\r", "back-3")


def leader():
    """The shell that leads the session is in the tree: crrestart relays a pty."""
    first = shell()
    first.ask("x=42; PS1='INNER> '; echo set-$((x+1))\r", "set-43")
    first.expect("INNER> ")
    checkpoint(first.pid)
    # Its pid is free again.
    os.waitpid(first.pid, 0)
    second = restart()
    second.ask("\r", "INNER> ")
    second.ask("echo is-$((x*2))\r", "is-84")
    second.ask("sleep 3333\r", "3333")
    time.sleep(0.3)
    second.ask("\x1a", "Stopped")
    second.ask("jobs; tty\r", "3333.*/dev/pts/")
    # For a moment the window has another size, so that screens are drawn anew.
    time.sleep(1.2)
    second.ask("stty size\r", "24 80")
    second.ask("kill -9 %1; wait; echo gone-$((x+4))\r", "gone-46")
    second.expect("INNER> ")
    second.type("exit\r")
    # A second time, should it still count the job.
    if second.expect("PROMPT> |INNER> ").startswith("INNER"):
        second.type("exit\r")
        second.expect("PROMPT> ")
    second.type("\r")
    finish(second)


def screen(command, wanted, end):
    first = shell()
    first.ask(command + "\r", wanted)
    checkpoint(children(first.pid)[0])
    second = restart()
    second.expect(wanted)
    second.type(end)
    finish(second)


def wrapped(command, question=None, answer=None):
    """A program that runs a shell on a pty of its own, or beside it."""
    first = shell()
    first.ask(f"PS1='INNER> ' {command}\r", "INNER> ")
    first.ask("x=42; echo set-$((x+1))\r", "set-43")
    first.expect("INNER> ")
    checkpoint(children(first.pid)[0])
    second = restart()
    second.ask("\r", "INNER> ")
    second.ask("echo is-$((x*2))\r", "is-84")
    # For a moment the window has another size, so that screens are drawn anew.
    time.sleep(1.2)
    second.ask("stty size\r", "24 80")
    second.ask("sleep 3333\r", "3333")
    time.sleep(0.3)
    second.ask("\x1a", "Stopped")
    second.ask("jobs; echo jobs-$((x+5))\r", "3333.*jobs-47")
    second.ask("fg\r", "3333")
    time.sleep(0.3)
    second.ask("\x03", "INNER> ")
    if question:
        second.ask(question + "\r", answer)
    # A program in the shell gets raw keys and a screen.
    second.ask("vim -u NONE -N\r", "~.*~")
    second.ask("ihello\x1b:echo 'n'.(40+2)\r", "n42")
    second.ask(":q!\r", "INNER> ")
    second.type("exit\r")
    finish(second)


programs = {
    "vim": vim, "python3": python3, "bash": interactive_shell, "zsh": interactive_shell, "leader": leader,
    "less": lambda: screen("less /etc/services", "tcpmux", "q"),
    "top": lambda: screen("top -d 1", "load average", "q"),
    "htop": lambda: screen("htop", "Load average|Load", "q"),
    "nano": lambda: screen("nano /etc/services", "tcpmux", "\x18"),
    "mc": lambda: screen("mc -d /etc", "10Quit|10 ?Quit|Quit", "\x1b0"),
    "script": lambda: wrapped(f"script -qc \"PS1='INNER> ' bash --norc\" {directory}/typescript"),
    "expect": lambda: wrapped("expect -c 'spawn -noecho bash --norc; interact'"),
    "ssh-agent": lambda: wrapped("ssh-agent bash --norc", "ssh-add -l", "The agent has no identities"),
}
programs[program]()
print("OK")
