# SPDX-License-Identifier: BSD-3-Clause
"""Running plx-testpmd in a guest."""

import contextlib
import json
import re
import signal
import subprocess
import tempfile
import time

import tap

EXIT_RUNTIME, EXIT_USAGE = 1, 2
PATIENCE = 60               # seconds for what takes one or two
# Tables and rings are small here, so one NUMA node and 128 MiB are plenty
EAL = ("-l", "0", "-m", "128", "--in-memory")


# A row of --stats-period, and its columns
COUNTERS = re.compile(r"^ +(\d+) +(\d+) +\d+ +\d+ +(\d+) +\d+ +(\d+)$", re.M)
RECEIVED, SENT, DROPPED = 1, 2, 3


class Run:
    """How a run of plx-testpmd ended."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def report(self):
        """What --json printed."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise tap.Failure(f"no JSON on standard output; {self}") from None

    def lines(self, address):
        """What was said about a device while starting."""
        return [line for line in self.err.splitlines() if f"POLLUX: {address}: " in line]

    def __str__(self):
        said = "\n".join((self.err + self.out).strip().splitlines()[-12:])
        return f"plx-testpmd ended with {self.code} and said:\n{said}"


def command(program, bus, options, eal=EAL):
    """A command line."""
    return [program, *bus, *eal, "--", *options]


def run(program, bus, options, eal=EAL, prefix=(), timeout=PATIENCE, **popen):
    """Run to the end; `prefix` is a program to start it with."""
    words = [*prefix, *command(program, bus, options, eal)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=timeout, check=False, **popen)
    except subprocess.TimeoutExpired as late:
        raise tap.Failure(f"not done after {timeout} s: {(late.stderr or b'')[-1000:]}") from None
    return Run(done.returncode, done.stdout, done.stderr)


def allow(*addresses, mode=None):
    """The bus options for some devices, in one access mode if it is given."""
    words = []
    for address in addresses:
        words += ["-a", f"{address},mode={mode}" if mode else address]
    return words


class Forwarding:
    """plx-testpmd while it forwards."""

    def __init__(self, process, err):
        self.process, self._err = process, err

    def said(self):
        """What it wrote to standard error so far."""
        self._err.seek(0)
        return self._err.read()

    def wait_for(self, count, text):
        """Until it has said `text` that many times."""
        deadline = time.monotonic() + PATIENCE
        while self.said().count(text) < count:
            if self.process.poll() is not None:
                raise tap.Failure(str(Run(self.process.returncode, "", self.said())))
            tap.check(time.monotonic() < deadline,
                      f"'{text}' not said {count} times in {PATIENCE} s; {self.said()[-1000:]}")
            time.sleep(0.05)

    def counted(self, port, column):
        """One column of a port's rows so far, which --stats-period prints."""
        rows = [[int(word) for word in row] for row in COUNTERS.findall(self.said())]
        return [row[column] for row in rows if row[0] == port]

    def go_on(self, *moves):
        """Until each (port, column) has grown between two rows that are yet to come."""
        deadline = time.monotonic() + PATIENCE
        for move, first in [(move, len(self.counted(*move))) for move in moves]:
            while len(set(self.counted(*move)[first:])) < 2:
                tap.check(time.monotonic() < deadline, f"port {move[0]}'s column {move[1]} has "
                          f"not grown in {PATIENCE} s: {self.said()[-1000:]}")
                time.sleep(0.05)

    def end(self, code=0):
        """Ask it to end, with that exit code; returns its Run."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=PATIENCE)
        run = Run(self.process.returncode, out, self.said())
        tap.check(run.code == code, str(run))
        return run


@contextlib.contextmanager
def forwarding(program, bus, options, eal=EAL):
    """Start plx-testpmd, wait until it forwards, and yield a Forwarding."""
    with tempfile.TemporaryFile("a+", encoding="utf-8", errors="replace") as err:
        process = subprocess.Popen(command(program, bus, [*options, "--json"], eal),
                                   stdout=subprocess.PIPE, stderr=err, text=True,
                                   stdin=subprocess.DEVNULL)
        try:
            started = Forwarding(process, err)
            started.wait_for(1, "Forwarding in bursts")
            yield started
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
