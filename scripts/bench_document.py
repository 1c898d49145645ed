"""The text around the tables of scripts/bench: with --markdown they make docs/benchmarks.md, whole."""

import datetime
import os
import shlex
import subprocess
import sys

HEAD = """\
# Benchmarks

<!-- The output of one run of `{command}`. Do not edit: run it again, and write its output here. -->

```sh
scripts/bench                                                   # builds, measures everything, prints the tables
scripts/bench --rounds 3 --only '1 GiB;sleep' --directory /dev/shm
scripts/bench --markdown > docs/benchmarks.md                   # this page
```

Each row is one tree. Each round starts the tree anew, measures the yardstick, checkpoints with `--kill`, restarts in
a pid namespace, and lets the tree check itself. Figures are medians of the rounds.

| column | meaning |
|---|---|
| dump | from the start of `crcheckpoint --kill` to its end, with the image synced to disk |
| stopped | how long the tree stood still, as `crcheckpoint --json` reports it, from the beginning of the freeze |
| restart | from the start of `crrestart --pidns --detach` to its end: the tree runs |
| creation | the stage of the restart that makes the tasks |
| / clone3 | creation, divided by the time of a program that makes as many tasks and does nothing else |
| / yardstick | the time before it, divided by what the machine itself needs, measured in the same round |
| image | size of the file; `/ memory`: divided by the memory of the tree |

The yardsticks are the least that any tool has to do:

- dump of memory: `process_vm_readv` of the same bytes into a new, synced file;
- restart of memory: reading that file into fresh memory;
- restart of processes or threads: creating the same number of bare ones, by `fork` or `pthread_create`.

Memory is touched before anything is timed: a virtual machine that gave memory back to its host would measure the
host. Memory is random and in pages of 4 KiB, the slow case. Idle tasks wait in `futex`. What was tried for speed, and
what it gave, is in [performance.md](performance.md).

## This run

{date}, commit {commit}: {cores} cores, {memory} GiB, Linux {kernel}, {swift}, images on {filesystem}, medians of {rounds}, load
average {load} at the beginning. `{command}`

## Checkpoint and restart
"""

CALLS = """
## How exactly interrupted calls go on

How much longer than the 4 s it asked for a call lasts, by the tree's own monotonic clock: undisturbed, which is what
the kernel itself adds; checkpointed after one second and left running; ended there and restarted; and both without
CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN. Beside each figure stands the source of the remaining time in the image; timers
are asked for what they have left. `poll`, `select` and `epoll_wait` may by the kernel's rules be up to a thousandth
late: 4 ms here. The last sleep, as the scheduler tells it, is up to some milliseconds off on a busy machine, always
to the long side.
"""

CONNECTIONS = """
## TCP connections

A process has this many established connections with a process outside of the tree. `--kill` locks them while the tree is a file.
"""


def output(*command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def command_line():
    return "scripts/bench " + shlex.join(sys.argv[1:])


def commit(root):
    """The commit that is measured. Documents do not count as changes: this page is being written."""
    name = output("git", "-C", root, "log", "-1", "--format=%h") or "unknown"
    changed = output("git", "-C", root, "status", "--porcelain", "--", "Sources", "Tests", "scripts", "Package.swift")
    return name + (" with changes" if changed else "")


def head(rounds, directory):
    """The page up to its first table."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    swift = output("swift", "--version").partition("Swift version ")[2].split()
    with open("/proc/meminfo") as lines:
        kibibytes = int(lines.readline().split()[1])
    return HEAD.format(
        command=command_line(), date=datetime.date.today().isoformat(),
        commit=commit(root),
        cores=os.cpu_count(), memory=round(kibibytes / (1 << 20)), kernel=os.uname().release,
        swift="Swift " + swift[0] if swift else "Swift of an unknown version",
        filesystem=output("stat", "-f", "-c", "%T", directory) or "an unknown file system",
        rounds="one round" if rounds == 1 else f"{rounds} rounds", load="%.1f" % os.getloadavg()[0])


def foot(earliest):
    """The last lines: `earliest` is how much longer than asked the shortest wait of the run lasted, microseconds."""
    lines = []
    if earliest is not None:
        text = "No wait ended early" if earliest >= 0 else "Waits ended early"
        lines.append(f"{text}: the shortest lasted {earliest:+.0f} us.")
    lines.append("Load average at the end: %.1f." % os.getloadavg()[0])
    return "\n" + " ".join(lines)
