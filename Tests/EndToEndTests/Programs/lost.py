"""Has something open that its name does not lead to, and waits.

    lost.py KIND DIRECTORY
"""

import os
import subprocess
import sys
import time

kind, directory = sys.argv[1:]
os.chdir(directory)


def make(path):
    with open(path, "w") as file:
        file.write("text")
    return os.open(path, os.O_RDWR)


held = None
if kind == "unmounted":
    os.mkdir("m")
    subprocess.check_call(["mount", "-t", "tmpfs", "none", "m"])
    os.mkdir("m/etc")
    os.chdir("m/etc")
    subprocess.check_call(["umount", "-l", directory + "/m"])
elif kind == "hidden":
    os.mkdir("m")
    held = make("m/file")
    subprocess.check_call(["mount", "-t", "tmpfs", "none", "m"])
elif kind == "append":
    held = make("file")
    subprocess.check_call(["chattr", "+a", "file"])
elif kind == "link":
    os.mkdir("a")
    os.mkdir("b")
    held = make("a/file")
    os.link("a/file", "b/file")
    os.unlink("a/file")
elif kind == "long":
    for _ in range(25):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    held = make("deep")
    os.chdir(directory)

open(directory + "/ready", "w").close()
while True:
    time.sleep(0.01)
