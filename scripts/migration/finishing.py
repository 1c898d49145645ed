"""`crmigrate --resolve`: finishes a migration that is undecided."""

import json
import os
import shlex
import shutil
import sys

from migration.address import run_quietly
from migration.arrival import remove
from migration.failures import Failed
from migration.hosts import Host, state_folder
from migration.late import ended_there, pages_there, undecided
from migration.resolving import finish, resolve
from migration.rounds import Spool


def resolve_command(options):
    folder = options.resolve
    if not os.path.exists(os.path.join(folder, "state.json")):
        raise Failed(f"cannot resolve {folder}: ENOENT (it holds no state of a migration)", 64)
    with open(os.path.join(folder, "state.json")) as file:
        state = json.load(file)
    if options.as_if:
        finish(folder, state, "moved" if options.as_if == "running" else "release")
        outcome = options.as_if
    else:
        outcome = resolve(folder, options.resolve_for)
    if not outcome:
        print(f"crmigrate: still undecided: {state['host']} does not tell; the tree of {state['pid']} stays stopped here", file=sys.stderr)
        return 5
    image = state.get("image")
    if state.get("untrack") and outcome == "failed":
        run_quietly(state["untrack"])
    pages = "complete"
    if image and not options.as_if and outcome.startswith("running"):
        pages = pages_there(state, options.resolve_for)
        if not pages:
            print(f"crmigrate: still undecided: {undecided(folder, state)}", file=sys.stderr)
            return 5
    sentence = ended_there(state) if pages == "ended" else None
    shutil.rmtree(folder, ignore_errors=True)
    if image and pages == "complete" and not options.as_if:
        Spool.remove_kept(image)
    Spool.sweep(state_folder())
    for line in remove(Host(state["host"], shlex.join(state["ssh"])), state["arrival"]):
        print(f"crmigrate: {state['host']}: {line}", file=sys.stderr)
    if sentence:
        raise Failed(sentence, 6)
    if outcome.startswith("running"):
        print(f"the tree of {state['pid']} runs on {state['host']}; it is ended here{f' ({image} is kept)' if image and options.as_if else ''}")
    else:
        print(f"the tree of {state['pid']} does not run on {state['host']}; it goes on here")
    return 0
