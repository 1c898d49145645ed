"""The programs that scripts/bench, scripts/soak and scripts/fuzz run."""

import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def commands(given):
    """The folder of the commands: the one that was given, or that of the static ones, which scripts/build makes."""
    if given:
        return given
    built = subprocess.run([os.path.join(ROOT, "scripts/build")], stdout=subprocess.PIPE, check=True)
    return os.path.join(ROOT, os.path.dirname(built.stdout.decode().split()[0]))


def workloads(directory):
    """The path of the workloads, made in a directory."""
    sources = os.path.join(ROOT, "Tests/Workloads")
    made = os.path.join(directory, "Workloads")
    names = sorted(name for name in os.listdir(sources) if name.endswith(".c"))
    subprocess.run(
        ["cc", "-O2", "-D_GNU_SOURCE", "-o", made, "-pthread"] + [os.path.join(sources, name) for name in names], check=True)
    return made


def tests(given=None):
    """The folder of the tests and commands as scripts/test builds them."""
    if given:
        return given
    build = ["swift", "build", "-c", "release", "-Xswiftc", "-enable-testing"]
    subprocess.run(build + ["--build-tests"], stdout=subprocess.DEVNULL, cwd=ROOT, check=True)
    return subprocess.run(build + ["--show-bin-path"], stdout=subprocess.PIPE, cwd=ROOT, check=True).stdout.decode().strip()
