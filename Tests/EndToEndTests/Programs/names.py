"""Has files open in a directory, and writes to them at its end.

    names.py DIRECTORY

`f` is read and written at its beginning, `log` at its end; `d/job` has been removed; `data` is mapped; the working directory is
`here`. Says what it found in the first line of `f`.
"""

import mmap
import os
import sys
import time

directory = sys.argv[1]
os.chdir(directory)
for name in ["d", "here"]:
    os.makedirs(name, exist_ok=True)
with open("f", "w") as file:
    file.write("first")
with open("data", "w") as file:
    file.write("constant")
f = os.open("f", os.O_RDWR)
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(log, b"line 1\n")
job = os.open("d/job", os.O_RDWR | os.O_CREAT, 0o600)
os.write(job, b"private")
os.unlink("d/job")
data = os.open("data", os.O_RDONLY)
mapped = mmap.mmap(data, 8, mmap.MAP_PRIVATE, mmap.PROT_READ)
os.close(data)
os.chdir("here")
open(directory + "/ready", "w").close()
while not os.path.exists(directory + "/finish"):
    time.sleep(0.005)
found = os.pread(f, 100, 0)
os.pwrite(f, b"WRITE", 0)
os.write(log, b"line 2\n")
os.pwrite(job, b"PRIVATE", 0)
good = mapped[:] == b"constant" and os.pread(job, 100, 0) == b"PRIVATE"
with open(directory + "/result.new", "w") as result:
    result.write(f"{'OK' if good else 'WRONG'} {found.decode()} {os.getcwd()}\n")
os.rename(directory + "/result.new", directory + "/result")
