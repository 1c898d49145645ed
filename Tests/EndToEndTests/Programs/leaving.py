"""A connection that the program in the tree has closed while much of what it sent is still on the way.

leaving.py serve DIR REUSE   sends 600,000 bytes to the first client, closes, and goes on listening; REUSE 1: with SO_REUSEADDR;
                             DIR/port, DIR/ready
leaving.py client DIR        receives nothing before DIR/receive; DIR/received; connects once more after DIR/finish; DIR/result
"""
import hashlib, socket, sys

import events

ROLE, FOLDER = sys.argv[1:3]
BYTES = bytes(number * 7 % 251 for number in range(600_000))
folder = events.Folder(FOLDER)
write, wait = folder.write, folder.wait

if ROLE == "serve":
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(sys.argv[3]))
    listening.bind(("127.0.0.1", 0))
    listening.listen(8)
    write("port", str(listening.getsockname()[1]))
    end, _ = listening.accept()
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2_000_000)
    end.sendall(BYTES)
    end.close()
    write("ready", "")
    wait("finish")
    while True:
        listening.accept()[0].sendall(b"welcome")
else:
    wait("port")
    port = int(open(FOLDER + "/port").read())
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect(("127.0.0.1", port))
    wait("receive")
    client.settimeout(60)
    received = b""
    while part := client.recv(65536):
        received += part
    write("received", "")
    client.close()
    wait("finish")
    late = socket.create_connection(("127.0.0.1", port), 60).recv(100)
    write("result", "OK" if received == BYTES and late == b"welcome" else f"{len(received)} bytes, {late}")
