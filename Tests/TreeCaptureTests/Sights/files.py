"""A program with a descriptor of every kind, and two threads that leave something: directories, descriptors.

    files.py TERMINAL DIRECTORY

The numbers of the descriptors are those that DescriptorTests.swift names.
"""
import ctypes
import mmap
import os
import select
import signal
import sys
import threading
import time

CLONE_FS, CLONE_FILES = 0x200, 0x400
CLOCK_MONOTONIC = 1


class ITimerSpec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[2])
named = os.open("named", os.O_RDWR | os.O_CREAT, 0o600)
directory = os.open(".", os.O_RDONLY)
null = os.open("/dev/null", os.O_RDWR)
memory = os.memfd_create("memory")
os.write(memory, b"x" * 5000)
unlinked = os.open("unlinked", os.O_RDWR | os.O_CREAT, 0o600)
os.write(unlinked, b"y" * 100)
os.unlink("unlinked")
odd = os.open(b"line\nend \xff (deleted)", os.O_RDWR | os.O_CREAT, 0o600)
read, write = os.pipe()
os.write(write, b"waiting")
event = os.eventfd(7)
signals = libc.signalfd(-1, (ctypes.c_ulong * 1)(1 << (signal.SIGUSR1 - 1)), 0)
timer = libc.timerfd_create(CLOCK_MONOTONIC, 0)
libc.timerfd_settime(timer, 0, ctypes.byref(ITimerSpec(0, 0, 10000, 0)), None)
epoll = select.epoll()
epoll.register(event, select.EPOLLIN)
epoll.register(read, select.EPOLLIN)
terminal = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
shared = mmap.mmap(-1, 8192)
shared[0] = 1


def own_directories():
    libc.unshare(CLONE_FS)
    os.chdir("/tmp")
    os.umask(0o077)
    time.sleep(1000)


def own_table():
    libc.unshare(CLONE_FILES)
    os.close(named)
    os.dup2(null, 50)
    time.sleep(1000)


for run in (own_directories, own_table):
    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.2)
signal.signal(signal.SIGUSR2, lambda *arguments: None)
print(named, directory, null, memory, unlinked, odd, read, write, event, signals, timer, epoll.fileno(), terminal, flush=True)
time.sleep(1000)
