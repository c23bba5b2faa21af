#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets of 64 to 9,000 bytes over every access mode: sent, sent back by the other card, checked.

Port 0 sends numbered packets and compares what comes back with what it sent; port 1 forwards, so
that each packet goes over the wire once each way. One size after the other is used.
"""

import functools
import os
import re
import signal
import subprocess

import tap
import testpmd

SMALLEST, LARGEST = 64, 9000
CARDS = ("--device", "e1000e,e1000e")

GUESTS = {
    "kernel a": tap.Guest(*CARDS, timeout=600),
    "kernel b": tap.Guest("--kernel", "b", *CARDS, timeout=400),
    "kernel a, no IOMMU": tap.Guest("--iommu", "none", *CARDS),
    "kernel c": tap.Guest("--kernel", "c", *CARDS),
    "kernel c, no IOMMU": tap.Guest("--kernel", "c", "--iommu", "none", *CARDS),
    "an IOMMU of 39 bits": tap.Guest("--aw-bits", "39", *CARDS),
    "a virtio IOMMU": tap.Guest("--iommu", "virtio", *CARDS),
}
# The IOMMU is too narrow for virtual addresses
ALLOCATED = ("an IOMMU of 39 bits",)


def wire_bytes(packets):
    """The bytes of that many packets, sizes going round from SMALLEST to LARGEST."""
    rounds, rest = divmod(packets, LARGEST - SMALLEST + 1)
    once = sum(range(SMALLEST, LARGEST + 1))
    return rounds * once + sum(range(SMALLEST, SMALLEST + rest))


def forward(program, modes, packets, addresses="VA"):
    """Verify on port 0, io on port 1, each in its access mode."""
    cards = os.environ["LAB_PCI"].split()
    bus = [word for address, mode in zip(cards, modes)
           for word in testpmd.allow(address, mode=mode)]
    if any(mode.startswith("noiommu") for mode in modes):
        bus.append("--allow-noiommu")
    run = testpmd.run(program, bus, [
        "--forward-mode=verify,io", "--port-topology=loop", f"--packets={packets}",
        f"--txpkts={SMALLEST}-{LARGEST}", f"--max-pkt-len={LARGEST + 18}", "--json"], timeout=150)
    tap.check(run.code == 0, str(run))
    report = run.report
    ports = report["ports"]
    tap.check_equal([port["access_mode"] for port in ports], list(modes), "access modes")
    tap.check_equal(report["addresses"], addresses, "addresses")
    verify = report["streams"][0]["verify"]
    tap.check_equal(verify, {"sent": packets, "intact": packets, "lost": 0, "damaged": 0,
                             "duplicated": 0, "reordered": 0, "in_flight": 0}, "verify")
    for port in ports:
        for way in "rx", "tx":
            tap.check_equal(port[f"{way}_packets"], packets, f"port {port['port']} {way}_packets")
            # Without the checksum that the device adds and takes off
            tap.check_equal(port[f"{way}_bytes"], wire_bytes(packets),
                            f"port {port['port']} {way}_bytes")
    for line in card_lines(run, cards):
        print(f"# {line}")
    print(f"# {packets / report['seconds']:.0f} packets/s each way", flush=True)


def card_lines(run, cards):
    """The one line for each card."""
    for card in cards:
        lines = run.lines(card)
        tap.check_equal(len(lines), 1, f"lines about {card} ({lines})")
        yield lines[0]


def no_system_calls(program):
    """Traced while it forwards, the forwarding thread calls nothing; the other threads do."""
    trace = "/tmp/trace"
    period = "  RX-pps  "
    bus = testpmd.allow(*os.environ["LAB_PCI"].split())
    with testpmd.forwarding(program, bus, ["--forward-mode=verify,io", "--port-topology=loop",
                                           "--stats-period=1"]) as run:
        try:
            strace = subprocess.Popen(["strace", "-f", "-o", trace, "-p", str(run.process.pid)],
                                      stderr=subprocess.DEVNULL)
        except OSError:
            raise tap.Skip("no strace here: apt-get install strace") from None
        while not os.path.exists(trace) or not os.path.getsize(trace):
            tap.check(strace.poll() is None, f"strace ended with {strace.returncode}")
            run.wait_for(run.said().count(period) + 1, period)
        before = run.said().count(period)
        run.wait_for(before + 2, period)
        strace.send_signal(signal.SIGINT)
        strace.wait(testpmd.PATIENCE)
        packets = [int(count) for count in re.findall(r"^ +0 +(\d+)", run.said(), re.M)]
        run.end()
    with open(trace, encoding="utf-8", errors="replace") as handle:
        calls = [line.split(None, 1) for line in handle.read().splitlines()]
    forwarder = [call for thread, call in calls if thread == str(run.process.pid)]
    moved = packets[before + 1] - packets[before - 1]
    print(f"# {moved} packets received on port 0 while strace was attached; system calls: "
          f"{len(forwarder)} of the thread that forwards, {len(calls) - len(forwarder)} of others")
    tap.check(moved > 0, "no packets were forwarded while strace was attached")
    tap.check_equal(forwarder, [], "system calls of the thread that forwards")
    tap.check(calls, "strace saw no thread")


def cases(guest, settings):
    """The access modes that a guest has; those that another guest has too with fewer packets."""
    many, few, program = settings.packets, settings.packets // 10, settings.program
    modes = {
        "kernel a": {"cdev": many, "type1v2": many, "type1": many, "compat": many},
        "kernel b": {"type1v2": many, "type1": few, "cdev": few},
        "kernel c": {"cdev": few, "type1v2": few},
        "kernel a, no IOMMU": {"noiommu": many},
        "kernel c, no IOMMU": {"noiommu-cdev": many},
        "an IOMMU of 39 bits": {"cdev": few, "type1v2": few},
        "a virtio IOMMU": {"cdev": few, "type1v2": few},
    }[guest]
    addresses = "PA" if "no IOMMU" in guest else "ALLOC" if guest in ALLOCATED else "VA"
    for mode, packets in modes.items():
        yield f"{mode}: {packets} packets each way", functools.partial(
            forward, program, (mode, mode), packets, addresses)
    if guest == "kernel a":
        for pair, packets in (("cdev", "type1v2"), many), (("type1", "cdev"), few):
            yield f"{pair[0]} and {pair[1]} in one process: {packets} packets each way", \
                functools.partial(forward, program, pair, packets)
        yield "the forwarding loop makes no system calls", functools.partial(
            no_system_calls, program)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
