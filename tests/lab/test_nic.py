#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the 82574's driver promises, on a device that isn't ours: two e1000e of QEMU's on one wire.

lab-nic claims both and runs one case each time: queues, interrupts, checksums, VLANs, filters, MTU,
link, statistics. The cases are listed there.
"""

import functools
import os
import subprocess

import tap
import testpmd

GUESTS = {"kernel a": tap.Guest("--device", "e1000e,e1000e", timeout=300),
          "two nodes": tap.Guest("--numa", "--device", "e1000e,e1000e")}
NODES = "nodes"     # the case that takes two of them


def run(program, name, eal=testpmd.EAL):
    """One case in a process of its own."""
    bus = testpmd.allow(*os.environ["LAB_PCI"].split())
    try:
        done = subprocess.run([program, name, *bus, *eal], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              errors="replace", timeout=testpmd.PATIENCE, check=False)
    except subprocess.TimeoutExpired as late:
        raise tap.Failure(f"not done after {late.timeout} s: {late.stdout}") from None
    tap.check(done.returncode == 0, f"lab-nic ended with {done.returncode} and said:\n"
                                    f"{done.stdout}")


def cases(guest, settings):
    """As lab-nic lists them."""
    if guest == "two nodes":
        yield NODES, lambda: run(settings.program, NODES, ("-l", "0-1", "--in-memory"))
        return
    listed = subprocess.run([settings.program, "--list"], stdout=subprocess.PIPE, text=True,
                            check=True)
    for name in listed.stdout.split():
        if name != NODES:
            yield name, functools.partial(run, settings.program, name)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
