"""The two commands of a migration: crcheckpoint here, crrestart there."""

import os
import re
import shlex
import socket
import subprocess
import tempfile

from migration.failures import Failed
from migration.hosts import hang_up, last_words, tool
from migration.late import ends
from migration.lines import Lines


class Source:
    """crcheckpoint, which holds the tree here: its image comes from a pipe or goes to a file, orders and answers go over a socket."""

    def __init__(self, options, parent, path=None):
        self.orders, other = socket.socketpair()
        self.lines = Lines(self.orders.fileno())
        command = [tool(options.crcheckpoint, "crcheckpoint"), "--tree", str(options.pid), "-o", path or "-", "--hold", str(other.fileno()),
                   "--progress", "none", *options.last_checkpoint, *(["--parent", parent] if parent else []), *(["--unchecked"] if path else [])]
        self.errors = tempfile.TemporaryFile()
        # A session of its own: neither a terminal that hangs up nor Ctrl-C ends the process that holds the tree.
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.errors if path else subprocess.PIPE, stderr=self.errors, pass_fds=[other.fileno()], start_new_session=True)
        other.close()
        self.image = None if path else self.process.stdout.fileno()

    def tell(self, word):
        try:
            self.orders.sendall(word.encode() + b"\n")
        except OSError:
            pass

    def is_alive(self):
        return self.process.poll() is None

    def wait(self, seconds):
        """False: it has not ended in time."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def words(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def notices(self):
        """What crcheckpoint had to say of an image that is good."""
        return [line for line in self.words().splitlines() if not re.search(r"\d tasks, .* stopped for [\d.]+ ms", line)]

    def failure(self):
        """Why there is no image."""
        status = self.process.returncode if self.wait(10) else None
        return Failed(self.words() or "crcheckpoint ended without a word", status or 1)

    def stopped_seconds(self):
        """For how long the tree stood still, up to its end; None: it was not told."""
        self.wait(10)
        told = re.search(r"stopped for ([\d.]+) ms", self.words())
        return float(told[1]) / 1000 if told else None


class Target:
    """crrestart at the other host: the image comes through ssh's input, and orders after it."""

    def __init__(self, options, host, arrival, with_rounds, fetches=False):
        self.host = host
        folder = arrival.path
        command = [options.remote_crrestart, *options.every_restart, "--detach", "--progress", "none", "--hold", "3,4", "--outcome", folder + "/outcome",
                   *(["--parent-dir", arrival.rounds] if with_rounds else [])]
        # The image that is fetched is there when "begin" is said.
        fetch, image = (ends(folder), "--lazy --served 5,6 image") if fetches else ("", "/dev/fd/3")
        script = f"""umask 077
{fetch}
echo ready
{"read -r begin || exit 1" if fetches else ""}
exec {shlex.join(command)} {image} 3<&0 4>&1 < /dev/null > {shlex.quote(folder + "/out")} 2> {shlex.quote(folder + "/errors")}
"""
        self.process = subprocess.Popen(
            host.command(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.input = self.process.stdin.fileno()
        self.lines = Lines(self.process.stdout.fileno())

    def await_ready(self):
        line = self.lines.next(60.0)
        if line != "ready":
            raise Failed(f"cannot begin on {self.host.name}: {last_words(self.process) or line or 'ssh gave no answer'}", 3)

    def tell(self, word):
        os.write(self.input, word.encode() + b"\n")

    def refused(self, line):
        """What it said in place of what was waited for; None: nothing."""
        status = 1
        if line and line.startswith("failed "):
            sentence = f"{self.host.name} refuses: {line[7:]}"
            status = 3 if line.startswith("failed cannot restart here: ") else 1
        elif line:
            sentence = f"{self.host.name} says \"{line}\""
        else:
            sentence = f"the connection to {self.host.name} is lost: {last_words(self.process) or 'no message'}"
        return Failed(sentence, status)

    def hang_up(self):
        """Its parked tree ends, if it has one."""
        hang_up(self.process)
