"""What became of a tree whose connection was lost in the instant of the decision."""

import json
import os
import shlex
import time

from migration.address import SHOW, address_move, run_quietly
from migration.comparison import parse_facts
from migration.hosts import Host


def start_time(pid):
    """Field 22 of /proc/PID/stat; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else int(fields[19])
    except OSError:
        return None


def order(state, word):
    """Tells the crcheckpoint that keeps a tree stopped what becomes of it. False: it is gone."""
    try:
        number = os.open(os.path.join(state, "orders"), os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(number, word.encode() + b"\n")
        return True
    except OSError:
        return False
    finally:
        os.close(number)


OUTCOME = r"""
d=%s
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "outcome $(cat "$d/outcome" 2> /dev/null)"
set -- $(cat "$d/outcome" 2> /dev/null)
[ -n "${2:-}" ] && echo "start $(sed 's/.*) //' "/proc/$2/stat" 2> /dev/null | cut -d ' ' -f 1,20)"
echo "pages $(cat "$d/outcome.pages" 2> /dev/null)"
echo "arrival $([ -d "$d" ] && echo there)"
"""


def outcome_there(state):
    """What became of the tree at the other host: "running PID", "failed", or "" while that cannot be told."""
    host = Host(state["host"], shlex.join(state["ssh"]))
    facts = facts_there(host, state)
    if facts is None:
        return ""
    if facts["boot"] != state["boot"]:
        # The host was started anew: no process of that time lives.
        return "failed"
    words = facts.get("outcome", "").split()
    if not words:
        # crrestart writes "going" before it lets a tree run.
        return "failed" if facts.get("arrival") == "there" and not crrestart_lives(host, state) else ""
    if words[0] == "failed":
        return "failed"
    if words[0] == "running":
        return f"running {words[1]}"
    # "going": it stood just before the point of no return. While its crrestart lives it will say more.
    if crrestart_lives(host, state):
        return ""
    return f"running {words[1]}" if root_lives(facts) else "failed"


def facts_there(host, state):
    """What the other host has noted of the arrival; None: it does not tell."""
    text = host.ask(OUTCOME % shlex.quote(state["arrival"]), 15.0)
    return None if text is None or "boot " not in text else parse_facts(text)


def root_lives(facts):
    """Whether the process of the outcome is there, and no other one of its number."""
    words, alive = facts.get("outcome", "").split(), facts.get("start", "").split()
    return len(words) > 2 and len(alive) == 2 and alive[0] not in "ZX" and alive[1] == words[2]


def crrestart_lives(host, state):
    """Whether a crrestart of this arrival is there still; it may be so where the host does not tell."""
    pattern = shlex.quote(state["arrival"] + "/outcome")
    script = f"for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/cmdline 2> /dev/null | grep -qxF {pattern} && echo lives; done; echo done"
    text = host.ask(script, 15.0)
    return text is None or "done" not in text or "lives" in text


def resolve(folder, seconds):
    """Asks the other host and finishes: "running PID", "failed" (the tree goes on here), or "" if it cannot be told yet."""
    with open(os.path.join(folder, "state.json")) as file:
        state = json.load(file)
    deadline = time.monotonic() + seconds
    while True:
        outcome = outcome_there(state)
        if outcome:
            break
        if time.monotonic() > deadline:
            return ""
        time.sleep(1.0)
    host = Host(state["host"], shlex.join(state["ssh"]))
    if state["move_address"] and outcome.startswith("running"):
        host.ask(SHOW % address_move(state["move_address"], state["arrival"]))
    finish(folder, state, "moved" if outcome.startswith("running") else "release")
    if state["move_address"] and outcome == "failed":
        put_address_back(host, state)
    return outcome


def put_address_back(host, state):
    move = address_move(state["move_address"], state["arrival"])
    host.ask(f"ip address del {shlex.quote(move['address'])} dev {move['device']}\nnft delete table inet {move['table']}")
    run_quietly(f"ip address add {shlex.quote(move['address'])} dev {move['device']}\n" + SHOW % move)


def finish(folder, state, word):
    order(folder, word)
    deadline = time.monotonic() + 60
    while start_time(state["keeper"]) == state["keeper_start"] and time.monotonic() < deadline:
        time.sleep(0.02)
