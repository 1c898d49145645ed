"""Connections of which one end or both have said that they send no more; only one end is checkpointed.

closings.py outside DIR     listens, DIR/port tells where; DIR/result
closings.py tree DIR        connects; DIR/ready; after DIR/finish looks whether all is right; DIR/states tells the state of each; DIR/told
"""
import hashlib, os, socket, sys, time, traceback

import events

ROLE, FOLDER = sys.argv[1:3]
folder = events.Folder(FOLDER)
write, wait = folder.write, folder.wait
KINDS = ["FIN-WAIT-2", "CLOSE-WAIT", "FIN-WAIT-1", "LAST-ACK", "CLOSING"]
FULL = ("FIN-WAIT-1", "LAST-ACK", "CLOSING")
STATES = {1: "ESTABLISHED", 4: "FIN-WAIT-1", 5: "FIN-WAIT-2", 7: "CLOSE", 8: "CLOSE-WAIT", 9: "LAST-ACK", 11: "CLOSING"}


def state(end):
    return STATES[end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]


def wait_for(end, wanted):
    limit = time.monotonic() + 30
    while state(end) != wanted:
        if time.monotonic() > limit:
            raise ValueError(f"{state(end)} instead of {wanted}")
        time.sleep(0.002)


def rest(end):
    parts = []
    while part := end.recv(65536):
        parts.append(part)
    return b"".join(parts)


def compare(kind, got, wanted):
    if got != wanted:
        raise ValueError(f"{kind}: {got[:40]!r} ({len(got)} bytes) instead of {wanted[:40]!r} ({len(wanted)} bytes)")


def outside():
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    listening.bind(("127.0.0.1", 0))
    listening.listen(8)
    write("port", str(listening.getsockname()[1]))
    # A lost acknowledgement changes the order in which the connections come: the other end's port tells them apart.
    accepted = [listening.accept() for _ in KINDS]
    wait("ports")
    ports = open(FOLDER + "/ports").read().split()
    ends = {KINDS[ports.index(str(peer[1]))]: end for end, peer in accepted}
    for end in ends.values():
        end.settimeout(150)
    compare("FIN-WAIT-2", rest(ends["FIN-WAIT-2"]), b"half")
    ends["CLOSE-WAIT"].sendall(b"unread")
    ends["CLOSE-WAIT"].shutdown(socket.SHUT_WR)
    ends["LAST-ACK"].shutdown(socket.SHUT_WR)
    wait("filled")
    ends["CLOSING"].shutdown(socket.SHUT_WR)
    write("said", "")
    wait("finish")
    ends["FIN-WAIT-2"].sendall(b"rest")
    ends["FIN-WAIT-2"].close()
    compare("CLOSE-WAIT", rest(ends["CLOSE-WAIT"]), b"reply")
    ends["FIN-WAIT-1"].sendall(b"before the end")
    for kind in FULL:
        got = rest(ends[kind])
        wait("digest-" + kind)
        compare(kind, hashlib.sha256(got).hexdigest().encode(), open(f"{FOLDER}/digest-{kind}", "rb").read())
    ends["FIN-WAIT-1"].close()
    write("result", "OK")


def tree():
    wait("port")
    port = int(open(FOLDER + "/port").read())
    ends = {kind: socket.create_connection(("127.0.0.1", port)) for kind in KINDS}
    write("ports", " ".join(str(ends[kind].getsockname()[1]) for kind in KINDS))
    ends["FIN-WAIT-2"].sendall(b"half")
    ends["FIN-WAIT-2"].shutdown(socket.SHUT_WR)
    compare("LAST-ACK", rest(ends["LAST-ACK"]), b"")
    for kind in FULL:
        digest = hashlib.sha256()
        ends[kind].setblocking(False)
        block = os.urandom(65536)
        try:
            while True:
                count = ends[kind].send(block)
                digest.update(block[:count])
        except BlockingIOError:
            pass
        ends[kind].setblocking(True)
        ends[kind].shutdown(socket.SHUT_WR)
        write("digest-" + kind, digest.hexdigest())
    write("filled", "")
    wait("said")
    for kind in KINDS:
        wait_for(ends[kind], kind)
    write("ready", "")
    wait("look")
    write("states", " ".join(state(ends[kind]) for kind in KINDS))
    wait("finish")
    for end in ends.values():
        end.settimeout(150)
    compare("FIN-WAIT-2", rest(ends["FIN-WAIT-2"]), b"rest")
    compare("CLOSE-WAIT", rest(ends["CLOSE-WAIT"]), b"unread")
    ends["CLOSE-WAIT"].sendall(b"reply")
    ends["CLOSE-WAIT"].close()
    compare("FIN-WAIT-1", rest(ends["FIN-WAIT-1"]), b"before the end")
    compare("CLOSING", rest(ends["CLOSING"]), b"")
    for kind in ("LAST-ACK", "CLOSING"):
        if kind == "LAST-ACK":
            wait_for(ends[kind], "CLOSE")
        try:
            ends[kind].send(b"x")
        except BrokenPipeError:
            continue
        raise ValueError(f"{kind}: it sends again")
    write("told", "OK")


try:
    {"outside": outside, "tree": tree}[ROLE]()
except Exception:
    write({"outside": "result", "tree": "told"}[ROLE], traceback.format_exc())
    sys.exit(1)
