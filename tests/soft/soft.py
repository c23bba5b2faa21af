# SPDX-License-Identifier: BSD-3-Clause
"""Software devices for tests: plx-softdev, and plx-testpmd on its sockets.

What the lab's tests have for running plx-testpmd and for reporting cases serves here, too.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import tap      # pylint: disable=wrong-import-position
import testpmd  # pylint: disable=wrong-import-position

PATIENCE = 60               # seconds for what takes one
HUGEPAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
NEEDED = 80                 # hugepages: 128 MiB of EAL's, and rings
STARTED = {"nic": "an 82574L", "nvme": "an NVMe controller"}   # what plx-softdev says then
# Without hugepages memory comes from a memfd, which the other process maps just as well
MEMFD = ("-l", "0", "-m", "128", "--no-huge")


def eal():
    """Options that suit the hugepages that there are."""
    return testpmd.EAL if free_hugepages() >= NEEDED else MEMFD


def free_hugepages():
    """How many of 2 MiB nobody uses."""
    return int(HUGEPAGES.read_text(encoding="ascii")) if HUGEPAGES.exists() else 0


class Programs:
    """What is tested, from the command line."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--packets", type=int, default=20000, help="in each case")
        parser.add_argument("--kills", type=int, default=50, help="of each end")
        parser.add_argument("--nvme", help="plx-nvme")
        parser.add_argument("--nvme-perf", help="plx-nvme-perf")
        parser.add_argument("--read-block", help="doc/examples/read_block")
        parser.add_argument("softdev", metavar="PLX-SOFTDEV")
        parser.add_argument("testpmd", metavar="PLX-TESTPMD")
        options = parser.parse_args()
        self.packets, self.kills = options.packets, options.kills
        self.softdev = os.path.abspath(options.softdev)
        self.testpmd = os.path.abspath(options.testpmd)
        self.nvme, self.nvme_perf = options.nvme, options.nvme_perf
        self.read_block = options.read_block


class Softdev:
    """plx-softdev while it serves; see serving()."""

    def __init__(self, process, err, sockets):
        self.process, self._err, self.sockets = process, err, sockets

    def said(self):
        """Its standard error so far."""
        self._err.seek(0)
        return self._err.read()

    def bus(self):
        """The options that give plx-testpmd these devices."""
        return [word for path in self.sockets for word in ("-a", f"user:{path}")]

    def descriptors(self):
        """How many are open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_for(self, condition, what):
        """Until it holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            tap.check(self.process.poll() is None, f"plx-softdev is gone: {self.said()}")
            tap.check(time.monotonic() < deadline, f"{what}: not within {PATIENCE} s")
            time.sleep(0.01)

    def end(self):
        """Ask it to end; returns its summary: a dict for each card, or for the controller."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE)
        tap.check_equal(self.process.returncode, 0, f"plx-softdev said {self.said()}; its end")
        for path in self.sockets:
            tap.check(not os.path.exists(path), f"{path} is left behind")
        (summary,) = json.loads(out).values()
        return summary


def run(program, *words):
    """Run to the end."""
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, check=False)


@contextlib.contextmanager
def serving(programs, directory, *options, cards=1, kind="nic"):
    """Start plx-softdev with sockets in a directory, and yield a Softdev."""
    sockets = [os.path.join(directory, f"{kind}{i}") for i in range(cards)]
    words = [programs.softdev, kind, "--json"]
    for path in sockets:
        words += ["--socket", path]
    with tempfile.TemporaryFile("a+", encoding="utf-8") as err:
        process = subprocess.Popen([*words, *options], stdout=subprocess.PIPE, stderr=err,
                                   stdin=subprocess.DEVNULL, text=True)
        try:
            served = Softdev(process, err, sockets)
            served.wait_for(lambda: served.said().count(STARTED[kind]) == cards, "its start")
            yield served
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


@contextlib.contextmanager
def wired(programs, *options):
    """Two cards back to back, in a directory of their own."""
    with tempfile.TemporaryDirectory() as directory, \
            serving(programs, directory, "--wire", *options, cards=2) as served:
        yield served


def main(cases):
    """Run the cases; `cases(programs)` gives (name, function) pairs."""
    sys.exit(tap.run_cases(cases(Programs())))
