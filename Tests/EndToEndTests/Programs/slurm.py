"""Runs a job under Slurm with scripts/slurm/batch: preempted twice, and one of its nodes dies.

    slurm.py BINARIES DIRECTORY USER

One slurmctld and two slurmd on this machine. Ends with 0 and the line "OK" if the result is that of an undisturbed run.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys

import events

binaries, directory, user = sys.argv[1:]
repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
account = pwd.getpwnam(user)
daemons = {}
NODES = ("n1", "n2")


def free_ports(count):
    ends = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [end.getsockname()[1] for end in ends]
    for end in ends:
        end.close()
    return ports


def configure():
    ports = free_ports(3)
    host = socket.gethostname()
    with open(directory + "/slurm.conf", "w") as file:
        file.write(
            f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
StateSaveLocation={directory}/control
SlurmdSpoolDir={directory}/spool-%n
SlurmctldPort={ports[0]}
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd-%n.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MailProg=/bin/true
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
SchedulerType=sched/backfill
SlurmdTimeout=5
InactiveLimit=0
KillWait=5
SlurmctldParameters=preempt_send_user_signal
MinJobAge=300
MpiDefault=none
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF
""")
    for folder in ("control", "spool-n1", "spool-n2", "job"):
        os.makedirs(f"{directory}/{folder}")
    os.chown(directory + "/job", account.pw_uid, account.pw_gid)


def start(name):
    command = ["/usr/sbin/slurmctld", "-D"] if name == "slurmctld" else ["/usr/sbin/slurmd", "-D", "-N", name]
    daemons[name] = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=open(f"{directory}/{name}.out", "w"), stderr=subprocess.STDOUT, start_new_session=True)


environment = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": directory + "/slurm.conf", "CRCHECKPOINT": binaries + "/crcheckpoint",
    "CRRESTART": binaries + "/crrestart", "CRIMAGE": binaries + "/crimage", "CRJOB": repository + "/scripts/crjob", "CRJOB_DIR": directory + "/job/images", "CRJOB_EVERY": "0.5s",
    "HOME": directory + "/job"}


def slurm(*command):
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.decode()


def details():
    return f"{slurm('squeue', '--long')}{slurm('sinfo')}{read('job/log')}\n{read('slurmctld.log')[-3000:]}{read('slurmd-n1.log')[-2000:]}"


folder = events.Folder(directory, 60.0, details)
read, wait_for = folder.read, folder.wait_for


def submit(*options):
    answer = slurm("sbatch", "--parsable", *options)
    assert answer.strip().isdigit(), answer
    return answer.strip()


def state(job):
    return dict(
        word.partition("=")[::2] for word in slurm("scontrol", "--oneliner", "show", "job", job).split() if "=" in word)


def lines():
    return read("job/numbers").count("\n")


JOB = f"""
import os, time
out = open("{directory}/job/numbers", "a", buffering=1)
for number in range(600):
    out.write(str(number) + chr(10))
    while number == 500 and not os.path.exists("{directory}/job/go"): time.sleep(0.005)
    time.sleep(0.005)
print("sum", sum(range(600)))
"""


def run():
    configure()
    for name in ("slurmctld", *NODES):
        start(name)
    wait_for(lambda: slurm("sinfo", "--noheader", "--format=%T %D").split()[:2] == ["idle", "2"], "both nodes are idle")
    job = submit(
        f"--uid={user}", f"--gid={account.pw_gid}", "--partition=low", f"--output={directory}/job/log", f"--chdir={directory}/job",
        repository + "/scripts/slurm/batch", "/usr/bin/python3", "-c", JOB)
    for turn in range(2):
        before = lines()
        wait_for(lambda: lines() > before + 20, "the job works")
        # One job that takes both nodes, and another priority.
        urgent = submit("--partition=high", "--nodes=2", "--output=/dev/null", "--wrap=true")
        wait_for(lambda: state(urgent).get("JobState") == "COMPLETED", "the urgent job has run")
    before = lines()
    wait_for(lambda: lines() > before + 20, "the job works")
    # Its node dies: the daemon and everything that it started, in one instant as far as can be.
    node = state(job)["NodeList"]
    # The daemons first: they would tell the controller how the job ended.
    watchers = stepds(job)
    assert watchers, "no slurmstepd watches over the job"
    victims = [daemons[node].pid, *watchers]
    victims += [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and belongs(entry)]
    for pid in victims:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
    daemons[node].wait()
    slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    open(directory + "/job/go", "w").close()
    wait_for(lambda: state(job).get("JobState") in ("COMPLETED", "FAILED"), "the job ends")
    ended = state(job)
    assert ended["JobState"] == "COMPLETED" and ended["NodeList"] != node, ended
    assert read("job/numbers") == "".join(f"{number}\n" for number in range(600)), "the numbers are not those of an undisturbed run"
    assert f"sum {sum(range(600))}\n" in read("job/log"), read("job/log")
    assert read("job/log").count("goes on from") >= 2, read("job/log")


def stepds(job):
    """The daemons that watch over the steps of a job."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    if line.read().startswith(f"slurmstepd: [{job}.".encode()) and directory in os.readlink(f"/proc/{entry}/cwd") + read_environment(entry):
                        found.append(int(entry))
        except OSError:
            pass
    return found


def read_environment(pid):
    with open(f"/proc/{pid}/environ", errors="replace") as text:
        return text.read()


def belongs(pid):
    """Whether a process is of this test's jobs."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as text:
            return b"SLURM_JOB_ID=" in text.read() and os.stat(f"/proc/{pid}").st_uid == account.pw_uid
    except OSError:
        return False


try:
    run()
    print("OK")
finally:
    for daemon in daemons.values():
        daemon.kill()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and belongs(entry):
            os.kill(int(entry), signal.SIGKILL)
