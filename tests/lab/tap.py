# SPDX-License-Identifier: BSD-3-Clause
"""Test cases inside a guest, and passing them on to meson as one TAP stream.

A test program has both sides in one file:

    GUESTS = {"kernel a": Guest("--device", "e1000e,e1000e")}

    def cases(guest, program):
        yield "name of the case", function

    tap.main(__file__, GUESTS, cases)

Started on the host it boots each guest in turn and starts itself in it; in the guest it runs the
cases. What a guest doesn't report, because it died or ran out of time, counts as a failure.

But if it was QEMU that crashed, another guest goes on with the case that was running. QEMU's models
have faults of their own where controllers are reset under load and cards vanish; one that strikes
at the same case again and again is taken for ours.

With Guest(..., monitor=True) a case may have the host tell QEMU something, by host_qmp(). And
Guest(..., host=function) is a guest that needs something of the host around it: function(settings)
is a context manager, which yields more options for the guest, and what it raises is reported.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

import qmp

LAB = pathlib.Path(__file__).resolve().parent / "lab"
EXIT_UNAVAILABLE = 77       # of the lab: this machine lacks something
CASE = re.compile(r"(not )?ok - (.*)")
QMP = "qmp "                # how a line to be carried out on the host begins
CRASHED = re.compile(r"lab: QEMU ended with -\d+\b")
CRASHES = 5                 # of QEMU in one case, and then it has failed


class Guest:
    """The options of `lab run` for one guest, and how long it may live."""

    def __init__(self, *options, timeout=300, monitor=False, host=None):
        self.options = options
        self.timeout = timeout
        self.monitor = monitor
        self.host = host


class Skip(Exception):
    """Raised by a case that can't run here; the text says why."""


class Failure(Exception):
    """Raised by a case that failed; the text says what was wanted and what was found."""


def check(condition, text):
    """Fail the case unless `condition`."""
    if not condition:
        raise Failure(text)


def check_equal(found, wanted, what):
    """Fail the case unless `found` is `wanted`."""
    check(found == wanted, f"{what}: {found!r}, wanted {wanted!r}")


def host_qmp(command, **arguments):
    """In a guest: have the host give QEMU a command. There is no answer but what happens."""
    print(QMP + json.dumps([command, arguments]), flush=True)


@dataclasses.dataclass
class Settings:
    """What the test program was told on its command line."""

    program: str            # plx-testpmd
    packets: int            # for each forwarding case


