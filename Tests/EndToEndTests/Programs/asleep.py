"""Programs that sleep, each in the way of its language or its command, side by side.

    python3 asleep.py DIRECTORY SECONDS

Each is run by a thread of its own, which measures on the monotonic clock how long it took. Writes `ready` when
all have been started, and at the end `asleep`: a line `NAME STATUS MILLISECONDS` for each program.
"""

import os
import shutil
import subprocess
import sys
import threading
import time

PROGRAMS = {
    "sleep": "exec sleep {t}",
    "timeout": "timeout {t} sleep 100; test $? = 124",
    "loop": "for i in $(seq {t}); do sleep 1; done",
    "read-limit": "exec 3< <(exec sleep 100); read -t {t} -u 3 line; status=$?; kill $!; test $status -gt 128",
    "wait": "sleep {t} & wait",
    "watch": "TERM=dumb timeout {t} watch -n 1 -t true > /dev/null; test $? = 124",
    "perl-select": "exec perl -e 'select(undef, undef, undef, {t})'",
    "perl-alarm": "exec perl -e '$SIG{{ALRM}} = sub {{ exit 0 }}; alarm {t}; sleep 100; exit 1'",
    "python3-sleep": "exec python3 -c 'import time; time.sleep({t})'",
    "python3-select": "exec python3 -c 'import select; select.select([], [], [], {t})'",
    "python3-poll": "exec python3 -c 'import select; select.poll().poll({t}000)'",
    "python3-epoll": "exec python3 -c 'import select; select.epoll().poll({t})'",
    "python3-event": "exec python3 -c 'import threading; threading.Event().wait({t})'",
    "python3-timer": "exec python3 -c 'import threading; t = threading.Timer({t}, int); t.start(); t.join()'",
    "python3-queue": "python3 -c 'import queue; queue.Queue().get(timeout={t})' 2> /dev/null; test $? = 1",
    "python3-process": "python3 -c 'import subprocess; subprocess.run([\"sleep\", \"100\"], timeout={t})' 2> /dev/null; test $? = 1",
    "python3-signal": "exec python3 -c 'import signal; signal.sigtimedwait([signal.SIGUSR1], {t})'",
    "java-sleep": "exec java -XX:+UseSerialGC -Xmx64m -cp {d} Sleep {t}000",
    "node-timeout": "exec node -e 'setTimeout(() => {{}}, {t}000)'",
    "node-wait": "exec node -e 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, {t}000)'",
    "ruby-sleep": "exec ruby -e 'sleep {t}'",
    "lua-posix": "exec lua -e 'require(\"posix.unistd\").sleep({t})'",
}

JAVA = "class Sleep { public static void main(String[] words) throws Exception { Thread.sleep(Long.parseLong(words[0])); } }"


def run(name, command, lines):
    begin = time.monotonic()
    status = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL).returncode
    lines.append(f"{name} {status} {int((time.monotonic() - begin) * 1000)}\n")


# Programs that are not called like the first word of their name.
NEEDED = {"loop": "sleep", "read": "sleep", "wait": "sleep", "java": "javac"}


def is_there(name):
    """Whether the program can be run; of Lua, a module of its own package."""
    program = name.split("-")[0]
    if name == "lua-posix":
        check = ["lua", "-e", "require('posix.unistd')"]
        return shutil.which("lua") and subprocess.run(check, stderr=subprocess.DEVNULL).returncode == 0
    return shutil.which(NEEDED.get(program, program))


def main():
    directory, seconds = sys.argv[1:]
    with open(os.path.join(directory, "Sleep.java"), "w") as source:
        source.write(JAVA)
    if shutil.which("javac"):
        subprocess.run(["javac", "-d", directory, source.name], stdin=subprocess.DEVNULL, check=True)
    lines = []
    threads = []
    for name, command in PROGRAMS.items():
        if not is_there(name):
            continue
        command = command.format(t=seconds, d=directory)
        threads.append(threading.Thread(target=run, args=(name, command, lines)))
        threads[-1].start()
    open(os.path.join(directory, "ready"), "w").close()
    for thread in threads:
        thread.join()
    with open(os.path.join(directory, "asleep"), "w") as file:
        file.writelines(sorted(lines))


main()
