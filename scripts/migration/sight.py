"""What a running tree has, as it is seen from outside."""

import ipaddress
import os
import re


def tree_of(root):
    """The pids of the tree."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", errors="replace") as stat:
                    parents.setdefault(int(stat.read().rpartition(")")[2].split()[1]), []).append(int(entry))
            except OSError:
                pass
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += parents.get(pid, [])
    return found


def mapped_files(pids):
    """Files that the tree maps or has open by name, with size and time of change."""
    paths = set()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/maps", errors="surrogateescape") as maps:
                for line in maps:
                    name = line.split(maxsplit=5)[5:] or [""]
                    paths.add(name[0].rstrip("\n"))
            for entry in os.listdir(f"/proc/{pid}/fd"):
                paths.add(os.readlink(f"/proc/{pid}/fd/{entry}"))
        except OSError:
            continue
    files = []
    for path in sorted(paths):
        if not path.startswith("/") or path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:")) or path.endswith(" (deleted)"):
            continue
        try:
            status = os.stat(path)
        except OSError:
            continue
        if os.path.isfile(path):
            files.append((path, status.st_size, int(status.st_mtime)))
    return files


def resident(pids):
    """KiB of memory that the tree holds."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def highest_descriptor(pids):
    """0: there is none, or it may not be seen."""
    highest = 0
    for pid in pids:
        try:
            highest = max([highest, *(int(number) for number in os.listdir(f"/proc/{pid}/fd"))])
        except OSError:
            continue
    return highest


def own_addresses(pids):
    """Addresses of the host that sockets of the tree have, without those that every host has."""
    inodes, tables = set(), {}
    for pid in pids:
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{number}"))
                if found:
                    inodes.add(found[1])
            for name in ("tcp", "udp", "tcp6", "udp6"):
                with open(f"/proc/{pid}/net/{name}") as table:
                    tables[os.readlink(f"/proc/{pid}/ns/net"), name] = table.read().splitlines()[1:]
        except OSError:
            continue
    addresses = set()
    for lines in tables.values():
        for fields in map(str.split, lines):
            if fields[9] in inodes:
                address = address_of(fields[1].partition(":")[0])
                if not (address.is_unspecified or address.is_loopback):
                    addresses.add(str(address))
    return sorted(addresses)


def address_of(text):
    """As /proc/net prints one: words of 32 bits in the order of bytes of this processor (little endian)."""
    raw = b"".join(bytes.fromhex(text[at:at + 8])[::-1] for at in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    return getattr(address, "ipv4_mapped", None) or address
