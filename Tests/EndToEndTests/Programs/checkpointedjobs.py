"""Runs a job under scripts/crjob that is preempted twice and whose node "dies" once.

    checkpointedjobs.py BINARIES DIRECTORY [UID]

UID: an ordinary user that runs it. Ends with 0 and the line "OK" if the result is that of an undisturbed run.
"""

import os
import signal
import subprocess
import sys
import time

binaries, directory, *user = sys.argv[1:]
repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
crjob = os.path.join(repository, "scripts/crjob")
environment = dict(os.environ, CRCHECKPOINT=binaries + "/crcheckpoint", CRRESTART=binaries + "/crrestart", HOME=directory)
identity = ["setpriv", f"--reuid={user[0]}", f"--regid={user[0]}", "--clear-groups", "--inh-caps=-all"] if user else []

# A shell with a child: numbers go to a file that stays open, their sum through a pipe.
JOB = f"""
/usr/bin/python3 -c '
import os, time
out = open("{directory}/numbers", "a", buffering=1)
for number in range(400):
    out.write(str(number) + chr(10))
    print(number, flush=True)
    while number == 300 and not os.path.exists("{directory}/go"): time.sleep(0.005)
    time.sleep(0.004)
' | awk '{{ sum += $1 }} END {{ print sum; exit 7 }}' > {directory}/sum
exit ${{PIPESTATUS[1]}}
"""


def read(name):
    try:
        with open(os.path.join(directory, name)) as file:
            return file.read()
    except OSError:
        return ""


def wait_for(question, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}\n{read('log')}")
        time.sleep(0.01)


def begin():
    log = open(directory + "/log", "a")
    return subprocess.Popen(
        [*identity, "/usr/bin/python3", crjob, "run", "--dir", directory + "/job", "--every", "0.4s", "--", "bash", "-c", JOB],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True)


def lines():
    return read("numbers").count("\n")


def members():
    """All processes of the job, crjob among them."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(entry) != os.getpid():
                with open(f"/proc/{entry}/environ", "rb") as text:
                    if ("HOME=" + directory + "\0").encode() in text.read() + b"\0":
                        found.append(int(entry))
        except OSError:
            pass
    return found


def images():
    return [name for name in os.listdir(directory + "/job") if name.endswith(".img")] if os.path.isdir(directory + "/job") else []


open(directory + "/log", "w").close()
if user:
    for path in (directory, directory + "/log"):
        os.chown(path, int(user[0]), int(user[0]))
for round_, number in enumerate((signal.SIGTERM, signal.SIGUSR1)):
    before = lines()
    job = begin()
    wait_for(lambda: lines() > before + 20, "the job works")
    job.send_signal(number)
    assert job.wait(60) == 75, f"{job.returncode}\n{read('log')}"
    wait_for(lambda: not members(), "nothing runs after a preemption")
    assert images(), "there is no image"
# The node dies while the job runs: everything ends without a word.
job = begin()
before = lines()
wait_for(lambda: lines() > before + 5, "the job works")
newest = max(images())
wait_for(lambda: max(images()) > newest and lines() > before + 20, "an image of its own accord")
for _ in range(20):
    for pid in members():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    if not members():
        break
    time.sleep(0.05)
job.wait(30)
with open(directory + "/go", "w"):
    pass
job = begin()
assert job.wait(60) == 7, f"{job.returncode}\n{read('log')}"
assert read("numbers") == "".join(f"{number}\n" for number in range(400)), "the numbers are not those of an undisturbed run"
assert read("sum") == f"{sum(range(400))}\n", read("sum")
assert read("log").count("goes on from") == 3 and not images(), read("log")
print("OK")
