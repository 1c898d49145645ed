"""One migration, from the first look to the end of the tree here."""

import json
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from migration.address import HIDE, SHOW, address_move, run_or_fail, run_quietly
from migration.arrival import Arrival, remove
from migration.ends import Source, Target
from migration.failures import Failed, Undecided
from migration.hosts import state_folder
from migration.late import PageService, ended_there, pages_there, undecided
from migration.lines import Pace, write_all
from migration.resolving import order, resolve, start_time
from migration.rounds import Rounds, Spool

PING = 3.0


class Migration:
    def __init__(self, options, host):
        self.options = options
        self.host = host
        self.began = time.monotonic()
        self.marks = []
        self.bytes = 0
        self.state = None
        self.undo = []
        self.parked = None
        self.arrival = None
        self.is_kept = False
        self.words_there = []
        self.rounds = None
        self.spool = None
        self.service = None
        self.late_bytes = None
        self.source = None
        self.target = None

    @property
    def late_image(self):
        """Of --lazy. The images of rounds that it needs lie beside it."""
        return self.spool.image("late")

    def say(self, text):
        if not self.options.quiet and not self.options.json:
            print(text, file=sys.stderr, flush=True)

    def mark(self, name):
        self.marks.append((name, time.monotonic()))
        self.say(name)

    # MARK: Stages

    def send_image(self):
        """Copies the image from crcheckpoint to ssh. It ends where the `held` line says."""
        source, target = self.source, self.target
        total, frozen = None, False
        pace = Pace(self.options.bandwidth)
        with selectors.DefaultSelector() as selector:
            selector.register(source.image, selectors.EVENT_READ, "image")
            selector.register(source.orders, selectors.EVENT_READ, "source")
            selector.register(target.lines.number, selectors.EVENT_READ, "target")
            while total is None or self.bytes < total:
                for key, _ in selector.select(1.0):
                    if key.data == "source":
                        line = source.lines.next(5.0)
                        if line is None or line.startswith("failed"):
                            raise source.failure()
                        if line.startswith("held "):
                            total = int(line.split()[2])
                            self.mark("sent")
                    elif key.data == "target":
                        line = target.lines.next(5.0)
                        if line is None or not line.startswith("parked "):
                            raise target.refused(line)
                        # The other host has the last byte before crcheckpoint has synced and said so.
                        self.parked = line
                        selector.unregister(target.lines.number)
                    else:
                        piece = os.read(source.image, pace.piece)
                        if not piece:
                            if total is None and not source.is_alive():
                                raise source.failure()
                            selector.unregister(source.image)
                            continue
                        if not frozen:
                            frozen = True
                            self.mark("frozen")
                            self.while_frozen()
                        try:
                            write_all(target.input, piece)
                        except OSError:
                            raise target.refused(target.lines.next(5.0)) from None
                        self.bytes += len(piece)
                        pace.sent(len(piece))

    def save_image(self):
        """Waits until the image is in its file. The other host asks for what it needs of it."""
        line = None
        while line is None:
            line = self.source.lines.next(1.0)
            if line is None and not self.source.is_alive() or line and not line.startswith("held "):
                raise self.source.failure()
        self.bytes = int(line.split()[2])
        self.mark("saved")
        self.while_frozen()
        try:
            self.target.tell("begin")
        except OSError:
            raise self.target.refused(None) from None

    def while_frozen(self):
        """The tree stands still: what has to follow it is complete now."""
        for folder in self.options.sync:
            self.synchronise(folder)
        if self.options.move_address:
            self.move_address()

    def synchronise(self, folder):
        path = os.path.join(os.path.abspath(folder), "")
        # The receiving side makes the folder where it is missing.
        done = subprocess.run(
            ["rsync", "-aHAX", "--delete", "--mkpath", "-e", shlex.join(self.host.ssh), path, f"{self.host.name}:{path}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Failed(f"cannot bring {path} to {self.host.name}: {done.stderr.decode(errors='replace').strip()}")

    def move_address(self):
        """Takes the address off here and puts it on there. Undone if the migration fails."""
        move = address_move(self.options.move_address, self.arrival.path)
        address, device = move["address"], move["device"]
        run_or_fail(["ip", "address", "del", address, "dev", device], f"take {address} off {device}")
        self.undo.append(lambda: run_quietly(f"ip address add {shlex.quote(address)} dev {move['device']}\n" + SHOW % move))
        put = f"ip address add {shlex.quote(address)} dev {device}"
        self.undo.append(lambda: self.host.ask(f"ip address del {shlex.quote(address)} dev {move['device']}\nnft delete table inet {move['table']}"))
        self.arrival.does(HIDE % move + f"{put} nodad 2> /dev/null || {put}")

    def decide(self):
        """The one message."""
        line = self.wait_for_parked()
        if not line.startswith("parked "):
            raise self.target.refused(line)
        self.mark("parked")
        if self.service:
            self.spool.keep()
        # First there: where a state is found here, the folder is there.
        self.is_kept = True
        if not self.arrival.keep():
            raise self.target.refused(None)
        self.write_state()
        fifo = os.path.join(self.state, "orders")
        os.mkfifo(fifo, 0o600)
        self.source.tell("keep " + fifo)
        if self.source.lines.next(30.0) != "kept":
            raise Failed(f"crcheckpoint does not hold the tree any more: {self.source.failure()}")
        # From here on the tree stays stopped whatever becomes of this process, and an end from outside has to wait.
        ignore_ends()
        try:
            self.target.tell("go")
            answer = self.target.lines.next(self.options.answer_within) or ""
        except OSError:
            answer = ""
        if re.fullmatch(r"running \d+", answer):
            return answer.split()[1]
        if answer.startswith("failed "):
            raise self.target.refused(answer)
        raise Undecided()

    def wait_for_parked(self):
        """Asks again and again, so that the other side knows that we are there."""
        if self.parked:
            return self.parked
        deadline = time.monotonic() + self.options.answer_within
        while True:
            line = self.target.lines.next(PING)
            if line is not None:
                return line
            if self.target.process.poll() is not None or time.monotonic() > deadline:
                raise self.target.refused(None)

    def write_state(self):
        self.state = tempfile.mkdtemp(prefix=f"migration.{self.options.pid}.", dir=state_folder())
        state = {
            "pid": self.options.pid, "host": self.host.name, "ssh": self.host.ssh, "arrival": self.arrival.path, "boot": self.arrival.boot,
            "keeper": self.source.process.pid, "keeper_start": start_time(self.source.process.pid), "move_address": self.options.move_address,
            "untrack": self.rounds.untracking if self.rounds else None, "image": self.late_image if self.service else None,
        }
        path = os.path.join(self.state, "state.json")
        with open(path + ".new", "w") as file:
            json.dump(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(path + ".new", path)

    # MARK: The whole

    def run(self):
        for folder in self.options.sync:
            self.mark(f"bringing {folder}")
            self.synchronise(folder)
        try:
            self.arrival = Arrival(self.host)
            if self.options.rounds:
                self.spool = Spool(self.options.spool, self.options.pid)
                self.rounds = Rounds(self.options, self.arrival, self.spool, self.say)
                self.rounds.run()
                # What changed meanwhile, so that little is left for the stop.
                for folder in self.options.sync:
                    self.synchronise(folder)
            if self.options.lazy:
                self.spool = self.spool or Spool(self.options.spool, self.options.pid)
                self.service = PageService(self.host, self.arrival, self.late_image, self.options.bandwidth)
            self.target = Target(self.options, self.host, self.arrival, self.rounds is not None, self.service is not None)
            self.target.await_ready()
            self.source = Source(self.options, self.rounds and self.rounds.last, self.late_image if self.service else None)
            self.mark("freezing")
            if self.service:
                self.save_image()
            else:
                self.send_image()
            root = self.decide()
        except Undecided:
            return self.settle()
        except OSError as error:
            self.go_on()
            raise Failed(f"{error}; the tree goes on here") from error
        except BaseException:
            self.go_on()
            raise
        return self.moved(root)

    def go_on(self):
        """Lets the tree go on here. Nothing runs at the other host: it was not told to go, or it said that it failed."""
        ignore_ends()
        if self.source:
            self.source.tell("release")
            self.source.orders.close()
            if self.state:
                order(self.state, "release")
            self.source.wait(30)
        if self.target:
            self.target.hang_up()
        for step in reversed(self.undo):
            step()
        if self.rounds:
            self.rounds.untrack()
        self.forget()

    def settle(self):
        """The answer to `go` is unknown: asks until the other host tells what became of it."""
        self.say(f"the answer of {self.host.name} did not arrive: asking again")
        outcome = resolve(self.state, self.options.resolve_for)
        if outcome.startswith("running"):
            self.source.wait(60)
            return self.moved(outcome.split()[1])
        if outcome == "failed":
            if self.rounds:
                self.rounds.untrack()
            self.forget()
            raise Failed(f"{self.host.name} did not start the tree; it goes on here")
        if self.spool and not self.service:
            self.spool.remove()
        print(
            f"crmigrate: undecided: {self.host.name} was told to go, and cannot be asked whether it did; the tree of {self.options.pid} stays stopped here (crmigrate --resolve {self.state} asks again)",
            file=sys.stderr)
        return 5

    def moved(self, root):
        if self.options.move_address:
            show = SHOW % address_move(self.options.move_address, self.arrival.path)
            try:
                self.arrival.does(show)
            except Failed:
                self.host.ask(show)
        self.mark("running there")
        if self.source.is_alive():
            self.source.tell("moved")
            order(self.state, "moved")
            answer = self.source.lines.next(60.0)
            if answer != "killed":
                self.source.wait(60)
        self.mark("ended here")
        if self.service:
            status = self.await_pages()
            if status != 0:
                return status
        self.forget()
        self.tell(self.summary(int(root)))
        return 0

    def await_pages(self):
        """The tree runs there, and pages of it are missing. Gives an exit status."""
        with open(os.path.join(self.state, "state.json")) as file:
            state = json.load(file)

        def leave(number, _):
            raise Failed(f"interrupted by {signal.Signals(number).name}; the tree runs on {self.host.name}: {undecided(self.state, state)}", 5)

        # Of the FIFOs nothing is held open from here on but by those that use them.
        self.arrival.end()
        take_ends(leave)
        is_done, self.late_bytes = self.service.wait()
        take_ends(signal.SIG_IGN)
        if not is_done:
            self.say(f"the connection that pages go over is lost: asking {self.host.name}")
            outcome = pages_there(state, self.options.resolve_for)
            if not outcome:
                print(f"crmigrate: undecided: {undecided(self.state, state)}", file=sys.stderr)
                return 5
            if outcome == "ended":
                self.spool = None
                sentence = ended_there(state)
                self.forget()
                for line in self.words_there:
                    print(f"crmigrate: {self.host.name}: {line}", file=sys.stderr)
                raise Failed(sentence, 6)
        self.mark("pages there")
        return 0

    def forget(self):
        """Nothing of the migration is needed any more, here and there."""
        if self.spool:
            self.spool.remove()
        if self.service:
            self.service.end()
        if self.arrival:
            self.arrival.end()
        if self.state:
            shutil.rmtree(self.state, ignore_errors=True)
            self.state = None
        if self.is_kept:
            self.words_there = remove(self.host, self.arrival.path)
            self.is_kept = False

    # MARK: What it took

    def summary(self, root):
        at = dict(self.marks)
        there = at["running there"]
        frozen = self.frozen_at(at)
        sent = at.get("sent", there)
        rounds = self.rounds.summary() if self.rounds else []
        late = {}
        if self.service:
            seconds = at["pages there"] - there
            late = {"late_bytes": self.late_bytes, "late_s": round(seconds, 3)}
        return {
            "host": self.host.name, "pid": root, "rounds": rounds, "bytes": self.bytes, "total_bytes": self.bytes + sum(one["bytes"] for one in rounds),
            "stopped_s": round(there - frozen, 3), "bytes_per_s": int(self.bytes / max(sent - at.get("frozen", self.began), 1e-6)) if not late else None,
            "total_s": round(at["ended here"] - self.began, 3), "stages": {name: round(when - self.began, 3) for name, when in self.marks}, **late,
            "notices": (self.rounds.notices if self.rounds else []) + self.source.notices() + [f"{self.host.name}: {line}" for line in self.words_there],
        }

    def frozen_at(self, at):
        """When the tree was stopped here: crcheckpoint tells for how long, up to its end."""
        seconds = self.source.stopped_seconds()
        return at.get("frozen", self.began) if seconds is None else at["ended here"] - seconds

    def tell(self, summary):
        if self.options.json:
            print(json.dumps(summary))
            return
        for line in summary["notices"]:
            print(f"crmigrate: {line}", file=sys.stderr)
        begin = f"the tree of {self.options.pid} runs on {summary['host']}, its root there is {summary['pid']}"
        if self.service:
            print(f"{begin}: it stood still for {summary['stopped_s']} s, and the last of its pages came {summary['late_s']} s after it ran there")
            return
        before = ""
        if summary["rounds"]:
            count = len(summary["rounds"])
            before = f"{summary['total_bytes'] - summary['bytes']} bytes in {count} round{'s' if count > 1 else ''} while it ran, "
        print(
            f"{begin}: {before}{summary['bytes']} bytes at"
            f" {summary['bytes_per_s'] >> 20} MiB/s while it stood still, for {summary['stopped_s']} s")


def ignore_ends():
    """Lets no signal from outside interrupt what follows."""
    take_ends(signal.SIG_IGN)


def take_ends(handler):
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, handler)
