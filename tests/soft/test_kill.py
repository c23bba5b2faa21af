#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either end is killed while packets fly, over and over: the other one says so and goes on, and
nothing is left behind.
"""

import contextlib
import functools
import os
import tempfile
import time

import soft
import tap
import testpmd

FORWARD = ["--forward-mode=io", "--tx-first=4"]
VERIFY = ["--forward-mode=verify,io", "--port-topology=loop", "--packets=1000"]
RETURNS = 3
AWAY = 3.5      # seconds: three more tries
SMALL = ("-l", "0", "-m", "64", "--in-memory")


def memory():
    """EAL options, and how many hugepages are to be free again after each kill.

    Where there are too few, descriptors and sockets still show what is left behind.
    """
    free = soft.free_hugepages()
    return (SMALL, free) if free >= soft.NEEDED else (soft.MEMFD, 0)


def settle(condition, what):
    """Until it holds: the kernel takes its time after a kill."""
    deadline = time.monotonic() + soft.PATIENCE
    while not condition():
        tap.check(time.monotonic() < deadline, what)
        time.sleep(0.01)


def client_dies(programs):
    """The server lives through all of it, and serves the last client as the first."""
    eal, free = memory()
    with soft.wired(programs) as served:
        before = served.descriptors()
        for number in range(1, programs.kills + 1):
            with testpmd.forwarding(programs.testpmd, served.bus(), FORWARD, eal) as running:
                running.process.kill()
                running.process.wait()
            served.wait_for(lambda: served.descriptors() == before,
                            f"after kill {number}: {before} descriptors")
            settle(lambda: soft.free_hugepages() >= free, f"hugepages are lost, kill {number}")
        run = testpmd.run(programs.testpmd, served.bus(), VERIFY, eal)
        tap.check_equal(run.code, 0, f"{run}; exit code")
        cards = served.end()
    tap.check_equal([card["clients"] for card in cards], [programs.kills + 1] * 2, "clients")


def server_dies(programs):
    """The client says that its devices are lost, lives on, and ends when it is asked."""
    eal, free = memory()
    with tempfile.TemporaryDirectory() as directory:
        for number in range(1, programs.kills + 1):
            with soft.serving(programs, directory, "--wire", cards=2) as served, \
                    testpmd.forwarding(programs.testpmd, served.bus(), FORWARD, eal) as running:
                served.process.kill()
                served.process.wait()
                run = running.end(code=1)
            tap.check_equal(run.err.count("the device is lost"), 2, f"{run}; lines about it")
            settle(lambda: soft.free_hugepages() >= free, f"hugepages are lost, kill {number}")
        # What the last one left is no hindrance
        tap.check_equal(sorted(os.listdir(directory)), ["nic0", "nic1"], "files left")
        with soft.serving(programs, directory, "--wire", cards=2) as served:
            served.end()


def server_returns(programs):
    """The client takes its devices back, and forwarding goes on."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        served = stack.enter_context(soft.serving(programs, directory, "--wire", cards=2))
        running = stack.enter_context(testpmd.forwarding(
            programs.testpmd, served.bus(),
            ["--forward-mode=txonly,rxonly", "--stats-period=1"], soft.eal()))
        for number in range(1, RETURNS + 1):
            running.go_on((0, testpmd.SENT), (1, testpmd.RECEIVED))
            served.process.kill()
            served.process.wait()
            running.wait_for(2 * number, "was taken away")
            running.go_on((0, testpmd.DROPPED))
            served = stack.enter_context(soft.serving(programs, directory, "--wire", cards=2))
            running.wait_for(2 * number, "is back, access mode")
        running.go_on((0, testpmd.SENT), (1, testpmd.RECEIVED))
        report = running.end().report
        served.end()
    tap.check_equal([port["removals"] for port in report["ports"]], [RETURNS] * 2, "removals")
    tap.check_equal([port["present"] for port in report["ports"]], [True] * 2, "ports present")


def server_stays_away(programs):
    """What stands in the way of a device is said once, however often it is tried; and once more
    when the device has been back.
    """
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        served = stack.enter_context(soft.serving(programs, directory, "--wire", cards=2))
        running = stack.enter_context(testpmd.forwarding(
            programs.testpmd, served.bus(), FORWARD, soft.eal()))
        for number in 1, 2:
            served.process.kill()
            served.process.wait()
            running.wait_for(2 * number, "nobody serves")
            time.sleep(AWAY)
            tap.check_equal(running.said().count("nobody serves"), 2 * number,
                            f"{running.said()[-1000:]}; lines about it")
            if number == 1:
                served = stack.enter_context(soft.serving(programs, directory, "--wire", cards=2))
                running.wait_for(2, "is back, access mode")
        running.end(code=1)


def cases(programs):
    """The test."""
    yield f"{programs.kills} clients are killed", functools.partial(client_dies, programs)
    yield f"{programs.kills} servers are killed", functools.partial(server_dies, programs)
    yield f"a server that is killed comes back, {RETURNS} times", functools.partial(
        server_returns, programs)
    yield "a server that is killed stays away", functools.partial(server_stays_away, programs)


if __name__ == "__main__":
    soft.main(cases)
