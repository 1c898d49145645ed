"""What both hosts have, in a table. Nothing stops."""

import ipaddress
import json
import os
import shlex
import shutil
import subprocess

from migration.failures import Failed
from migration.hosts import state_folder, tool
from migration.sight import highest_descriptor, mapped_files, own_addresses, resident, tree_of

FACTS = r"""
echo "machine $(uname -m)"
echo "kernel $(uname -r)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "flags $(grep -m1 -E '^(flags|Features)' /proc/cpuinfo | cut -d: -f2)"
echo "memory $(awk '/^MemAvailable/{print $2}' /proc/meminfo)"
echo "uid $(id -u)"
echo "userns $(cat /proc/sys/user/max_user_namespaces 2> /dev/null) $(cat /proc/sys/kernel/unprivileged_userns_clone 2> /dev/null)"
echo "addresses $(cat /proc/net/fib_trie 2> /dev/null | awk '/32 host/{print f} {f=$2}' | sort -u | tr '\n' ' ') $(sed 's/ .*//; s/..../&:/g; s/:$//' /proc/net/if_inet6 2> /dev/null | tr '\n' ' ')"
echo "descriptors $(ulimit -Hn)"
echo "room $(df -Pk "${XDG_STATE_HOME:-$HOME}" 2> /dev/null | awk 'NR == 2 { print $4 }')"
"""


def parse_facts(text):
    facts = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        facts[key] = value.strip()
    return facts


def check(options, host):
    """A table of what both hosts have. Nothing stops."""
    rows = []

    def row(what, here, there, verdict):
        rows.append((what, here, there, verdict))

    command = [tool(options.crcheckpoint, "crcheckpoint"), "--tree", str(options.pid), "--dry-run", "--unchecked"] + options.checkpoint_to_look
    dry = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    words = (dry.stdout + dry.stderr).decode(errors="replace").strip().splitlines()
    row("the tree can be saved", words[0] if words else "", "", "ok" if dry.returncode == 0 else "no")
    for line in words[1:]:
        row("", line.strip(), "", "" if dry.returncode == 0 else "no")

    answer = parse_facts_file(options.facts) if options.facts else host.ask(FACTS)
    if answer is None:
        raise Failed(f"cannot reach {host.name}: ssh gave no answer", 3)
    there = parse_facts(answer)
    here = parse_facts(subprocess.run(["sh", "-c", FACTS], stdout=subprocess.PIPE, check=True).stdout.decode())
    row("processor", here["machine"], there.get("machine", ""), "ok" if here["machine"] == there.get("machine") else "no")
    lacking = sorted(set(here["flags"].split()) - set(there.get("flags", "").split()))
    row("processor features", f"{len(here['flags'].split())}", f"lacks {', '.join(lacking)}" if lacking else "all of them", "maybe" if lacking else "ok")
    row("kernel", here["kernel"], there.get("kernel", ""), "ok" if here["kernel"] == there.get("kernel") else "other")
    pids = tree_of(options.pid)
    wanted, free = resident(pids), int(there.get("memory") or 0)
    row("memory", f"{wanted >> 10} MiB in use", f"{free >> 10} MiB available", "ok" if free > wanted else "no")
    if options.rounds:
        own, other = shutil.disk_usage(options.spool or state_folder()).free >> 10, int(there.get("room") or 0)
        row("room for rounds", f"{own >> 10} MiB free", f"{other >> 10} MiB free", "ok" if min(own, other) > wanted else "no")
    if options.lazy:
        free_here = shutil.disk_usage(options.spool or state_folder()).free >> 10
        row("room for the image", f"{free_here >> 10} MiB free", "", "ok" if free_here > wanted else "no")
        row("page faults (--lazy)", "", "root" if there.get("uid") == "0" else "CAP_SYS_PTRACE is needed: root", "ok" if there.get("uid") == "0" else "no")
    if there.get("uid") != "0":
        spaces = there.get("userns", "").split()
        row("user namespaces", "", there.get("userns", ""), "no" if spaces[:1] == ["0"] or spaces[1:2] == ["0"] else "ok")
    highest, limit = highest_descriptor(pids), there.get("descriptors", "")
    # root may go beyond it.
    if there.get("uid") != "0" and limit.isdigit():
        row("open files", f"up to descriptor {highest}", f"{limit} at most", "ok" if highest < int(limit) else "no")
    moving = {(options.move_address or "").split("/")[0], *(one.split("=")[1] for one in options.restart if one.startswith("--address="))}
    missing = [one for one in own_addresses(pids) if one not in moving | addresses_there(there)]
    row("addresses", "", f"lacks {', '.join(missing)}" if missing else "all that its sockets have", "no" if missing else "ok")
    if options.no_pidns and not options.facts:
        answer = host.ask("".join(f"[ -d /proc/{pid} ] && echo {pid}\n" for pid in pids) + "true")
        taken = (answer or "").split()
        row("process numbers", f"{len(pids)}", f"has {', '.join(taken)}" if taken else "free", "no" if taken else "ok")
    files = mapped_files(pids)
    listing = "".join(f"stat -L -c '%s %Y' {shlex.quote(path)} 2> /dev/null || echo missing\n" for path, _, _ in files)
    found = (host.ask(listing, 120.0) or "").splitlines() if files and not options.facts else []
    synced = tuple(os.path.join(os.path.abspath(name), "") for name in options.sync)
    bad = 0
    for (path, size, changed), seen in zip(files, found):
        if seen == f"{size} {changed}" or path.startswith(synced or "\0"):
            continue
        bad += 1
        row("file " + path, f"{size} bytes", seen if seen == "missing" else f"{seen.split()[0]} bytes, other time or size", "no")
    if not bad and found:
        row("files", f"{len(files)} mapped or open", "the same", "ok")
    if not options.facts:
        there_tool = host.ask(f"command -v {shlex.quote(options.remote_crrestart)}")
        row("crrestart", "", (there_tool or "").strip() or "missing", "ok" if there_tool and there_tool.strip() or options.install else "no")
    refused = any(verdict == "no" for _, _, _, verdict in rows)
    if options.json:
        print(json.dumps({"rows": [dict(zip(("what", "here", "there", "verdict"), one)) for one in rows], "possible": not refused}))
    else:
        for what, own, other, verdict in rows:
            print(f"{verdict:6}{what:24} {own:40} {other}".rstrip())
    return 3 if refused else 0


def addresses_there(facts):
    found = set()
    for text in facts.get("addresses", "").split():
        try:
            found.add(str(ipaddress.ip_address(text)))
        except ValueError:
            pass
    return found


def parse_facts_file(path):
    with open(path) as file:
        return file.read()