def main(path, guests, cases):
    """Run the cases of all guests; `cases(guest name, settings)` gives (name, function) pairs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--guest", help="run the cases of this guest here, which is that guest")
    parser.add_argument("--done", type=int, default=0, help="the guest's first cases to leave out")
    parser.add_argument("--only", action="append", choices=[*guests], help="boot only this guest")
    parser.add_argument("--packets", type=int, default=100000, help="to forward in each case")
    parser.add_argument("program", metavar="PLX-TESTPMD")
    options = parser.parse_args()
    settings = Settings(os.path.abspath(options.program), options.packets)
    if options.guest:
        sys.exit(run_cases(cases(options.guest, settings), options.done))
    stream = _Stream()
    for name in options.only or guests:
        _with_host(stream, path, name, guests[name], settings)
    print(f"1..{stream.count}", flush=True)
    sys.exit(stream.failed != 0)


def run_cases(cases, done=0):
    """In the guest: one line for each case that is left, prefaced by their number."""
    cases = list(cases)[done:]
    print(f"1..{len(cases)}", flush=True)
    for name, function in cases:
        try:
            function()
        except Skip as skip:
            print(f"ok - {name} # SKIP {skip}", flush=True)
        except Failure as failure:
            _not_ok(name, str(failure))
        except Exception:       # pylint: disable=broad-except; any error is a failed case
            _not_ok(name, traceback.format_exc())
        else:
            print(f"ok - {name}", flush=True)
    return 0


def _not_ok(name, why):
    print(f"not ok - {name}")
    _explain(why)


def _explain(why):
    for line in why.splitlines():
        print(f"# {line}")
    sys.stdout.flush()


class _Stream:
    """The TAP stream of all guests together."""

    def __init__(self):
        self.count = self.failed = 0

    def case(self, name, bad=False):
        self.count += 1
        self.failed += bad
        print(f"{'not ' if bad else ''}ok {self.count} - {name}", flush=True)


def _with_host(stream, path, name, guest, settings):
    """On the host: one guest, in what it needs."""
    if not guest.host:
        _boot(stream, path, name, guest, settings, ())
        return
    try:
        with guest.host(settings) as options:
            _boot(stream, path, name, guest, settings, options)
    except Skip as skip:
        stream.case(f"{name} # SKIP {skip}")
    except Exception as error:      # pylint: disable=broad-except; any error is a failed case
        stream.case(f"{name}: the host's side", bad=True)
        _explain(str(error) if isinstance(error, Failure) else traceback.format_exc())
    else:
        stream.case(f"{name}: the host's side")


@dataclasses.dataclass
class _Ran:
    """What became of one guest."""

    planned: int = None         # cases, as it said
    seen: int = 0
    code: int = None            # the lab's
    said: list = dataclasses.field(default_factory=list)

    def crashed(self):
        """QEMU did, that is."""
        return any(CRASHED.match(line) for line in self.said)


def _boot(stream, path, name, guest, settings, options):
    """Guests until all cases are done: a second one only where QEMU crashed."""
    done = crashes = 0
    while True:
        ran = _boot_one(stream, path, name, guest, settings, options, done)
        done += ran.seen
        crashes = 1 if ran.seen else crashes + 1
        if not ran.crashed() or crashes == CRASHES:
            break
        print(f"# QEMU crashed in case {done + 1} of {name}: another guest goes on", flush=True)
    if ran.code == EXIT_UNAVAILABLE and ran.planned is None:
        stream.case(f"{name} # SKIP {ran.said[-1] if ran.said else 'the lab says 77 and no reason'}")
    elif ran.code or ran.planned != ran.seen:
        missing = ran.planned - ran.seen if ran.planned else "?"
        stream.case(f"{name}: the guest ended with {ran.code} after {done} cases, {missing} to go",
                    bad=True)


def _boot_one(stream, path, name, guest, settings, options, done):
    """One guest, its cases passed on as they come."""
    ran = _Ran()
    folder = tempfile.TemporaryDirectory(prefix="pollux-qmp-")
    monitor = os.path.join(folder.name, "socket")
    command = [sys.executable, str(LAB), "run", "--timeout", str(guest.timeout),
               *(("--qmp", monitor) if guest.monitor else ()),
               "--env", "ASAN_OPTIONS", "--env", "UBSAN_OPTIONS", *guest.options, *options, "--",
               "/usr/bin/python3", os.path.abspath(path), "--guest", name, "--done", str(done),
               "--packets", str(settings.packets), settings.program]
    with folder, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  stdin=subprocess.DEVNULL, text=True, errors="replace") as lab:
        for line in lab.stdout:
            line = line.rstrip()
            case = CASE.fullmatch(line)
            if case:
                ran.seen += 1
                stream.case(f"{name}: {case[2]}", bool(case[1]))
            elif ran.planned is None and re.fullmatch(r"1\.\.\d+", line):
                ran.planned = int(line[3:])
            elif guest.monitor and line.startswith(QMP):
                _execute(monitor, *json.loads(line[len(QMP):]))
            else:
                ran.said.append(line)
                print(line if line.startswith("#") else f"# {line}", flush=True)
    ran.code = lab.returncode
    return ran


def _execute(path, command, arguments):
    """What a case wants of QEMU. If it can't be done, the case will miss it."""
    try:
        with qmp.Monitor(path) as monitor:
            monitor.execute(command, **arguments)
    except (OSError, qmp.Error) as error:
        print(f"# QEMU: {error}", flush=True)
