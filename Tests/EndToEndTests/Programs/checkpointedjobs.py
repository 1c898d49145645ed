"""Runs a job under scripts/crjob that is preempted twice and whose node "dies" once.

    checkpointedjobs.py BINARIES DIRECTORY [UID]

UID: an ordinary user that runs it. Ends with 0 and the line "OK" if the result is that of an undisturbed run.
"""

import os
import re
import signal
import subprocess
import sys
import time

import events

binaries, directory, *user = sys.argv[1:]
folder = events.Folder(directory, details=lambda: folder.read("log"))
read, wait_for = folder.read, folder.wait_for
repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
crjob = os.path.join(repository, "scripts/crjob")
environment = dict(os.environ, CRCHECKPOINT=binaries + "/crcheckpoint", CRRESTART=binaries + "/crrestart", CRIMAGE=binaries + "/crimage", HOME=directory)
identity = ["setpriv", f"--reuid={user[0]}", f"--regid={user[0]}", "--clear-groups", "--inh-caps=-all"] if user else []

# A shell with a child: numbers go to a file that stays open, their sum through a pipe.
JOB = f"""
/usr/bin/python3 -c '
import os, time
constant = os.urandom(8 << 20)
out = open("{directory}/numbers", "a", buffering=1)
for number in range(400):
    out.write(str(number) + chr(10))
    print(number, flush=True)
    while number == 300 and not os.path.exists("{directory}/go"): time.sleep(0.005)
    time.sleep(0.004)
' | awk '{{ sum += $1 }} END {{ print sum; exit 7 }}' > {directory}/sum
exit ${{PIPESTATUS[1]}}
"""


def begin(*options, job=JOB):
    log = open(directory + "/log", "a")
    return subprocess.Popen(
        [*identity, "/usr/bin/python3", crjob, "run", "--dir", directory + "/job", "--every", "0.4s", "--keep", "2", *options, "--", "bash", "-c", job],
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


def image_tool(*words):
    return subprocess.run([binaries + "/crimage", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)


def needs_others(name):
    """Whether an image leaves out what others hold."""
    return re.search(r"(?m)^needs\b", image_tool("info", f"{directory}/job/{name}").stdout) is not None


def size(name):
    """Bytes of an image; 0: it is gone."""
    try:
        return os.path.getsize(f"{directory}/job/{name}")
    except OSError:
        return 0


def images():
    return [name for name in os.listdir(directory + "/job") if name.endswith(".img")] if os.path.isdir(directory + "/job") else []


open(directory + "/log", "w").close()
with open(directory + "/key", "wb") as file:
    file.write(os.urandom(32))
if user:
    for name in ("", "/log", "/key"):
        os.chown(directory + name, int(user[0]), int(user[0]))
# A look makes no folder.
listed = subprocess.run(["/usr/bin/python3", crjob, "list", "--dir", directory + "/job"], stdout=subprocess.PIPE, check=True)
assert listed.stdout == b"" and not os.path.exists(directory + "/job")
for number, options in ((signal.SIGTERM, []), (signal.SIGUSR1, ["--live", "--compress", "lz4"])):
    before = lines()
    job = begin(*options)
    wait_for(lambda: lines() > before + 20, "the job works")
    job.send_signal(number)
    assert job.wait(60) == 75, f"{job.returncode}\n{read('log')}"
    wait_for(lambda: not members(), "nothing runs after a preemption")
    assert images(), "there is no image"
# Images hold what has changed, and older ones are folded into one; each that is left can be restarted.
job = begin()
before = lines()
wait_for(lambda: lines() > before + 5, "the job works")
first = min(images())
wait_for(lambda: any(0 < size(name) < 8 << 20 and needs_others(name) for name in images()), "an image with what has changed")
wait_for(lambda: min(images()) > first and lines() > 300, "the oldest images are folded")
assert len(images()) <= 5, images()
# The node dies while the job runs: everything ends without a word.
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
for name in sorted(images()):
    assert image_tool("verify", f"{directory}/job/{name}").returncode == 0, name
oldest = min(images())
assert not needs_others(oldest), oldest
# The newest image is damaged: the job goes on from the one before, and the row goes on from there.
with open(f"{directory}/job/{max(images())}", "r+b") as file:
    file.truncate(5000)
damaged = max(images())
job = begin()
wait_for(lambda: os.path.exists(f"{directory}/job/{damaged}.refused"), "the damaged image is set aside")
with open(directory + "/go", "w"):
    pass
assert job.wait(60) == 7, f"{job.returncode}\n{read('log')}"
assert read("numbers") == "".join(f"{number}\n" for number in range(400)), "the numbers are not those of an undisturbed run"
assert read("sum") == f"{sum(range(400))}\n", read("sum")
assert read("log").count("goes on from") == 3 and not images() and not os.path.exists(f"{directory}/job/{damaged}.refused"), read("log")
# Sealed images are complete, each by itself, and are of no use without the key.
job = begin("--encrypt", directory + "/key", job=f"until [ -e {directory}/end ]; do sleep 0.05; done; exit 3")
wait_for(lambda: len(images()) == 2 and min(images()) > "000002.img", "sealed images come and go")
job.send_signal(signal.SIGTERM)
assert job.wait(60) == 75, f"{job.returncode}\n{read('log')}"
for name in images():
    assert image_tool("verify", "--decrypt", directory + "/key", f"{directory}/job/{name}").returncode == 0, name
    assert image_tool("verify", f"{directory}/job/{name}").returncode != 0, name
with open(directory + "/end", "w"):
    pass
job = begin("--encrypt", directory + "/key", job="exit 9")
assert job.wait(60) == 3, f"{job.returncode}\n{read('log')}"
print("OK")
