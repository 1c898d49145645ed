"""The folder of a migration at the other host."""

import os
import shlex
import subprocess
import time

from migration.failures import Failed
from migration.hosts import hang_up, last_words
from migration.lines import Lines, Pace, write_all

# The shell there lives as long as the migration, carries out what has to be done while the tree stands still, without a new
# connection, and removes the folder when its connection ends, for whatever reason. "keep" is said before the other host is told
# to go: from then on the outcome has to stay for those who ask later, and the rounds are loaded and needed no more.
SCRIPT = """umask 077
s="${XDG_STATE_HOME:-$HOME/.local/state}/treerestore"
mkdir -p "$s" && d=$(mktemp -d "$s/arrival.XXXXXX") && mkdir "$d/rounds" || exit 1
echo "arrival $d $(cat /proc/sys/kernel/random/boot_id)"
kept=
while read -r order; do
  case "$order" in
  keep)
    kept=1
    echo kept
    rm -rf "$d/rounds"
    ;;
  *)
    eval "$order" > /dev/null 2> "$d/words" < /dev/null
    echo "done $? $(tr '\\n' ' ' < "$d/words")"
    ;;
  esac
done
[ "$kept" ] || for attempt in 1 2 3; do rm -rf "$d" && break; sleep 1; done
"""


class Arrival:
    def __init__(self, host):
        self.host = host
        # A session of its own: Ctrl-C is for crmigrate alone.
        self.keeper = subprocess.Popen(
            host.command(SCRIPT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.lines = Lines(self.keeper.stdout.fileno())
        line = self.lines.next(60.0)
        if line is None or not line.startswith("arrival "):
            words = last_words(self.keeper) or line or "ssh gave no answer"
            self.end()
            raise Failed(f"cannot begin on {host.name}: {words}", 3)
        self.path, _, self.boot = line.removeprefix("arrival ").rpartition(" ")
        self.rounds = self.path + "/rounds"

    def put(self, path, limit):
        """Copies a file into the folder of rounds, where it gets its name when it is there in full. Gives the seconds from when the connection was there."""
        size = os.path.getsize(path)
        there = shlex.quote(f"{self.rounds}/{os.path.basename(path)}")
        script = f'umask 077; echo ready; cat > {there}.part && [ "$(wc -c < {there}.part)" -eq {size} ] && mv {there}.part {there}'
        copy = subprocess.Popen(self.host.command(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            Lines(copy.stdout.fileno()).next(60.0)
            pace = Pace(limit)
            with open(path, "rb", buffering=0) as source:
                while piece := source.read(pace.piece):
                    write_all(copy.stdin.fileno(), piece)
                    pace.sent(len(piece))
            copy.stdin.close()
            copy.wait()
        except OSError:
            pass
        finally:
            if copy.poll() is None:
                copy.terminate()
        if copy.wait() != 0:
            raise Failed(f"cannot copy a round to {self.host.name}: {last_words(copy) or f'exit status {copy.returncode}'}")
        return time.monotonic() - pace.begin

    def keep(self):
        """From here on the outcome stays there until it is removed by name. False: the other host gives no answer."""
        try:
            write_all(self.keeper.stdin.fileno(), b"keep\n")
        except OSError:
            return False
        return self.lines.next(30.0) == "kept"

    def does(self, script):
        """Carries out a script of commands, one a line, over the connection that is there. Throws: the last one failed, or there is no answer."""
        try:
            write_all(self.keeper.stdin.fileno(), "; ".join(script.strip().splitlines()).encode() + b"\n")
        except OSError:
            pass
        answer = (self.lines.next(30.0) or "").split(" ", 2)
        if answer[:2] != ["done", "0"]:
            raise Failed(f"{self.host.name} says \"{answer[2].strip()}\"" if len(answer) > 2 else f"the connection to {self.host.name} is lost")

    def end(self):
        """Without `keep` the folder goes."""
        hang_up(self.keeper)


def remove(host, path):
    """Removes the folder after `keep`, when the outcome is known here. Gives what crrestart has said there."""
    folder = shlex.quote(path)
    return (host.ask(f"cat {folder}/errors 2> /dev/null; rm -rf {folder}", 10.0) or "").strip().splitlines()
