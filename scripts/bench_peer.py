"""The table of scripts/bench that compares with another tool, in the same rounds.

BENCH_PEER_CHECKPOINT and BENCH_PEER_RESTART hold command lines for `sh -c`. `{pid}` is the root of the tree, and `{directory}`
an empty directory for the images. The first ends the tree. The second returns when the tree runs again, in the background, with
its old pids.
"""

import os
import shutil
import statistics
import subprocess
import time


class Peer:
    """The other tool; `from_environment` is None if no tool is named."""

    def __init__(self, checkpoint, restart):
        self.checkpoint, self.restart = checkpoint, restart

    @staticmethod
    def from_environment():
        checkpoint, restart = (os.environ.get("BENCH_PEER_" + name) for name in ("CHECKPOINT", "RESTART"))
        if not checkpoint and not restart:
            return None
        if not checkpoint or not restart:
            raise SystemExit("bench: BENCH_PEER_CHECKPOINT and BENCH_PEER_RESTART are wanted both")
        return Peer(checkpoint, restart)

    def measure(self, bench, case):
        """One round: checkpoint, then restart, of a tree of its own. Seconds and bytes."""
        tree = bench.start(case.command(bench), case.ready)
        images = os.path.join(bench.directory, "peer")
        os.mkdir(images)
        row = {"dump": timed(self.checkpoint, tree.pid, images)}
        tree.wait()
        row["bytes"] = sum(os.stat(os.path.join(path, name)).st_size for path, _, names in os.walk(images) for name in names)
        row["restart"] = timed(self.restart, tree.pid, images)
        bench.end(tree.pid, case)
        shutil.rmtree(images)
        return row


def timed(template, pid, directory):
    command = template.replace("{pid}", str(pid)).replace("{directory}", directory)
    begin = time.monotonic()
    done = subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(f"bench: {command} ended with {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}")
    return seconds


def print_table(rows):
    """`rows`: the name of a tree, our rounds, the other tool's rounds."""
    print("\n| tree | our dump | its dump | ours / its | our restart | its restart | ours / its | our image / its |")
    print("|---|---|---|---|---|---|---|---|")
    for name, ours, its in rows:
        cells = []
        for key in ("dump", "restart"):
            mine, other = (statistics.median(one[key] for one in rounds) for rounds in (ours, its))
            cells += [f"{mine * 1000:.1f} ms", f"{other * 1000:.1f} ms", f"{mine / other:.2f}"]
        sizes = [statistics.median(one["bytes"] for one in rounds) for rounds in (ours, its)]
        print("| " + " | ".join([name, *cells, f"{sizes[0] / max(sizes[1], 1):.2f}"]) + " |", flush=True)
