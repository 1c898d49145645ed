"""Holds what cannot be saved yet, prints the descriptors, and checks at its end that all still work.

    holder.py DIRECTORY
"""

import os
import select
import socket
import struct
import sys
import time

directory = sys.argv[1]
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
listening.listen()
client = socket.create_connection(listening.getsockname())
server, _ = listening.accept()
left, right = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
left.bind(("127.0.0.1", 0))
right.connect(left.getsockname())
# Two that hold back what they are to send, one in which an answer of the kernel (RTM_GETLINK of all devices) waits.
held_back = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM, protocol) for protocol in (17, 136)]
for one in held_back:
    one.sendto(b"to left", socket.MSG_MORE, left.getsockname())
asked = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
asked.send(struct.pack("IHHIIBxHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0))
events = select.epoll()
events.register(left.fileno(), select.EPOLLIN)
os.pidfd_open(os.getpid())
master, slave = os.openpty()

# Not the TCP sockets, the pidfd, the pseudo-terminal and the pair of UDP sockets, which are saved.
held = [*held_back, asked]
with open(os.path.join(directory, "ready.new"), "w") as ready:
    ready.write(" ".join(str(thing.fileno()) for thing in held) + "\n")
os.rename(os.path.join(directory, "ready.new"), os.path.join(directory, "ready"))

while not os.path.exists(os.path.join(directory, "finish")):
    time.sleep(0.01)

client.sendall(b"to server")
assert server.recv(100) == b"to server"
right.send(b"to left")
assert events.poll(1) == [(left.fileno(), select.EPOLLIN)]
assert left.recv(100) == b"to left"
held_back[0].sendto(b", now", left.getsockname())
assert left.recv(100) == b"to left, now"
assert len(asked.recv(100000)) > 32
os.write(master, b"line\n")
assert os.read(slave, 100) == b"line\n"
with open(os.path.join(directory, "result"), "w") as result:
    result.write("OK holder\n")
