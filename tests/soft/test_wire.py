#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets of 64 to 9,000 bytes between two wired software cards: each one comes back as it was.

Port 0 sends numbered packets and compares what comes back; port 1 forwards.
"""

import functools

import soft
import tap
import testpmd

VERIFY = ["--forward-mode=verify,io", "--port-topology=loop", "--json"]
LARGE = ["--max-pkt-len=9018"]
SHAPES = {
    "64 to 1,514 bytes": ["--txpkts=64-1514"],
    "64 to 9,000 bytes, in several buffers": ["--txpkts=64-9000", *LARGE],
    "64 to 9,000 bytes, in one buffer": ["--txpkts=64-9000", *LARGE, "--mbuf-size=10368"],
    "1,450 bytes in buffers of 256": [f"--txpkts={','.join(['145'] * 10)}", "--mbuf-size=384"],
    "of five segments": ["--txpkts=64,100,1,700,135"],
    "checksums checked": ["--txpkts=64-1514", "--enable-rx-cksum"],
    "64 bytes, 2,048 under way": ["--txpkts=64", "--window=2048", "--rxd=4096", "--txd=4096"],
    "rings of 64": ["--txpkts=64-1514", "--rxd=64", "--txd=64", "--window=16"],
}


def verify(programs, served, options, eal):
    """One run; returns its report."""
    run = testpmd.run(programs.testpmd, served.bus(),
                      [*VERIFY, f"--packets={programs.packets}", *options], eal)
    tap.check_equal(run.code, 0, f"{run}\n{served.said()}; exit code")
    result = run.report["streams"][0]["verify"]
    tap.check_equal((result["intact"], result["lost"], result["damaged"], result["duplicated"]),
                    (programs.packets, 0, 0, 0), "intact, lost, damaged and duplicated")
    for port in run.report["ports"]:
        tap.check_equal(port["access_mode"], "user", "access mode")
    return run.report


def shape(programs, options, eal):
    """Packets of one shape; the cards and plx-testpmd agree on how many there were."""
    with soft.wired(programs) as served:
        report = verify(programs, served, options, eal)
        cards = served.end()
    for port, card in zip(report["ports"], cards):
        for ours, theirs in (("rx_packets", "rx_packets"), ("tx_packets", "tx_packets"),
                             ("tx_errors", "errors"), ("rx_missed", "missed")):
            tap.check_equal(port[ours], card[theirs], f"{ours} of {card['socket']}")
        tap.check_equal(card["unknown_registers"], 0, "accesses to unknown registers")


def again(programs):
    """Clients come and go, and the cards are as new for each."""
    with soft.wired(programs) as served:
        before = served.descriptors()
        for _ in range(3):
            verify(programs, served, SHAPES["64 to 1,514 bytes"], soft.eal())
            served.wait_for(lambda: served.descriptors() == before, "its descriptors closed")
        cards = served.end()
    tap.check_equal([card["clients"] for card in cards], [3, 3], "clients")


def two_queues(programs):
    """Flows are spread over two queues by their hash, and none is lost."""
    with soft.wired(programs) as served:
        run = testpmd.run(programs.testpmd, served.bus(),
                          ["--forward-mode=txonly,rxonly", "--rxq=2", "--txq=2",
                           "--txonly-multi-flow", f"--packets={programs.packets}", "--json"],
                          soft.eal())
        tap.check_equal(run.code, 0, f"{run}; exit code")
        sender, receiver = served.end()
    queues = [stream["rx_packets"] for stream in run.report["streams"] if stream["rx_port"] == 1]
    tap.check(len(queues) == 2 and all(queues), f"packets on each queue: {queues}")
    tap.check_equal((sum(queues), receiver["rx_packets"]), (sender["tx_packets"],) * 2,
                    "received in all")


def dropping(programs):
    """With --drop a sender doesn't wait, and what is lost is counted as missed.

    Both ports send and nobody receives: what the rings have buffers for arrives, and no more.
    """
    with soft.wired(programs, "--drop") as served:
        run = testpmd.run(programs.testpmd, served.bus(),
                          ["--forward-mode=txonly", "--seconds=1", "--rxd=512", "--json"],
                          soft.eal())
        tap.check_equal(run.code, 0, f"{run}; exit code")
        cards = served.end()
    for port, card, other in zip(run.report["ports"], cards, reversed(cards)):
        tap.check_equal(card["rx_packets"], 511, "packets that there were buffers for")
        # The port that stops first doesn't listen to what is still under way
        tap.check_equal(card["rx_packets"] + card["missed"] + card["filtered"],
                        other["tx_packets"], "received, missed and filtered")
        tap.check(0 < port["rx_missed"] <= card["missed"],
                  f"rx_missed is {port['rx_missed']}, the card says {card['missed']}")


def cases(programs):
    """The test."""
    for name, options in SHAPES.items():
        yield name, functools.partial(shape, programs, options, soft.eal())
    yield "memory without hugepages", functools.partial(
        shape, programs, SHAPES["64 to 9,000 bytes, in several buffers"], soft.MEMFD)
    yield "clients come and go", functools.partial(again, programs)
    yield "two queues", functools.partial(two_queues, programs)
    yield "dropping is counted", functools.partial(dropping, programs)


if __name__ == "__main__":
    soft.main(cases)
