"""The third table of scripts/bench: how long established TCP connections take to be saved and restored.

A process holds one end of each, another one outside of the tree the other. The tree is checkpointed with --kill, which locks the connections, and
restarted; then a byte goes through each in both directions. Medians.
"""

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

COUNTS = [1000, 2000, 4000, 10000]


def serve(directory, count):
    """The tree: accepts, and sends back what comes."""
    import selectors
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, count + 100))
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    with open(os.path.join(directory, "port.new"), "w") as file:
        file.write(str(listening.getsockname()[1]))
    os.rename(os.path.join(directory, "port.new"), os.path.join(directory, "port"))
    ready = selectors.DefaultSelector()
    for _ in range(count):
        ready.register(listening.accept()[0], selectors.EVENT_READ)
    while True:
        for key, _ in ready.select():
            data = key.fileobj.recv(100)
            if not data:
                return
            key.fileobj.send(data)


def round_trips(connections):
    for number, one in enumerate(connections):
        one.send(bytes([number % 251]))
    for number, one in enumerate(connections):
        if one.recv(1) != bytes([number % 251]):
            sys.exit("bench: a connection is not what it was")


def measure_once(bench, count):
    port = os.path.join(bench.directory, "port")
    if os.path.exists(port):
        os.unlink(port)
    tree = subprocess.Popen(
        ["/usr/bin/python3", os.path.abspath(__file__), bench.directory, str(count)], stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while not os.path.exists(port):
        time.sleep(0.01)
    with open(port) as file:
        address = ("127.0.0.1", int(file.read()))
    connections = [socket.create_connection(address, 60) for _ in range(count)]
    round_trips(connections)

    begin = time.monotonic()
    done = subprocess.run(
        bench.tool("crcheckpoint", "--tree", str(tree.pid), "-o", bench.image, "--kill", "--force", "--json"), stdout=subprocess.PIPE, check=True)
    row = {"dump": time.monotonic() - begin, "stopped": json.loads(done.stdout)["stopped_ns"] / 1e9}
    tree.wait()
    begin = time.monotonic()
    subprocess.run(bench.tool("crrestart", "--pidns", "--detach", bench.image), stdout=subprocess.DEVNULL, check=True)
    row["restart"] = time.monotonic() - begin
    round_trips(connections)
    for one in connections:
        one.close()
    return row


def measure(bench, rounds):
    # A restart takes descriptors besides those of the tree.
    wanted, (_, most) = 3 * max(COUNTS), resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, most), max(wanted, most)))
    except ValueError:
        wanted = most
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| connections | dump | stopped | restart | dump per 1,000 | restart per 1,000 |")
    print("|---|---|---|---|---|---|")
    for count in (min(count, (wanted - 200) // 2) for count in COUNTS):
        found = [measure_once(bench, count) for _ in range(rounds)]
        row = {key: statistics.median(one[key] for one in found) * 1000 for key in found[0]}
        print(
            f"| {count:,} | {row['dump']:.0f} ms | {row['stopped']:.0f} ms | {row['restart']:.0f} ms "
            f"| {row['dump'] * 1000 / count:.0f} ms | {row['restart'] * 1000 / count:.0f} ms |", flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
