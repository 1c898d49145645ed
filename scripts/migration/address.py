"""An address that moves with the tree."""

import os
import re
import shlex
import subprocess

from migration.failures import Failed

# Until the tree runs there no packet may find its address there without its connections: they would be reset.
HIDE = """
nft add table inet %(table)s
nft add chain inet %(table)s arriving '{ type filter hook prerouting priority raw; }'
nft add rule inet %(table)s arriving %(family)s daddr %(plain)s drop
"""

# Setting the address that a link has already makes the kernel announce all its addresses to the neighbours (arp_notify and
# ndisc_notify of ip-sysctl): gratuitous ARP, unsolicited neighbour advertisements.
SHOW = """
nft delete table inet %(table)s
d=%(device)s
echo 1 > "/proc/sys/net/ipv4/conf/$d/arp_notify"
echo 1 > "/proc/sys/net/ipv6/conf/$d/ndisc_notify"
ip link set dev "$d" address "$(ip -o link show dev "$d" | sed 's,.*link/ether ,,;s, .*,,')"
"""


def address_move(text, arrival):
    """What the scripts need of ADDRESS/LENGTH/DEVICE."""
    address, _, device = text.rpartition("/")
    plain = address.split("/")[0]
    table = "crmigrate_" + re.sub(r"\W", "_", os.path.basename(arrival))
    return {"address": address, "device": shlex.quote(device), "plain": shlex.quote(plain), "family": "ip6" if ":" in plain else "ip", "table": table}


def run_quietly(script):
    subprocess.run(["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def run_or_fail(command, what):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Failed(f"cannot {what}: {done.stderr.decode(errors='replace').strip()}")
