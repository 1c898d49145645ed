"""Moves a running tree of processes to another host, over ssh.

    crmigrate PID --to HOST [OPTION...]       move the tree of PID
    crmigrate PID --to HOST --check           compare the two hosts; nothing stops
    crmigrate --resolve DIR                   finish a migration whose connection was lost in the instant of the decision

Both hosts need crcheckpoint and crrestart, the static commands, and nothing else; --install copies them there. While the image
travels the tree stands still here; with --rounds most of it travels while the tree runs. The tree is ended here only after the
other host has said that it runs there. Whatever fails before that, it goes on here as if nothing had happened. If the connection
is lost just when the other host was told to go, neither side guesses: the tree stays stopped here, and --resolve asks again.

With --lazy it runs there before its pages are there: they are fetched from an image that is kept here. That has a price: if the
connection or this host is lost before the last page has come, the tree is ended there. Its image stays here, and crrestart goes on
from the moment in which it left; what it has done there since is lost.

Exit status: 0 moved; 1 it failed, the tree goes on here; 3 a host cannot do it; 4 the tree holds something that cannot be saved;
5 undecided: the tree is stopped here, crmigrate --resolve finishes it; 6 with --lazy: the
connection was lost while pages were missing, the tree was ended there, and its image is here; 64 wrong usage.
"""

import argparse
import json
import os
import re
import signal
import sys

from migration.comparison import check
from migration.failures import Failed
from migration.finishing import resolve_command
from migration.hosts import Host, install, tool
from migration.move import Migration


