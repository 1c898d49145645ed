"""The second table of scripts/bench: how much longer than asked an interrupted call lasts.

Each call sleeps 4 s in a tree of its own (workload `calls`). After one second the tree is checkpointed: left
running, or ended and restarted; and both without the right to use BPF. Trees begin 0.4 s
apart, so that they do not wake up together. Medians in microseconds; the undisturbed column is what the
kernel itself adds. Beside a figure stands the source of the remaining time that the image names; timers are asked
for what they have left.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time

ASKED = 4_000_000
CALLS = [
    "nanosleep", "nanosleep-rest", "clock-tai", "poll", "futex", "futex-bitset", "futex-realtime", "select", "ppoll",
    "select-constant", "sigtimedwait", "semtimedop", "epoll_wait", "epoll_pwait2", "read-timerfd", "alarm",
    "interval-timer", "posix-timer",
]
WITHOUT_BPF = ["setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon"]
MODES = [("undisturbed", None, []), ("left running", [], []), ("restarted", ["--kill"], []),
         ("left running without BPF", [], WITHOUT_BPF), ("restarted without BPF", ["--kill", "--unchecked"], WITHOUT_BPF)]


def source(bench, image, name):
    """The source of this call's remaining time, as the image names it."""
    shown = subprocess.run(bench.tool("crimage", "json", image), stdout=subprocess.PIPE, check=True)
    for thread in json.loads(shown.stdout)["threads"]:
        if bytes_of(thread.get("name", "")) == name[:15].encode():
            part = thread.get("restart_block") or thread.get("timeout") or {}
            return part.get("source", "").lower().replace("_", " ")
    return ""


def bytes_of(text):
    import base64
    return base64.b64decode(text)


def one(bench, name, mode, results):
    _, afterwards, prefix = mode
    directory = os.path.join(bench.directory, f"call-{name}")
    subprocess.run(["rm", "-rf", directory], check=True)
    os.mkdir(directory)
    tree = subprocess.Popen(
        [bench.workloads, "calls", directory, "restartable", "event", name], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, start_new_session=True)
    while not os.path.exists(os.path.join(directory, "ready")):
        time.sleep(0.01)
    time.sleep(0.9)
    said = ""
    if afterwards is not None:
        image = os.path.join(directory, "image")
        done = subprocess.run(
            prefix + bench.tool("crcheckpoint", "--tree", str(tree.pid), "-o", image, *afterwards),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode:
            print(f"bench: {name}, {mode[0]}: {done.stderr.decode(errors='replace')}", file=sys.stderr, flush=True)
            tree.kill()
            tree.wait()
            return
        said = source(bench, image, name)
        if afterwards:
            tree.wait()
            subprocess.run(
                bench.tool("crrestart", "--pidns", image), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=True)
    tree.wait()
    with open(os.path.join(directory, "calls")) as lines:
        words = lines.read().split()
    results.setdefault((name, mode[0]), []).append((int(words[6]) - ASKED, said))


def measure(bench, rounds):
    """Prints the table. Gives how much longer than asked the shortest wait lasted, microseconds."""
    results = {}
    for _ in range(rounds):
        for mode in MODES:
            threads = [threading.Thread(target=one, args=(bench, name, mode, results)) for name in CALLS]
            for thread in threads:
                thread.start()
                time.sleep(0.4)
            for thread in threads:
                thread.join()
    print("| call | " + " | ".join(mode[0] for mode in MODES) + " |")
    print("|---" * (len(MODES) + 1) + "|")
    for name in CALLS:
        cells = []
        for mode in MODES:
            values = results.get((name, mode[0]))
            if not values:
                cells.append("–")
                continue
            cells.append(f"{statistics.median(value for value, _ in values):+.0f} us {values[-1][1]}".strip())
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
    return min((value for values in results.values() for value, _ in values), default=None)
