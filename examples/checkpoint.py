#!/usr/bin/env python3
"""A Python program that checkpoints itself half-way, with the shared library of TreeRestore:

    examples/checkpoint.py job.img
    crrestart job.img

Both go on, each with a log of its own: job.img.log, job.img.log.restarted.
"""

import ctypes
import os
import sys

CR_FORCE = 2

library = ctypes.CDLL(os.environ.get("LIBTREERESTORE", "libtreerestore.so.1"))
Before = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
After = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)
library.cr_checkpoint.argtypes = [ctypes.c_char_p, ctypes.c_uint]
library.cr_on_checkpoint.argtypes = [Before, ctypes.c_void_p]
library.cr_on_restart.argtypes = [After, ctypes.c_void_p]

image = sys.argv[1]
log = open(image + ".log", "w")


# The objects that ctypes makes of functions have to live as long as they can be called.
@Before
def close_log(_):
    log.close()


@After
def open_log(restarted, _):
    global log
    log = open(image + ".log" + (".restarted" if restarted else ""), "w" if restarted else "a")


library.cr_on_checkpoint(close_log, None)
library.cr_on_restart(open_log, None)

total = 0
for number in range(1, 101):
    total += number
    if number == 50:
        outcome = library.cr_checkpoint(os.fsencode(image), CR_FORCE)
        if outcome < 0:
            sys.exit("no checkpoint: " + os.strerror(-outcome))
        log.write(f"{'the restarted copy' if outcome else 'the original'} goes on at {number}\n")
log.write(f"the sum is {total}\n")
log.close()