def rate(text):
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not found:
        raise argparse.ArgumentTypeError("a number of bytes per second with K, M or G is expected")
    return int(found[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[found[2]]


def positive(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("a whole number above 0 is expected")
    return int(text)


def parse():
    parser = argparse.ArgumentParser(prog="crmigrate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pid", type=int, nargs="?", metavar="PID", help="the root of the tree")
    parser.add_argument("--to", metavar="HOST", help="the other host, as ssh knows it")
    parser.add_argument("--ssh", default=os.environ.get("CRMIGRATE_SSH", "ssh -o BatchMode=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=3"), metavar="COMMAND",
                        help="the ssh to use, with its options (or $CRMIGRATE_SSH)")
    parser.add_argument("--check", action="store_true", help="compare the hosts in a table; nothing stops")
    parser.add_argument("--facts", metavar="FILE", help="with --check: facts of the other host from a file in place of the host")
    parser.add_argument("--install", action="store_true", help="copy the commands to the other host if it lacks them")
    parser.add_argument("--sync", action="append", default=[], metavar="DIR", help="bring a folder with rsync, before and again while the tree stands still; may be repeated")
    parser.add_argument("--move-address", metavar="ADDRESS/LENGTH/DEVICE", help="take an address off here and put it on there while the tree stands still")
    parser.add_argument("--with-files", metavar="WHICH", help="files that the image carries: programs, open, all (crcheckpoint)")
    parser.add_argument("--rounds", type=positive, metavar="N", help="take and send up to N images while the tree runs, each with what has changed since the one before, until one is small or hardly smaller than that; then the tree stops for the rest (10 with --max-stop)")
    parser.add_argument("--max-stop", type=positive, metavar="MS", help="end the rounds when the rest can be moved within MS milliseconds, as far as the last round tells; if that does not come about the tree stays here")
    parser.add_argument("--lazy", action="store_true", help="let the tree run there at once: its pages are fetched when they are touched, the others in the background. If the connection is lost before the last one has come the tree is ended there, and its image stays here")
    parser.add_argument("--spool", metavar="DIR", help="where the images of --rounds and --lazy are kept here meanwhile (~/.local/state/treerestore)")
    parser.add_argument("--compress", metavar="HOW", help="compress pages: zstd, zstd:LEVEL, lz4 (crcheckpoint)")
    parser.add_argument("--sign", metavar="KEY", help="sign the image (crcheckpoint)")
    parser.add_argument("--verify-key", metavar="KEY", help="the public key of --sign, a file there (crrestart)")
    parser.add_argument("--encrypt", metavar="KEYFILE", help="encrypt the image (crcheckpoint)")
    parser.add_argument("--decrypt", metavar="KEYFILE", help="the key of --encrypt, a file there (crrestart); the same path as here if not given")
    parser.add_argument("--bandwidth", type=rate, metavar="BYTES", help="send no more than this many bytes per second (K, M, G)")
    parser.add_argument("--no-pidns", action="store_true", help="restart outside of a new pid namespace, with the old pids")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="OPTION", help="an option for crcheckpoint, --checkpoint=--external=ID; may be repeated")
    parser.add_argument("--restart", action="append", default=[], metavar="OPTION", help="an option for crrestart, --restart=--fd=0=null; may be repeated")
    parser.add_argument("--crcheckpoint", metavar="PATH", help="the command here")
    parser.add_argument("--crrestart", dest="remote_crrestart", default="", metavar="PATH", help="the command there")
    parser.add_argument("--answer-within", type=float, default=60.0, metavar="S", help="how long the other host may be silent once it has the image (60)")
    parser.add_argument("--resolve", metavar="DIR", help="finish a migration that is undecided")
    parser.add_argument("--resolve-for", type=float, default=30.0, metavar="S", help="how long an undecided outcome is asked for (30)")
    parser.add_argument("--as-if", choices=["running", "failed"], help="with --resolve: do not ask; the tree runs there, or does not, for certain")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument("--quiet", action="store_true", help="print no stages")
    options = parser.parse_args()
    if options.resolve:
        return options
    if options.pid is None or not options.to and not options.facts:
        parser.error("PID and --to HOST are needed, or --resolve DIR")
    options.to = options.to or "(facts)"
    if options.max_stop and not options.rounds:
        options.rounds = 10
    if options.rounds and (options.sign or options.encrypt):
        parser.error("--sign and --encrypt make one sealed image, which no other can be compared with: --rounds and --max-stop exclude them (ssh encrypts and proves what it carries)")
    if options.lazy and (options.sign or options.encrypt or options.compress):
        parser.error("--lazy fetches pages from any place of a plain image: --compress, --sign and --encrypt exclude it (ssh -C compresses)")
    distribute(options)
    return options


def distribute(options):
    """Which options go to which call of which command."""
    files = ["--with-files", options.with_files] if options.with_files else []
    pages = ["--compress", options.compress] if options.compress else []
    seal = [*(["--sign", options.sign] if options.sign else []), *(["--encrypt", options.encrypt] if options.encrypt else [])]
    options.checkpoint_to_look = options.checkpoint + files
    options.every_checkpoint = options.checkpoint + pages
    options.last_checkpoint = options.checkpoint + pages + files + seal
    decrypt = options.decrypt or options.encrypt
    options.every_restart = [
        *([] if options.no_pidns else ["--pidns"]), *options.restart, *(["--verify-key", options.verify_key] if options.verify_key else []),
        *(["--decrypt", decrypt] if decrypt else [])]


def main():
    try:
        options = parse()
    except SystemExit as end:
        sys.exit(64 if end.code == 2 else end.code)
    # An end from outside is a failure like any other: the tree goes on here.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, interrupted)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        if options.resolve:
            return resolve_command(options)
        host = Host(options.to, options.ssh)
        if not options.remote_crrestart:
            options.remote_crrestart = "crrestart"
            if options.install and not options.check:
                here = tool(options.crcheckpoint, "crcheckpoint")
                commands = [os.path.join(os.path.dirname(here), name) for name in ("crcheckpoint", "crrestart", "crimage")]
                options.remote_crrestart = install(host, commands) + "/crrestart"
        if options.check:
            return check(options, host)
        return Migration(options, host).run()
    except Failed as error:
        if getattr(options, "json", False):
            print(json.dumps({"error": str(error), "status": error.status}))
        print(f"crmigrate: {error}", file=sys.stderr)
        return error.status


def interrupted(number, _):
    raise Failed(f"interrupted by {signal.Signals(number).name}; the tree goes on here")
