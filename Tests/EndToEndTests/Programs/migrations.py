"""Moves trees between two hosts, which are network, mount and host-name namespaces joined by a bridge, each with an sshd.

    migrations.py BINARIES DIRECTORY SCENARIO

Ends with 0 and the line "OK" if exactly one copy ran in the end, and its result is right.
"""

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time

import events

binaries, directory, scenario = sys.argv[1:]
folder = events.Folder(directory)
read, wait_for = folder.read, folder.wait_for
repository = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
crmigrate = os.path.join(repository, "scripts/crmigrate")
crcheckpoint, crrestart = os.path.join(binaries, "crcheckpoint"), os.path.join(binaries, "crrestart")
started = []
USER = 54322


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout.decode()


# MARK: Hosts


class HostSpace:
    """A host: namespaces that a process holds, an address on the bridge, an sshd."""

    def __init__(self, name, number):
        self.name, self.address = name, f"10.93.7.{number}"
        self.folder = os.path.join(directory, name)
        os.makedirs(self.folder + "/state")
        os.makedirs(self.folder + "/files")
        shared = os.path.join(directory, "files")
        # One user more than this machine has.
        with open("/etc/passwd") as passwd, open(self.folder + "/passwd", "w") as longer:
            longer.write(f"{passwd.read()}mover:*:{USER}:{USER}::{self.folder}:/bin/bash\n")
        # What a command begins with that another user than root gives here, and the name of that user there.
        self.identity, self.login = [], ""
        script = f"mount --bind {self.folder}/files {shared} && mount --bind {self.folder}/passwd /etc/passwd && hostname {name} && ip link set lo up && echo up && exec sleep infinity"
        self.anchor = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(self.anchor)
        assert self.anchor.stdout.readline() == b"up\n"
        self.enter = ["nsenter", "-t", str(self.anchor.pid), "--net", "--mount", "--uts"]

    def plug_into(self, bridge):
        port, pid = f"v{self.name}", str(self.anchor.pid)
        bridge.call("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", f"/proc/{pid}/ns/net")
        bridge.call("ip", "link", "set", port, "master", "br0", "up")
        self.call("ip", "address", "add", self.address + "/24", "dev", "eth0")
        self.call("ip", "link", "set", "eth0", "up")
        self.port = port

    def call(self, *command):
        return run(*self.enter, *command)

    def start_sshd(self):
        for kind in ("host", "client"):
            if not os.path.exists(f"{directory}/{kind}-key"):
                run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{directory}/{kind}-key")
        os.makedirs("/run/sshd", exist_ok=True)
        with open(f"{self.folder}/sshd_config", "w") as config:
            config.write(
                f"ListenAddress {self.address}\nHostKey {directory}/host-key\nAuthorizedKeysFile {directory}/client-key.pub\nStrictModes no\n"
                f"PermitRootLogin yes\nUsePAM no\nPidFile none\nSetEnv XDG_STATE_HOME={self.folder}/state\nSubsystem sftp internal-sftp\n"
                "ClientAliveInterval 1\nClientAliveCountMax 2\n")
        started.append(subprocess.Popen(
            [*self.enter, "/usr/sbin/sshd", "-D", "-e", "-f", f"{self.folder}/sshd_config"], stdin=subprocess.DEVNULL,
            stderr=open(f"{self.folder}/sshd.log", "w")))
        wait_for(lambda: subprocess.run([*self.enter, "bash", "-c", f"exec 3<>/dev/tcp/{self.address}/22"], stderr=subprocess.DEVNULL, check=False).returncode == 0, "sshd")

    @property
    def ssh(self):
        return (f"ssh -i {directory}/client-key -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
                " -o ServerAliveInterval=1 -o ServerAliveCountMax=2 -o ConnectTimeout=2")

    def migrate(self, pid, other, *options):
        """Starts crmigrate on this host; its stages come on its standard error."""
        environment = dict(os.environ, XDG_STATE_HOME=self.folder + "/state")
        return subprocess.Popen(
            [*self.enter, *self.identity, "/usr/bin/python3", crmigrate, str(pid), "--to", self.login + other.address, "--ssh", self.ssh, "--crcheckpoint", crcheckpoint,
             "--crrestart", crrestart, *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)

    def moved(self, pid, other, *options):
        process = self.migrate(pid, other, *options)
        started.append(process)
        output, errors = process.communicate(timeout=200)
        assert process.returncode == 0, f"{process.returncode}: {output}{errors}"
        return output

    def resolve(self, folder):
        environment = dict(os.environ, XDG_STATE_HOME=self.folder + "/state")
        return subprocess.run(
            [*self.enter, "/usr/bin/python3", crmigrate, "--resolve", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=environment, text=True, check=False)


class Bridge:
    def __init__(self):
        self.anchor = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up && exec sleep infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        started.append(self.anchor)
        assert self.anchor.stdout.readline() == b"up\n"
        self.enter = ["nsenter", "-t", str(self.anchor.pid), "--net"]
        self.call("ip", "link", "set", "lo", "up")
        self.call("ip", "link", "add", "br0", "type", "bridge")
        self.call("ip", "link", "set", "br0", "up")
        self.call("ip", "address", "add", "10.93.7.1/24", "dev", "br0")

    def call(self, *command):
        return run(*self.enter, *command)

    def cut(self, host):
        self.call("ip", "link", "set", host.port, "down")

    def mend(self, host):
        self.call("ip", "link", "set", host.port, "up")


def hosts():
    os.makedirs(os.path.join(directory, "files"))
    bridge = Bridge()
    one, other = HostSpace("one", 11), HostSpace("two", 12)
    for host in (one, other):
        host.plug_into(bridge)
        host.start_sshd()
    return bridge, one, other


# MARK: Trees

COUNTER = """
import os, time
out = open(%r, "a", buffering=1)
number = 0
while not os.path.exists(%r):
    out.write("%%d\\n" %% number)
    print(number, flush=True)
    number += 1
    time.sleep(0.005)
out.write("end %%d\\n" %% number)
"""


def start_counter(host, before=""):
    """A program that writes 0, 1, 2, ... to a file. A second copy of it, or one that begins again, shows in the file."""
    return start(host, "/usr/bin/python3", "-c", before + COUNTER % (directory + "/numbers", directory + "/finish"))


def start(host, *command):
    process = subprocess.Popen(
        [*host.enter, *host.identity, "setsid", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
    started.append(process)
    wait_for(lambda: read("numbers").count("\n") > 3, "the counter counts")
    return counters()[0]


def start_pipeline(host):
    """The counter, whose numbers go through a pipeline of a shell. Gives the shell's number."""
    with open(directory + "/counter", "w") as file:
        file.write(COUNTER % (directory + "/numbers", directory + "/finish"))
    with open(directory + "/pipeline", "w") as file:
        file.write(f"/usr/bin/python3 -c \"$(cat {directory}/counter)\" | grep . | tee {directory}/copy | awk '{{ sum += $1 }} END {{ print sum }}' > {directory}/sum\n")
    counter = start(host, "bash", directory + "/pipeline")
    with open(f"/proc/{counter}/stat") as stat:
        return int(stat.read().rpartition(")")[2].split()[1])


def counters():
    """The host's numbers of living copies of the counter."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as line, open(f"/proc/{entry}/stat") as stat:
                    text = line.read()
                    is_counter = (directory + "/numbers").encode() in text and b"number += 1" in text
                    if is_counter and stat.read().rpartition(")")[2].split()[0] not in "ZX":
                        found.append(int(entry))
            except OSError:
                pass
    return found


def one_counts():
    """Exactly one copy is there, and it goes on."""
    wait_for(lambda: len(counters()) == 1, f"one copy: {counters()}")
    before = read("numbers").count("\n")
    wait_for(lambda: read("numbers").count("\n") > before + 3, "the copy goes on")
    return counters()[0]


def finish_counter():
    one_counts()
    open(directory + "/finish", "w").close()
    wait_for(lambda: "end" in read("numbers"), "the counter ends")
    numbers = read("numbers").splitlines()
    wanted = [str(number) for number in range(len(numbers) - 1)] + [f"end {len(numbers) - 1}"]
    assert numbers == wanted, f"numbers are missing or there twice: {[pair for pair in zip(numbers, wanted) if pair[0] != pair[1]][:5]}"
    wait_for(lambda: not counters(), "the counter has ended")


# MARK: Scenarios of --hold


class Held:
    """A command that is started with --hold."""

    def __init__(self, command, **options):
        self.orders, other = socket.socketpair()
        self.orders.settimeout(30)
        self.process = subprocess.Popen(command + ["--hold", str(other.fileno())], pass_fds=[other.fileno()], stderr=subprocess.PIPE, **options)
        other.close()
        self.lines = self.orders.makefile("r")

    def says(self, pattern):
        line = self.lines.readline()
        assert re.match(pattern, line), f"{line!r} is not {pattern!r}; {self.process.poll()}"
        return line.split()

    def told(self, text):
        self.orders.sendall(text.encode() + b"\n")

    def hang_up(self):
        self.lines.close()
        self.orders.close()

    def ends(self, status):
        errors = self.process.stderr.read().decode()
        assert self.process.wait(30) == status, f"{self.process.returncode} {errors}"
        return errors


class Here:
    enter = []
    identity = []


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] in "tT"


def held_checkpoint(pid, number):
    held = Held([crcheckpoint, "--tree", str(pid), "-o", f"{directory}/image{number}", "--progress", "none"], stdout=subprocess.DEVNULL)
    held.says("held 1 [0-9]+$")
    assert is_stopped(pid)
    return held


def scenario_hold():
    pid = start_counter(Here)
    held = held_checkpoint(pid, 1)
    held.told("ask\nwhat")
    held.says("held 1 ")
    held.says("unknown what")
    held.told("release")
    held.says("released")
    held.ends(0)
    one_counts()
    # The other side is gone: the tree goes on.
    held = held_checkpoint(pid, 2)
    held.hang_up()
    assert "EPIPE" in held.ends(1)
    one_counts()
    # A signal, too; a FIFO that is none is refused, and the hold goes on.
    held = held_checkpoint(pid, 3)
    held.told("keep /etc/passwd")
    held.says("failed .*EINVAL")
    os.kill(held.process.pid, signal.SIGTERM)
    held.says("failed .*EINTR")
    held.ends(1)
    one_counts()
    # crcheckpoint is killed: the tree goes on.
    held = held_checkpoint(pid, 4)
    held.process.kill()
    held.ends(-9)
    one_counts()
    # Kept: neither hanging up nor a signal lets it go on.
    held = held_checkpoint(pid, 5)
    os.mkfifo(directory + "/orders")
    held.told("keep " + directory + "/orders")
    held.says("kept")
    held.hang_up()
    os.kill(held.process.pid, signal.SIGTERM)
    time.sleep(0.3)
    assert is_stopped(pid) and held.process.poll() is None
    with open(directory + "/orders", "w") as orders:
        orders.write("kill\n")
    held.ends(0)
    wait_for(lambda: not counters(), "the tree has ended")
    # The restart: abort, hang up, killed, then go.
    restart = [crrestart, "--pidns", "--detach", "--progress", "none", "--outcome", directory + "/outcome"]
    for how in ("abort", "hang up", "kill", "go"):
        held = Held(restart + [directory + "/image5"], stdout=subprocess.DEVNULL)
        held.says("parked 1$")
        held.told("ask")
        held.says("parked 1$")
        lines = read("numbers")
        if how == "abort":
            held.told("abort")
            held.says("failed .*ECANCELED")
            held.ends(1)
        elif how == "hang up":
            held.hang_up()
            assert "EPIPE" in held.ends(1)
        elif how == "kill":
            held.process.kill()
            held.ends(-9)
        else:
            held.told("go")
            root = held.says("running [0-9]+$")[1]
            held.ends(0)
            outcome = read("outcome").split()
            with open("/proc/sys/kernel/random/boot_id") as boot, open(f"/proc/{root}/stat") as stat:
                assert outcome == ["running", root, stat.read().rpartition(")")[2].split()[19], boot.read().strip()], outcome
            continue
        wait_for(lambda: not counters(), f"nothing is left after {how}")
        assert read("numbers") == lines, f"it ran before {how}"
    finish_counter()


# MARK: Scenarios of crmigrate


def scenario_rules():
    """When the rounds end."""
    sys.path.insert(0, os.path.join(repository, "scripts"))
    sys.dont_write_bytecode = True
    from migration.rounds import SMALL, Round, is_enough

    def after(*sizes, most=10, max_stop_s=None, seconds=1.0):
        return is_enough([Round(size, seconds, seconds, 1.0) for size in sizes], most, max_stop_s)

    large = 100 * SMALL
    assert not after(large) and not after(large, large // 2)
    assert after(large, large // 2, most=2), "as many as were asked for"
    assert after(large, SMALL) and after(SMALL), "a small one"
    assert after(large, large * 4 // 5), "it has stopped shrinking"
    assert after(large, max_stop_s=3.0) and not after(large, max_stop_s=2.9), "twice the time of saving, and the time of sending"


def left_behind(*all_hosts):
    """What migrations have left at the hosts."""
    return [f"{host.name}: {name}" for host in all_hosts if os.path.isdir(host.folder + "/state/treerestore") for name in os.listdir(host.folder + "/state/treerestore")]


def scenario_back_and_forth():
    """A pipeline of Python, tee and awk moves ten times while it works, in all the ways that there are."""
    _, one, other = hosts()
    pid = start_pipeline(one)
    with open(directory + "/key", "wb") as file:
        file.write(os.urandom(32))
    ways = [[], ["--compress", "zstd"], ["--encrypt", directory + "/key"], ["--rounds", "3"], ["--rounds", "2", "--compress", "lz4"]]
    for number in range(10):
        here, there = (one, other) if number % 2 == 0 else (other, one)
        summary = json.loads(here.moved(pid, there, "--json", *ways[number // 2]))
        pid = summary["pid"]
        one_counts()
        assert summary["total_bytes"] > 100000 and summary["stopped_s"] > 0, summary
        assert bool(summary["rounds"]) == ("--rounds" in ways[number // 2]), summary
        assert left_behind(one, other) == [], left_behind(one, other)
    assert os.readlink(f"/proc/{pid}/ns/uts") == os.readlink(f"/proc/{one.anchor.pid}/ns/uts")
    finish_counter()
    wait_for(lambda: read("sum").endswith("\n"), "the pipeline ends")
    count = len(read("copy").splitlines())
    assert read("copy") == "".join(f"{number}\n" for number in range(count))
    assert count == len(read("numbers").splitlines()) - 1, f"{count} lines, {read('numbers')[-40:]!r}, {read('copy')[-40:]!r}"
    assert int(read("sum")) == sum(range(count)), read("sum")


def scenario_user():
    """An ordinary user moves a program between two accounts, with nothing but ssh."""
    _, one, other = hosts()
    for host in (one, other):
        host.identity = ["setpriv", f"--reuid={USER}", f"--regid={USER}", f"--groups={USER}", "--inh-caps=-all"]
        host.login = "mover@"
        for name in ("", "/state"):
            os.chown(host.folder + name, USER, USER)
    os.chown(directory + "/client-key", USER, USER)
    os.chmod(directory, 0o777)
    pid = start_counter(one)
    for here, there, options in ((one, other, []), (other, one, ["--rounds", "3"])):
        here.moved(pid, there, *options)
        pid = one_counts()
        assert os.stat(f"/proc/{pid}").st_uid == USER
        assert os.readlink(f"/proc/{pid}/ns/uts") == os.readlink(f"/proc/{there.anchor.pid}/ns/uts")
        assert left_behind(one, other) == [], left_behind(one, other)
    finish_counter()


def follow(process, word):
    """Waits until crmigrate has said that it is at a stage."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.strip() == word:
            return
    raise AssertionError(f"{word} was not said: {''.join(lines)} {process.wait()}")


def ended(process, what, one):
    """The end of a migration that was disturbed: 0, 1 or 5; undecided ones are resolved."""
    output, errors = process.communicate(timeout=120)
    if process.returncode == 5:
        folder = re.search(r"--resolve (\S+)", errors)[1]
        done = one.resolve(folder)
        assert done.returncode == 0, f"{what}: {done.stdout}"
        return "running" if "runs on" in done.stdout else "goes on"
    # 3: the other host could not even be asked.
    assert process.returncode in (0, 1, 3), f"{what}: {process.returncode} {output}{errors}"
    return "running" if process.returncode == 0 else "goes on"


def scenario_cut():
    """The link is cut at every stage and at random moments: one copy runs in the end."""
    bridge, one, other = hosts()
    pid = start_counter(one)
    begin = time.monotonic()
    one.moved(pid, other)
    duration = time.monotonic() - begin
    here, there = other, one
    outcomes = []
    for moment in ["freezing", "frozen", "sent", "parked", "running there", *[random.uniform(0.3, 1.0) * duration for _ in range(3)]]:
        pid = one_counts()
        process = here.migrate(pid, there, "--answer-within", "6", "--resolve-for", "1")
        if isinstance(moment, str):
            follow(process, moment)
        else:
            time.sleep(moment)
        bridge.cut(there)
        undecided = f"cut at {moment}"
        # For long enough that both sides notice, or for a moment.
        if moment in ("frozen", "parked"):
            process.wait(60)
        else:
            time.sleep(0.5)
        bridge.mend(there)
        outcome = ended(process, undecided, here)
        outcomes.append((moment, outcome))
        pid = one_counts()
        if outcome == "running":
            here, there = there, here
        at = os.readlink(f"/proc/{pid}/ns/uts")
        assert at == os.readlink(f"/proc/{here.anchor.pid}/ns/uts"), f"{undecided}: {outcome}, and it runs at the other host"
    print(outcomes)
    finish_counter()
    # The outcome of a migration stays where the order to keep it has arrived, and the word that it has did not come back.
    wait_for(lambda: not [name for name in left_behind(one, other) if "arrival" not in name], f"nothing is left here: {left_behind(one, other)}")


def is_monitor(pid, host):
    with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/status") as status:
        numbers = next(one for one in status if one.startswith("NSpid:")).split()[1:]
        return host.folder.encode() in line.read() and len(numbers) == 1


def scenario_killed():
    """crmigrate, crcheckpoint or crrestart is killed at a random moment: one copy runs in the end."""
    _, one, other = hosts()
    pid = start_counter(one)
    begin = time.monotonic()
    one.moved(pid, other)
    duration = time.monotonic() - begin
    here, there = other, one
    for number in range(8):
        pid = one_counts()
        process = here.migrate(pid, there, "--resolve-for", "20", "--answer-within", "10")
        time.sleep(random.uniform(0.2, 1.0) * duration)
        victim = random.choice(["crmigrate", "crrestart"])
        if victim == "crmigrate":
            process.kill()
            process.communicate()
            state = here.folder + "/state/treerestore"
            for name in os.listdir(state):
                if name.startswith("migration") and os.path.exists(f"{state}/{name}/state.json"):
                    done = here.resolve(f"{state}/{name}")
                    assert done.returncode == 0, done.stdout
        else:
            for entry in os.listdir("/proc"):
                try:
                    # Not its inner half: as init of the tree's pid namespace it takes the tree with it, as any init does.
                    if entry.isdigit() and os.readlink(f"/proc/{entry}/exe") == crrestart and is_monitor(entry, there):
                        os.kill(int(entry), signal.SIGKILL)
                except OSError:
                    pass
            ended(process, f"{victim} killed", here)
        wait_for(lambda: len(counters()) == 1, f"one copy after {victim} was killed: {counters()}")
        pid = one_counts()
        if os.readlink(f"/proc/{pid}/ns/uts") != os.readlink(f"/proc/{here.anchor.pid}/ns/uts"):
            here, there = there, here
    finish_counter()


def scenario_refused():
    """What the other host lacks is told before the tree is ended; --check tells it before anything stops."""
    _, one, other = hosts()
    with open(one.folder + "/files/library", "w") as file:
        file.write("x" * 100)
    program = f"import mmap, socket, time; s = socket.socket(); s.bind(('10.93.7.11', 0)); s.listen(); f = open('{directory}/files/library'); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)\n" + COUNTER % (
        directory + "/numbers", directory + "/finish")
    started.append(subprocess.Popen(
        [*one.enter, "setsid", "/usr/bin/python3", "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"))
    wait_for(lambda: read("numbers").count("\n") > 3, "the counter counts")
    pid = counters()[0]
    process = one.migrate(pid, other, "--check")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and "files/library" in output and "missing" in output, output + errors
    process = one.migrate(pid, other)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and "files/library" in errors, f"{process.returncode} {output}{errors}"
    assert one_counts() == pid
    # The same before it stops at all: the other host looks at the first round.
    process = one.migrate(pid, other, "--rounds", "3")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and "files/library" in errors and "freezing" not in errors, f"{process.returncode} {output}{errors}"
    assert one_counts() == pid and left_behind(one) == []
    wait_for(lambda: left_behind(other) == [], "the other host removes the round")
    facts = directory + "/facts"
    with open(facts, "w") as file:
        file.write("machine aarch64\nkernel 6.1\nboot x\nflags fp\nmemory 10\nuid 1000\nuserns 0\ndescriptors 2\naddresses 10.93.7.12\n")
    process = one.migrate(pid, other, "--check", "--facts", facts, "--rounds", "2", "--json")
    output, errors = process.communicate(timeout=60)
    table = {row["what"]: row["verdict"] for row in json.loads(output)["rows"]}
    assert process.returncode == 3 and [table[what] for what in ("processor", "memory", "user namespaces", "room for rounds", "open files", "addresses")] == ["no"] * 6, output + errors
    # The same numbers are taken there: both hosts of this test have one table of processes.
    process = one.migrate(pid, other, "--check", "--no-pidns", "--json", "--move-address", "10.93.7.11/24/eth0")
    output, errors = process.communicate(timeout=60)
    table = {row["what"]: row["verdict"] for row in json.loads(output)["rows"]}
    assert process.returncode == 3 and (table["process numbers"], table["addresses"]) == ("no", "ok"), output + errors
    # A folder that is brought along.
    output = one.moved(pid, other, "--sync", directory + "/files", "--restart=--address=10.93.7.11=10.93.7.12")
    pid = one_counts()
    assert os.path.exists(other.folder + "/files/library")
    finish_counter()


# 48 MiB, of which it changes some 4 MiB a second.
CHANGING = """
import os, random, threading, time
area = bytearray(os.urandom(48 << 20))
def change():
    while True:
        for _ in range(20):
            area[random.randrange(0, len(area))] = 7
        time.sleep(0.02)
threading.Thread(target=change, daemon=True).start()
"""


def scenario_rounds_cut():
    """The link is cut in each round, or a process is killed there: the tree goes on here, and nothing is left on either side."""
    bridge, one, other = hosts()
    pid = start_counter(one, CHANGING)
    for number in (1, 2, 3):
        process = one.migrate(pid, other, "--rounds", "4", "--bandwidth", "30M")
        follow(process, f"round {number}")
        bridge.cut(other)
        output, errors = process.communicate(timeout=60)
        bridge.mend(other)
        assert process.returncode == 1 and "cannot copy a round" in errors and "freezing" not in errors, f"{number}: {process.returncode} {output}{errors}"
        assert one_counts() == pid and left_behind(one) == [], left_behind(one)
        wait_for(lambda: left_behind(other) == [], "the other host removes the rounds")
    # It changes too much for a stop of a millisecond.
    process = one.migrate(pid, other, "--max-stop", "1")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "cannot move the tree within 1 ms" in errors, output + errors
    wait_for(lambda: not keepers(), "nothing tracks the tree any more")
    for end in (signal.SIGTERM, signal.SIGKILL):
        process = one.migrate(pid, other, "--rounds", "4", "--bandwidth", "30M")
        follow(process, "round 2")
        process.send_signal(end)
        output, errors = process.communicate(timeout=60)
        assert process.returncode == (1 if end == signal.SIGTERM else -end), f"{process.returncode} {output}{errors}"
        assert one_counts() == pid
        assert end == signal.SIGKILL or left_behind(one) == [], left_behind(one)
        wait_for(lambda: left_behind(other) == [], "the other host removes the rounds")
    # What the killed one has left is removed by the next one.
    summary = json.loads(one.moved(pid, other, "--rounds", "4", "--json"))
    rounds = [one["bytes"] for one in summary["rounds"]]
    assert len(rounds) > 1 and rounds[0] > 48 << 20 and max(rounds[1:] + [summary["bytes"]]) < 40 << 20, summary
    # Where the kernel can track, the rounds after the first one do not look at all pages again.
    if not summary["notices"]:
        assert summary["rounds"][0]["tracked_bytes"] > 48 << 20 and summary["rounds"][1]["known_bytes"] > 0, summary
    wait_for(lambda: not keepers(), "nothing tracks the tree that has left")
    assert left_behind(one, other) == [], left_behind(one, other)
    finish_counter()


# What was in 24 MiB at the start is there at the end.
REMEMBERING = """
import atexit, hashlib, os
area = bytearray(os.urandom(24 << 20))
digest = hashlib.sha256(area).digest()
def tell():
    with open(%r, "w") as out: out.write("right" if hashlib.sha256(area).digest() == digest else "wrong")
atexit.register(tell)
"""


def keepers():
    """The processes that keep up the tracking of a counter."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                with open(f"/proc/{entry}/comm") as comm, open(f"/proc/{entry}/environ", "rb") as environ:
                    if comm.read() == "crkeeper\n" and directory.encode() in environ.read():
                        found.append(int(entry))
        except OSError:
            pass
    return found


def on_touch_only():
    """A crrestart that brings no page that is not waited for."""
    path = directory + "/on-touch-only"
    with open(path, "w") as file:
        file.write(f"#!/bin/sh\nTREERESTORE_FAULT=fill-ahead exec {crrestart} \"$@\"\n")
    os.chmod(path, 0o755)
    return path


def late_images(host):
    return [name for name in left_behind(host) if ": spool" in name]


def scenario_late():
    """A program runs at the other host before its pages are there; what it remembers is right."""
    _, one, other = hosts()
    pid = start_counter(one, REMEMBERING % (directory + "/memory"))
    process = one.migrate(pid, other, "--lazy", "--check", "--json")
    table = {row["what"]: row["verdict"] for row in json.loads(process.communicate(timeout=60)[0])["rows"]}
    assert table["page faults (--lazy)"] == table["room for the image"] == "ok", table
    # In the background.
    summary = json.loads(one.moved(pid, other, "--lazy", "--json"))
    one_counts()
    assert summary["late_bytes"] > 24 << 20 and "pages there" in summary["stages"], summary
    assert left_behind(one, other) == [], left_behind(one, other)
    # After rounds most of them are there already, and are read there.
    summary = json.loads(other.moved(counters()[0], one, "--rounds", "2", "--lazy", "--json"))
    one_counts()
    assert summary["late_bytes"] < 12 << 20 and summary["rounds"][0]["bytes"] > 24 << 20, summary
    assert left_behind(one, other) == [], left_behind(one, other)
    other, one = one, other
    # Not before they are touched: that is at its end.
    pid = counters()[0]
    process = other.migrate(pid, one, "--lazy", "--json", "--crrestart", on_touch_only())
    wait_for(lambda: counters() not in ([], [pid]), "it runs at the first host")
    one_counts()
    assert process.poll() is None and len(late_images(other)) == 1, left_behind(one, other)
    finish_counter()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and json.loads(output)["late_bytes"] > 24 << 20, f"{process.returncode} {output}{errors}"
    assert read("memory") == "right"
    assert left_behind(one, other) == [], left_behind(one, other)


def scenario_late_cut():
    """The link is cut while pages are missing: the tree is ended there, and goes on from its image here."""
    bridge, one, other = hosts()
    pid = start_counter(one, REMEMBERING % (directory + "/memory"))
    # Before it is decided nothing has happened.
    process = one.migrate(pid, other, "--lazy", "--answer-within", "6", "--bandwidth", "1M")
    follow(process, "saved")
    bridge.cut(other)
    output, errors = process.communicate(timeout=60)
    bridge.mend(other)
    assert process.returncode == 1, f"{process.returncode} {output}{errors}"
    assert one_counts() == pid and left_behind(one) == [], left_behind(one)
    wait_for(lambda: left_behind(other) == [], "the other host removes what has arrived")
    number = 0
    for resolves in (False, True):
        pid = one_counts()
        process = one.migrate(pid, other, "--lazy", "--resolve-for", "1" if resolves else "60", "--bandwidth", "2M")
        follow(process, "ended here")
        one_counts()
        bridge.cut(other)
        wait_for(lambda: not counters(), "it is ended at the other host")
        if not resolves:
            bridge.mend(other)
        output, errors = process.communicate(timeout=100)
        if resolves:
            bridge.mend(other)
            assert process.returncode == 5 and "undecided" in errors, f"{process.returncode} {output}{errors}"
            done = one.resolve(re.search(r"--resolve (\S+)", errors)[1])
            status, errors = done.returncode, done.stdout
        else:
            status = process.returncode
        assert status == 6 and "because pages were missing" in errors and "the tree is ended, because it would lack pages" in errors, f"{status} {errors}"
        images = late_images(one)
        assert left_behind(one, other) == images and len(images) == 1, left_behind(one, other)
        # It has written numbers there that are not in its memory here.
        command = re.search(r"(crrestart --files rollback \S+) lets", errors)[1].split()
        run(*one.enter, crrestart, "--detach", *command[1:], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        number += 1
        os.rename(command[-1], f"{directory}/used{number}")
        folder = os.path.dirname(command[-1])
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    finish_counter()
    assert read("memory") == "right"


CLIENT = """
import os, random, socket, sys, time
size, answers, stop = int(sys.argv[1]), sys.argv[2], sys.argv[3]
random.seed(1)
s = socket.create_connection(("10.93.7.50", 6390), timeout=60)
f = s.makefile("rwb")
wanted = {}
def ask(*words):
    f.write(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words))
def get():
    line = f.readline()
    return f.read(int(line[1:]) + 2)[:-2] if line[:1] == b"$" else line[1:-2]
for first in range(0, size, 512):
    for key in range(first, min(first + 512, size)):
        wanted[key] = os.urandom(16) * 256
        ask(b"SET", b"%d" % key, wanted[key])
    f.flush()
    for key in range(first, min(first + 512, size)):
        assert get() == b"OK"
n, longest, last = 0, 0.0, time.monotonic()
while not os.path.exists(stop):
    n += 1
    key = random.randrange(size)
    wanted[key] = os.urandom(16) * 256
    ask(b"SET", b"%d" % key, wanted[key])
    ask(b"INCR", b"counter")
    f.flush()
    assert get() == b"OK"
    assert int(get()) == n, n
    now = time.monotonic()
    longest, last = max(longest, now - last), now
    with open(answers + ".new", "w") as out: out.write(f"{n} {longest:.3f}")
    os.rename(answers + ".new", answers)
    time.sleep(0.005)
for key in wanted:
    ask(b"GET", b"%d" % key)
    f.flush()
    assert get() == wanted[key], key
print("right")
"""


def scenario_rounds():
    """Redis with a client that writes moves in rounds, and its address with it: most of its memory travels while it answers."""
    bridge, one, other = hosts()
    start_redis(bridge, one)
    mebibytes = int(os.environ.get("MIGRATION_MIB", "192"))
    asking = subprocess.Popen(
        [*bridge.enter, "/usr/bin/python3", "-c", CLIENT, str(mebibytes << 8), directory + "/answers", directory + "/stop"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.append(asking)

    def answers():
        return int((read("answers") or "0").split()[0])

    def more_answers():
        before = answers()
        wait_for(lambda: answers() > before + 20 or asking.poll() is not None, "answers", 60)
        assert asking.poll() is None, asking.stderr.read().decode()

    more_answers()
    summary = json.loads(one.moved(redis()[0], other, "--rounds", "5", "--move-address", "10.93.7.50/24/eth0", "--json", *os.environ.get("MIGRATION_OPTIONS", "").split()))
    more_answers()
    print(json.dumps(summary, indent=1), "client: answers, longest wait:", read("answers"))
    rounds = [one["bytes"] for one in summary["rounds"]]
    assert len(rounds) > 1 and rounds[0] > mebibytes << 20, summary
    assert max(rounds[1:] + [summary["bytes"]]) < rounds[0] / 2, summary
    assert summary["total_bytes"] == sum(rounds) + summary["bytes"], summary
    assert left_behind(one, other) == [], left_behind(one, other)
    open(directory + "/stop", "w").close()
    output, errors = asking.communicate(timeout=60)
    assert output == b"right\n", errors.decode()


def start_redis(bridge, host):
    """With an address of its own, which is taken along."""
    host.call("ip", "address", "add", "10.93.7.50/24", "dev", "eth0")
    os.makedirs(directory + "/redis")
    started.append(subprocess.Popen(
        [*host.enter, "setsid", "redis-server", "--bind", "10.93.7.50", "--port", "6390", "--save", "", "--appendonly", "no", "--dir", directory + "/redis",
         "--protected-mode", "no"], stdin=subprocess.DEVNULL, stdout=open(directory + "/redis/log", "w"), stderr=subprocess.STDOUT))
    wait_for(lambda: subprocess.run([*bridge.enter, "bash", "-c", "exec 3<>/dev/tcp/10.93.7.50/6390"], stderr=subprocess.DEVNULL, check=False).returncode == 0, "redis")


def scenario_address():
    """An address moves with the tree, and the connections of Redis with it."""
    bridge, one, other = hosts()
    start_redis(bridge, one)
    client = f"""
import socket, sys
s = socket.create_connection(("10.93.7.50", 6390), timeout=60)
f = s.makefile("rwb")
n = 0
while True:
    n += 1
    f.write(b"INCR counter\\r\\n"); f.flush()
    answer = f.readline()
    assert answer == b":%d\\r\\n" % n, (n, answer)
    with open({directory + "/answers"!r}, "w") as out: out.write(str(n))
"""
    asking = subprocess.Popen([*bridge.enter, "/usr/bin/python3", "-c", client], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    started.append(asking)

    def answers():
        return int(read("answers") or 0)

    wait_for(lambda: answers() > 20, "answers")
    here, there = one, other
    for _ in range(2):
        here.moved(redis()[0], there, "--move-address", "10.93.7.50/24/eth0")
        before = answers()
        wait_for(lambda: answers() > before + 20 or asking.poll() is not None, "answers after the move", 60)
        assert asking.poll() is None, asking.stderr.read().decode()
        here, there = there, here


def redis():
    """The host's numbers of the servers of this test."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink(f"/proc/{entry}/cwd") == directory + "/redis":
                found.append(int(entry))
        except OSError:
            pass
    return found


try:
    globals()["scenario_" + scenario]()
    print("OK")
finally:
    for process in started:
        process.kill()
    for pid in counters() + redis():
        os.kill(pid, signal.SIGKILL)
