#!/usr/bin/env python3
"""A program that has crcheckpoint save it, in one of the ways that Python has of running a command.

    selfcalls.py CRCHECKPOINT FOLDER WAY

It appends the exit status of the command to FOLDER/statuses, and ends with that status if all else is as it should be.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading

crcheckpoint, folder, way = sys.argv[1:]
command = [crcheckpoint, "--tree", str(os.getpid()), "-o", folder + "/image"]


def run():
    return subprocess.run(command).returncode


def captured():
    """The pipes of its output end in the copy, too."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expected = b"processes" if done.returncode == 0 else b""
    assert expected in done.stdout, done
    return done.returncode


def fed():
    """It would read from a pipe."""
    return subprocess.run(command, input=b"something that it does not read").returncode


def over_socket():
    """Its output goes to a pair of sockets, as with Node.js."""
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(command, stdout=theirs)
    theirs.close()
    said = b"".join(iter(lambda: ours.recv(4096), b""))
    status = child.wait()
    assert (b"processes" in said) == (status == 0), said
    return status


def threaded():
    """By a thread, while others work."""
    result, turns, done = [], [0], threading.Event()

    def work():
        while not done.wait(0.001):
            turns[0] += 1

    worker = threading.Thread(target=work)
    worker.start()
    caller = threading.Thread(target=lambda: result.append(captured()))
    caller.start()
    caller.join()
    before = turns[0]
    while turns[0] < before + 5:
        threading.Event().wait(0.002)
    done.set()
    worker.join()
    return result[0]


def signalled():
    """Its end is known by SIGCHLD alone, with the status in it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    pid = os.posix_spawn(crcheckpoint, command, os.environ, setsigmask=[])
    found = signal.sigwaitinfo([signal.SIGCHLD])
    assert found.si_pid == pid and found.si_code == 1, found
    assert os.waitstatus_to_exitcode(os.waitpid(pid, os.WNOHANG)[1]) == found.si_status
    return found.si_status


def polled():
    """Its end is seen by a pidfd."""
    pid = os.posix_spawn(crcheckpoint, command, os.environ)
    number = os.pidfd_open(pid)
    import select

    select.select([number], [], [])
    found = os.waitid(os.P_PIDFD, number, os.WEXITED)
    return found.si_status


def awaited():
    async def main():
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        said, _ = await child.communicate()
        assert (b"processes" in said) == (child.returncode == 0), said
        return child.returncode

    return asyncio.run(main())


def grandchild():
    return subprocess.run(["sh", "-c", 'trap "" USR1; "$@"; exit $?', "sh"] + command).returncode


def forked():
    """Its parent is a fork of the program, in a session of its own, and the tree is that of the program."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os._exit(run())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


status = globals()[way]()
with open(folder + "/statuses", "a") as file:
    file.write(f"{status}\n")
sys.exit(status)
