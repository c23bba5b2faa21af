#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The kernel pings a software card on a TAP interface; plx-testpmd answers.

All of it is in a network namespace of the test's own.
"""

import os
import re
import subprocess
import tempfile
import time

import soft
import namespace
import tap
import testpmd

PINGS = 1000
OURS, THEIRS = "192.0.2.1", "192.0.2.2"


def appears(served):
    """Until plx0 is there."""
    served.wait_for(lambda: namespace.has("plx0"), "plx0")


def interface(served):
    """Wait for plx0 and give it its address."""
    appears(served)
    namespace.set_up("plx0", OURS)


def ping(*options):
    """(received, sent)."""
    done = subprocess.run(["ping", "-q", *options, THEIRS], capture_output=True, text=True,
                          timeout=180, check=False)
    counts = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    tap.check(counts, f"ping said {done.stdout}{done.stderr}")
    return int(counts[2]), int(counts[1])


def pings(programs):
    """1,000 small ones, then large ones."""
    with tempfile.TemporaryDirectory() as directory, \
            soft.serving(programs, directory, "--tap", "plx0") as served:
        interface(served)
        options = ["--forward-mode=icmpecho", f"--ip=0,{THEIRS}"]
        with testpmd.forwarding(programs.testpmd, served.bus(), options, soft.eal()) as running:
            tap.check_equal(ping("-c", str(PINGS), "-i", "0.002"), (PINGS, PINGS), "pings")
            tap.check_equal(ping("-c", "100", "-i", "0.002", "-s", "1472"), (100, 100),
                            "pings of 1,514 bytes")
            report = running.end().report
        card = served.end()[0]
    tap.check(report["ports"][0]["rx_packets"] >= PINGS + 100, "all were received")
    tap.check_equal(card["missed"] + card["errors"], 0, "missed and errors")


def idle(programs):
    """It naps when nothing comes, and wakes for what comes then."""
    with tempfile.TemporaryDirectory() as directory, \
            soft.serving(programs, directory, "--tap", "plx0") as served:
        interface(served)
        options = ["--forward-mode=icmpecho", f"--ip=0,{THEIRS}"]
        with testpmd.forwarding(programs.testpmd, served.bus(), options, soft.eal()) as running:
            tap.check_equal(ping("-c", "1")[0], 1, "the first ping")
            time.sleep(0.5)
            before = processor_time(served)
            time.sleep(1)
            spent = processor_time(served) - before
            tap.check_equal(ping("-c", "1")[0], 1, "a ping after a nap")
            running.end()
    tap.check(spent < 0.9, f"{spent:.2f} s of processor time in a second of idleness")


def processor_time(served):
    """Seconds."""
    return time.clock_gettime(~served.process.pid << 3 | 2)


def taken(programs):
    """An interface that somebody has is not taken from them."""
    with tempfile.TemporaryDirectory() as directory, \
            soft.serving(programs, directory, "--tap", "plx0") as served:
        appears(served)
        for name, why in (("plx0", "another program"), ("lo", "no TAP"),
                          ("name-that-is-too-long", "no TAP interface")):
            done = subprocess.run([programs.softdev, "nic", "--socket", f"{directory}/more",
                                   "--tap", name], capture_output=True, text=True, timeout=60,
                                  check=False)
            tap.check_equal((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            tap.check(why in done.stderr, f"'{why}' isn't in {done.stderr}")
            tap.check(not os.path.exists(f"{directory}/more"), "a socket is left behind")


def cases(programs):
    """The test."""
    def skip():
        raise tap.Skip(missing)

    missing = namespace.enter("ping")
    for name, function in ((f"{PINGS} pings are answered", pings),
                           ("naps don't miss what comes", idle),
                           ("an interface that can't be had", taken)):
        yield name, skip if missing else lambda function=function: function(programs)


if __name__ == "__main__":
    soft.main(cases)
