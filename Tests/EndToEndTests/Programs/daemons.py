"""Adopts daemons and jobs that programs of the distribution leave behind, and ends them in the end.

    daemons.py DIRECTORY

Each of them is a `sleep`. The file `ready` tells how many there are. When `finish` is there each must still be
a child, with the session and group it had.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

directory = sys.argv[1]
if ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) != 0:  # PR_SET_CHILD_SUBREAPER
    sys.exit("cannot adopt orphans")


def relatives(pid):
    return os.getpgid(pid), os.getsid(pid)


def state(pid):
    with open(f"/proc/{pid}/stat") as stat:
        text = stat.read()
    return text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()


def children():
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(word) for word in file.read().split()]


def run(program):
    subprocess.run(program, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def shell(text):
    run(["bash", "-c", text])


pid_file = os.path.join(directory, "daemon.pid")
run(
    ["/usr/sbin/start-stop-daemon", "--start", "--background", "--make-pidfile", "--pidfile", pid_file]
    + ["--startas", "/bin/sleep", "--", "1001"]
)
run(["setsid", "--fork", "sleep", "1002"])
# A shell that has exited, in its own session and in ours.
run(["setsid", "--wait", "bash", "-c", "sleep 1003 & nohup sleep 1004 & exit 0"])
shell("nohup bash -c 'sleep 1005 & exit 0' & wait")
# Pipelines whose leader has exited, and then the shell: with job control in groups of their own.
shell("set -m; true | sleep 1006 & sleep 0.2; exit 0")
shell("true | sleep 1007 & sleep 0.2; exit 0")
run(["setsid", "--wait", "bash", "-c", "set -m; true | sleep 1008 | sleep 1009 & sleep 0.2; exit 0"])
# A zombie that leads the session of a daemon.
zombie = os.fork()
if zombie == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "1010"])
    os._exit(3)

wanted = 10
while len([pid for pid in children() if state(pid)[0] == "sleep"]) < wanted or state(zombie)[1][0] != "Z":
    time.sleep(0.01)
before = {pid: relatives(pid) for pid in children() if pid != zombie}
with open(os.path.join(directory, "ready.new"), "w") as ready:
    ready.write(f"{len(before)}\n")
os.rename(os.path.join(directory, "ready.new"), os.path.join(directory, "ready"))

while not os.path.exists(os.path.join(directory, "finish")):
    time.sleep(0.01)

after = {pid: relatives(pid) for pid in children() if pid != zombie}
assert after == before, f"{after} instead of {before}"
assert os.waitpid(zombie, 0) == (zombie, 3 << 8)
for pid in after:
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0) == (pid, signal.SIGTERM), pid
with open(os.path.join(directory, "result"), "w") as result:
    result.write("OK daemons\n")
