"""Pages that come late: the image stays here, and the other host asks for its parts (docs/protocol.md)."""

import os
import shlex
import signal
import subprocess
import sys
import time

from migration.failures import Failed
from migration.hosts import Host, last_words
from migration.lines import Lines, Pace, write_all
from migration.resolving import crrestart_lives, facts_there, put_address_back, root_lives

# The other host's ends of the two FIFOs are opened so that nothing waits for the other side, and are kept by the shell of the
# arrival until the tree runs there: a side that comes later does not take that for the end of the other.
MAKE_FIFOS = """mkfifo {folder}/asks {folder}/answers
exec 5<> {folder}/asks 6<> {folder}/answers"""
ENDS = "exec 7<> {folder}/asks {asks} 7>&- 7<> {folder}/answers {answers} 7>&-"
# The connection ends with the questions: what copies answers holds nothing of it open but its input.
COPY = ENDS + """
echo ready
exec 8<&0
cat <&8 >&4 2> /dev/null 3<&- 4>&- 8<&- &
exec cat <&3 3<&- 4>&- 8<&-
"""


def ends(folder):
    """What opens the ends of crrestart there: 5 to read answers, 6 to ask."""
    return ENDS.format(folder=shlex.quote(folder), asks=f"6> {shlex.quote(folder)}/asks", answers=f"5< {shlex.quote(folder)}/answers")


def serve(path, asks, answers, limit):
    """Reads an image for the other side until that is gone.

    Gives whether it has said that it has all pages, and the bytes that it was sent.
    """
    pace = Pace(limit)
    is_done = False
    with os.fdopen(asks, "rb", closefd=False) as questions:
        try:
            for question in questions:
                words = question.split()
                if words == [b"done"]:
                    is_done = True
                    continue
                answer = answer_to(words, path)
                write_all(answers, answer)
                pace.sent(len(answer))
        except OSError:
            pass
    return is_done, pace.bytes


def answer_to(words, path):
    try:
        with open(path, "rb", buffering=0) as image:
            if words == [b"size"]:
                return b"size %d\n" % os.fstat(image.fileno()).st_size
            if len(words) == 3 and words[0] == b"read":
                piece = os.pread(image.fileno(), min(int(words[2]), 1 << 20), int(words[1]))
                return b"bytes %d\n" % len(piece) + piece
    except (OSError, ValueError) as error:
        return f"failed {error}\n".encode()
    return b"failed there is no such question\n"


class PageService:
    """A process of its own that serves the image, over a connection of its own: it goes on if crmigrate is ended."""

    def __init__(self, host, arrival, path, limit):
        self.host = host
        arrival.does(MAKE_FIFOS.format(folder=shlex.quote(arrival.path)))
        folder = shlex.quote(arrival.path)
        self.connection = subprocess.Popen(
            host.command(COPY.format(folder=folder, asks=f"3< {folder}/asks", answers=f"4> {folder}/answers")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        line = Lines(self.connection.stdout.fileno()).next(60.0)
        if line != "ready":
            raise Failed(f"cannot begin on {host.name}: {last_words(self.connection) or line or 'ssh gave no answer'}", 3)
        report, result = os.pipe()
        sys.stdout.flush()
        self.process = os.fork()
        if self.process == 0:
            self.live(path, limit, result)
        os.close(result)
        self.result = Lines(report)
        self.connection.stdin.close()
        self.connection.stdout.close()

    def live(self, path, limit, result):
        """The life of that process. It holds nothing else open, so that the end of crmigrate is seen by all who wait for it."""
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            asks, answers = self.connection.stdout.fileno(), self.connection.stdin.fileno()
            null = os.open("/dev/null", os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2 and int(name) not in (asks, answers, result):
                    try:
                        os.close(int(name))
                    except OSError:
                        pass
            is_done, count = serve(path, asks, answers, limit)
            os.write(result, b"%d %d\n" % (is_done, count))
        except BaseException:
            os._exit(1)
        os._exit(0)

    def wait(self):
        """Until the other side is gone. Gives whether it has all pages, and the bytes that it was sent; None: this process was ended."""
        line = None
        while line is None and self.is_alive():
            line = self.result.next(1.0)
        line = line or self.result.next(0.1)
        is_done, count = (int(word) for word in line.split()) if line else (0, None)
        return bool(is_done), count

    def is_alive(self):
        if self.process is None:
            return False
        pid, _ = os.waitpid(self.process, os.WNOHANG)
        if pid:
            self.process = None
        return not pid

    def end(self):
        if self.is_alive():
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = None
        try:
            self.connection.wait(5)
        except subprocess.TimeoutExpired:
            self.connection.terminate()
            self.connection.wait()


def pages_there(state, seconds):
    """Asks what became of the pages of a tree that was told to run: "complete", "ended" (the tree there, because pages were missing), or ""
    while that cannot be told."""
    host = Host(state["host"], shlex.join(state["ssh"]))
    deadline = time.monotonic() + seconds
    while True:
        # In this order: without a process that could bring pages nothing changes any more.
        lives = crrestart_lives(host, state)
        facts = facts_there(host, state)
        if facts is not None:
            if facts["boot"] != state["boot"]:
                return "ended"
            if facts.get("pages") == "complete":
                return "complete"
            if not lives and facts.get("arrival") == "there":
                return "complete" if root_lives(facts) else "ended"
        if time.monotonic() > deadline:
            return ""
        time.sleep(1.0)


def ended_there(state):
    """The sentence about a tree that was ended there. Its address comes back."""
    if state["move_address"]:
        put_address_back(Host(state["host"], shlex.join(state["ssh"])), state)
    return (
        f"the tree of {state['pid']} was ended on {state['host']}, because pages were missing there when the connection was lost; nothing of it runs"
        f" (its image of that stop is here: crrestart --files rollback {shlex.quote(state['image'])} lets it go on from there)")


def undecided(folder, state):
    return (
        f"{state['host']} has not said that it has all pages of the tree of {state['pid']}: they are still coming, or the connection is lost"
        f" (crmigrate --resolve {folder} asks what became of it; {state['image']} is kept until then)")
