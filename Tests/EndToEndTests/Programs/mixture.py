"""A bit of everything that a Python program does, with a result that does not depend on timing.

    mixture.py DIRECTORY

Eight threads take numbers from a queue, compute and sleep; two processes work at the other end of
pipes and share a lock and a counter; a log is appended to; a file is read at an offset by the main
thread from the bottom of a deep recursion, with an interval timer ticking. Writes DIRECTORY/result.
"""

import hashlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time

THREADS = 8
ITEMS = 2400
BLOCKS = 300
directory = sys.argv[1]

log = open(os.path.join(directory, "log"), "a")
log_lock = threading.Lock()
tasks = queue.Queue(maxsize=20)
results = {}
results_changed = threading.Condition()
ticks = 0
users = 0


def on_tick(number, frame):
    global ticks
    ticks += 1


def on_user(number, frame):
    global users
    users += 1


def compute(item):
    """Keeps numbers in flight in floats; exact to the last bit."""
    x = item + 0.5
    for i in range(1, 400):
        x = (x * 1.0000001 + i / 7.0) % 12345.678
    return x.hex()


def work():
    while True:
        item = tasks.get()
        if item is None:
            return
        before = time.monotonic()
        time.sleep(0.015)
        if time.monotonic() - before < 0.014:
            raise SystemExit("a sleep was too short")
        value = compute(item)
        with log_lock:
            log.write(f"item {item} {value}\n")
            log.flush()
        with results_changed:
            results[item] = value
            results_changed.notify_all()


def partner(inbox, outbox, lock, counter, done):
    """Answers each number with a digest; counts under a lock that both partners share."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    identity = os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)
    while True:
        number = inbox.recv()
        if number is None:
            break
        with lock:
            counter.value += 1
        time.sleep(0.004)
        outbox.send((number, hashlib.sha256(str(number).encode()).hexdigest()))
    if identity != (os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)):
        done.put("a partner's pid, parent, group or session changed")
    else:
        done.put("same")


def descend(depth, source, partners, digest):
    """Reads the file block by block from `depth` frames below."""
    local = [depth, float(depth) / 3.0]
    if depth > 0:
        descend(depth - 1, source, partners, digest)
    else:
        for number in range(BLOCKS):
            digest.update(source.read(777))
            for to, back in partners:
                to.send(number)
            for to, back in partners:
                answered, value = back.recv()
                if answered != number:
                    raise SystemExit(f"answer {answered} to {number}")
                digest.update(value.encode())
            with log_lock:
                log.write(f"block {number}\n")
                log.flush()
    if local != [depth, float(depth) / 3.0]:
        raise SystemExit("the stack is wrong")


def main():
    sys.setrecursionlimit(5000)
    with open(os.path.join(directory, "source"), "wb") as source:
        source.write(bytes((i * i + i // 251) % 256 for i in range(BLOCKS * 777 + 1000)))

    lock = multiprocessing.Lock()
    counter = multiprocessing.Value("q", 0, lock=False)
    done = multiprocessing.Queue()
    partners, children = [], []
    for _ in range(2):
        to_read, to_write = multiprocessing.Pipe(duplex=False)
        back_read, back_write = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.Process(target=partner, args=(to_read, back_write, lock, counter, done))
        child.start()
        partners.append((to_write, back_read))
        children.append(child)

    signal.signal(signal.SIGALRM, on_tick)
    signal.signal(signal.SIGUSR1, on_user)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    feeder = threading.Thread(target=lambda: [tasks.put(i) for i in [*range(ITEMS), *[None] * THREADS]])
    feeder.start()

    source = open(os.path.join(directory, "source"), "rb", buffering=0)
    source.seek(1000)
    digest = hashlib.sha256()
    identity = os.getpid(), os.getpgid(0), os.getsid(0), threading.get_native_id()
    descend(900, source, partners, digest)

    with results_changed:
        results_changed.wait_for(lambda: len(results) == ITEMS)
    for thread in threads + [feeder]:
        thread.join()
    for to, back in partners:
        to.send(None)
    answers = [done.get(), done.get()]
    for child in children:
        child.join()
    if identity != (os.getpid(), os.getpgid(0), os.getsid(0), threading.get_native_id()):
        raise SystemExit("pid, group, session or thread id changed")
    if answers != ["same", "same"]:
        raise SystemExit(str(answers))
    os.kill(os.getpid(), signal.SIGUSR1)
    before = ticks
    time.sleep(0.1)
    if users != 1 or before < 10 or ticks <= before:
        raise SystemExit(f"signals: {users}, ticks: {before}, {ticks}")

    # At its end the interpreter restores the default action, which is death.
    signal.setitimer(signal.ITIMER_REAL, 0)
    for item in range(ITEMS):
        digest.update(results[item].encode())
    with open(os.path.join(directory, "result"), "w") as result:
        result.write(f"{digest.hexdigest()} {counter.value} {source.tell()} {[c.exitcode for c in children]}\n")


main()
