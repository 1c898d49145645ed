"""Rounds: images that are taken and sent while the tree runs, each with what has changed since the one before."""

import dataclasses
import fcntl
import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time

from migration.address import run_quietly
from migration.failures import Failed
from migration.hosts import state_folder, tool

# A round of fewer bytes is small: taking it is mostly what any checkpoint takes.
SMALL = 1 << 20
# A round that is larger than this part of the one before has stopped shrinking.
SHRINKS = 0.75

# Says that the image in a folder may be needed.
KEPT = "kept"


@dataclasses.dataclass
class Round:
    """bytes: of its image; save_s: until it was written; send_s: until the other host had it; stopped_ms: how
    long the tree stood still for it; known_bytes: of pages that were not compared; tracked_bytes: of pages that the next round need not compare
    unless they change."""

    bytes: int
    save_s: float
    send_s: float
    stopped_ms: float
    known_bytes: int = 0
    tracked_bytes: int = 0


def expected_stop(last):
    """Seconds for which the tree stands still if as much has to be saved and sent as in the last round.

    What the kernel does not track is read once more here to find what has changed, and all memory once there to load it.
    """
    return 2 * last.save_s + last.send_s


def is_enough(done, most, max_stop_s):
    """Whether the final stop comes after these rounds."""
    last = done[-1]
    if len(done) >= most or last.bytes <= SMALL:
        return True
    if max_stop_s is not None and expected_stop(last) <= max_stop_s:
        return True
    return len(done) > 1 and last.bytes > SHRINKS * done[-2].bytes


class Spool:
    """The images of the rounds here: the next one is compared with the last one."""

    def __init__(self, base, pid):
        base = base or state_folder()
        self.sweep(base)
        self.path = tempfile.mkdtemp(prefix=f"spool.{pid}.", dir=base)
        self.lock = os.open(self.path + "/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def keep(self):
        """From here on no other crmigrate removes it: what it holds may be needed."""
        open(os.path.join(self.path, KEPT), "w").close()

    def image(self, number):
        return f"{self.path}/{number}.img"

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    @staticmethod
    def remove_kept(image):
        """The folder of an image that is not needed any more."""
        folder = os.path.dirname(image)
        if os.path.exists(os.path.join(folder, KEPT)):
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def sweep(base):
        """Removes what a crmigrate that was killed has left: nothing holds the lock of such a folder."""
        for entry in os.scandir(base):
            if not entry.name.startswith("spool.") or os.path.exists(os.path.join(entry.path, KEPT)):
                continue
            try:
                lock = os.open(entry.path + "/lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry.path, ignore_errors=True)
            except OSError:
                pass
            finally:
                os.close(lock)


class Rounds:
    def __init__(self, options, arrival, spool, say):
        self.options = options
        self.arrival = arrival
        self.say = say
        self.done = []
        self.spool = spool
        self.notices = []

    @property
    def last(self):
        """The image that the final one is compared with."""
        return self.spool.image(len(self.done))

    def run(self):
        """Takes rounds until the final stop is worth it.

        Throws: where it would take longer than --max-stop.
        """
        max_stop_s = None if self.options.max_stop is None else self.options.max_stop / 1000
        while True:
            self.take()
            if len(self.done) == 1:
                self.ask_whether_it_fits()
            if is_enough(self.done, self.options.rounds, max_stop_s):
                break
        if max_stop_s is not None and expected_stop(self.done[-1]) > max_stop_s:
            raise Failed(
                f"cannot move the tree within {self.options.max_stop} ms: after {len(self.done)} rounds it would stand still for about {expected_stop(self.done[-1]) * 1000:.0f} ms"
                " (it changes its memory too quickly, or has too much of it: a larger --max-stop, more --rounds, --compress, a quicker connection)")

    def take(self):
        number = len(self.done) + 1
        self.say(f"round {number}")
        path = self.spool.image(number)
        parent = ["--parent", self.last] if self.done else []
        begin = time.monotonic()
        result = self.save(["--tree", str(self.options.pid), "-o", path, "--live", "--track", *parent, *self.options.every_checkpoint])
        saved = time.monotonic()
        seconds = self.arrival.put(path, self.options.bandwidth)
        self.done.append(Round(result["bytes"], saved - begin, seconds, result["stopped_ns"] / 1e6, result["known_bytes"], result["tracked_bytes"]))
        # What is not tracked is compared: each round says the same of it.
        self.notices = result["notices"]
        last = self.done[-1]
        rate = int(last.bytes / max(last.send_s, 1e-6)) >> 20
        self.say(f"round {number}: {last.bytes} bytes, saved in {last.save_s:.2f} s, sent in {last.send_s:.2f} s at {rate} MiB/s, stopped for {last.stopped_ms:.1f} ms, {last.tracked_bytes} bytes tracked")

    @property
    def untracking(self):
        """The command that ends what notes the changes of the tree."""
        return shlex.join([os.path.abspath(tool(self.options.crcheckpoint, "crcheckpoint")), "--tree", str(self.options.pid), "--untrack"])

    def untrack(self):
        """For a tree that goes on here."""
        run_quietly(self.untracking)

    def save(self, arguments):
        """crcheckpoint, ended with this process's own failure."""
        command = [tool(self.options.crcheckpoint, "crcheckpoint"), "--json", "--progress", "none", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            output, errors = process.communicate()
        except BaseException:
            process.terminate()
            process.communicate()
            raise
        if process.returncode != 0:
            raise Failed(failure(errors.decode(errors="replace")), process.returncode if process.returncode > 0 else 1)
        return json.loads(output)

    def ask_whether_it_fits(self):
        """Lets the other host validate the first round, before the tree stops: what it lacks is told now.

        Not where files or an address come only with the final stop.
        """
        options = self.options
        if options.sync or options.move_address or options.with_files:
            return
        restart = shlex.join([options.remote_crrestart, *options.every_restart, "--dry-run", f"{self.arrival.rounds}/1.img"])
        host = self.arrival.host
        done = subprocess.run(host.command(restart + " > /dev/null"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
            raise Failed(f"{host.name} refuses: {words}", 3 if done.returncode == 3 else 1)

    def summary(self):
        return [
            {"bytes": one.bytes, "save_s": round(one.save_s, 3), "send_s": round(one.send_s, 3), "bytes_per_s": int(one.bytes / max(one.send_s, 1e-6)),
             "stopped_ms": round(one.stopped_ms, 1), "known_bytes": one.known_bytes, "tracked_bytes": one.tracked_bytes} for one in self.done]


def failure(text):
    """The sentence and the findings of a --json error."""
    try:
        error = json.loads(text.strip().splitlines()[-1])
        return "\n".join([error["error"], *(finding(one) for one in error.get("findings", []))])
    except (ValueError, KeyError, IndexError):
        return text.strip() or "crcheckpoint ended without a word"


def finding(one):
    """As crcheckpoint prints it without --json."""
    task = f"{one['pid']} {one['command']}: " if one.get("pid") else ""
    help_text = f" ({one['help']})" if one.get("help") else ""
    return f"  {task}{one['object']}: {one['reason']}{help_text}"
