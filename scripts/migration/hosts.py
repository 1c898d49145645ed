"""The other host, and the commands on both."""

import os
import shlex
import shutil
import subprocess
import sys

from migration.failures import Failed


class Host:
    """Runs shell commands on the other host."""

    def __init__(self, name, ssh):
        self.name = name
        self.ssh = shlex.split(ssh)

    def command(self, script):
        return self.ssh + [self.name, "sh -c " + shlex.quote(script)]

    def ask(self, script, seconds=30.0):
        """The output of a script; None: the host did not answer."""
        try:
            done = subprocess.run(
                self.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return None
        # ssh ends with 255 if the connection could not be made or was lost.
        return None if done.returncode == 255 else done.stdout.decode(errors="replace")

    def require(self, script, what):
        done = subprocess.run(self.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            raise Failed(f"cannot {what} on {self.name}: exit status {done.returncode} ({words[-1] if words else 'no message'})")
        return done.stdout.decode(errors="replace")


def last_words(process, seconds=5.0):
    """What ssh said, if it has ended."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return ""
    words = process.stderr.read().decode(errors="replace").strip().splitlines()
    return words[-1] if words else ""


def hang_up(process):
    """Ends an ssh by the end of its input."""
    for pipe in (process.stdin, process.stdout):
        try:
            pipe.close()
        except OSError:
            pass
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.terminate()


def state_folder():
    """The folder with what a migration has to remember, of this user only."""
    base = os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "treerestore")
    os.makedirs(base, mode=0o700, exist_ok=True)
    return base


def tool(given, name):
    """The path of a command: the one that was given, the one beside crmigrate, or the one in PATH."""
    if given:
        return given
    beside = os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), name)
    found = beside if os.access(beside, os.X_OK) else shutil.which(name)
    if not found:
        raise Failed(f"cannot find {name}: ENOENT (install it, or name it with --{name})", 64)
    return found


def install(host, commands):
    """Copies the commands to the other host, if it has none of the same contents there. Gives their folder there."""
    folder = host.require(
        'd="${XDG_DATA_HOME:-$HOME/.local/share}/treerestore/bin"; mkdir -p "$d" && echo "$d"', "make a folder").strip()
    for command in commands:
        name = os.path.basename(command)
        own = subprocess.run(["sha256sum", command], stdout=subprocess.PIPE, check=True).stdout.split()[0].decode()
        there = host.ask(f"sha256sum {shlex.quote(folder + '/' + name)} 2> /dev/null") or ""
        if there.split()[:1] == [own]:
            continue
        path = shlex.quote(f"{folder}/{name}")
        with open(command, "rb") as source:
            done = subprocess.run(
                host.command(f"cat > {path}.new && chmod 755 {path}.new && mv {path}.new {path}"), stdin=source, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Failed(f"cannot copy {name} to {host.name}: {done.stderr.decode(errors='replace').strip()}")
    return folder
