"""Runs crrestart --lazy --served, and is the program that it asks for the image.

    served.py MODE CRRESTART [OPTION...] IMG

MODE: "whole" answers all; "hung up" is gone when the tree runs, "damaged" gives other bytes from then on; "nonsense" gives no
answer that there is. Ends as crrestart does, and tells on standard output whether `done` was said.
"""

import os
import socket
import subprocess
import sys
import threading

mode, command, image = sys.argv[1], sys.argv[2:-1], sys.argv[-1]
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../scripts"))
sys.dont_write_bytecode = True
from migration.late import answer_to  # noqa: E402

own, other = socket.socketpair()
pid_file = command[command.index("--pid-file") + 1]
process = subprocess.Popen([*command, "--served", str(other.fileno()), "an image"], pass_fds=[other.fileno()])
other.close()
done = []


def serve():
    for line in own.makefile("rb"):
        words = line.split()
        runs = os.path.exists(pid_file)
        if words == [b"done"]:
            done.append(True)
        elif mode == "nonsense":
            own.sendall(b"bytes and more bytes\n")
        elif mode == "hung up" and runs:
            own.shutdown(socket.SHUT_RDWR)
        elif mode == "damaged" and runs:
            answer = answer_to(words, image)
            own.sendall(answer[:-8] + bytes(byte ^ 1 for byte in answer[-8:]))
        else:
            own.sendall(answer_to(words, image))


thread = threading.Thread(target=serve, daemon=True)
thread.start()
status = process.wait()
# Its end of the socket is closed when the last process of the restart has ended.
thread.join(30)
print(f"done {len(done)}, {'ended' if not thread.is_alive() else 'open'}", flush=True)
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(status)
