#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A file is played into a card, plx-testpmd swaps the addresses, and the card's record has it all."""

import functools
import os
import random
import struct
import tempfile

import soft
import tap
import testpmd

MAGIC, LINKTYPE_ETHERNET = 0xa1b2c3d4, 1    # of a savefile, pcap-savefile(5)
SHORTEST = 60               # on the wire, without checksum


def frames(count):
    """Frames of 14 to 1,514 bytes, the same ones each time."""
    numbers = random.Random(82574)
    return [numbers.randbytes(numbers.randrange(14, 1515)) for _ in range(count)]


def write(path, contents, linktype=LINKTYPE_ETHERNET):
    """A savefile."""
    with open(path, "wb") as file:
        file.write(struct.pack("=IHHiIII", MAGIC, 2, 4, 0, 0, 65535, linktype))
        for i, frame in enumerate(contents):
            file.write(struct.pack("=IIII", i, 0, len(frame), len(frame)) + frame)


def read(path):
    """What a savefile holds."""
    with open(path, "rb") as file:
        tap.check_equal(struct.unpack("=I", file.read(24)[:4])[0], MAGIC, "magic")
        found = []
        while header := file.read(16):
            found.append(file.read(struct.unpack("=IIII", header)[2]))
    return found


def swapped(frame):
    """As macswap sends it, and a wire pads it."""
    return (frame[6:12] + frame[:6] + frame[12:]).ljust(SHORTEST, b"\0")


def play(programs, count, loops):
    """Played in, swapped, recorded."""
    with tempfile.TemporaryDirectory() as directory:
        source, record = os.path.join(directory, "in"), os.path.join(directory, "out")
        sent = frames(count)
        write(source, sent)
        with soft.serving(programs, directory, "--pcap-in", source, "--pcap-out", record,
                          "--loop", str(loops)) as served:
            run = testpmd.run(programs.testpmd, served.bus(), [
                "--forward-mode=macswap", "--port-topology=loop", "--no-flush-rx", "--json",
                # However slow the card is: nothing is dropped for want of a descriptor
                "--txd=2048", "--retry", f"--packets={count * loops}"], soft.eal())
            tap.check_equal(run.code, 0, f"{run}; exit code")
            tap.check_equal(run.report["ports"][0]["tx_dropped"], 0, f"{run}; tx_dropped")
            tap.check("played to the end" in served.said(), "it wasn't played to the end")
            card = served.end()[0]
        tap.check_equal((card["rx_packets"], card["tx_packets"], card["missed"]),
                        (count * loops, count * loops, 0), "received, sent and missed")
        wanted = [swapped(frame) for frame in sent] * loops
        found = read(record)
        tap.check_equal(len(found), len(wanted), "frames recorded")
        for i, (one, other) in enumerate(zip(found, wanted)):
            tap.check(one == other, f"frame {i} isn't as it was")


def refused(programs):
    """What can't be played or recorded is said in a line."""
    with tempfile.TemporaryDirectory() as directory:
        names = {name: os.path.join(directory, name) for name in ("none", "text", "raw")}
        with open(names["text"], "w", encoding="ascii") as file:
            file.write("this is no savefile\n")
        write(names["raw"], [], linktype=101)
        for options in (["--pcap-in", names["none"]], ["--pcap-in", names["text"]],
                        ["--pcap-in", names["raw"]], ["--pcap-out", f"{directory}/no/where"]):
            run = soft.run(programs.softdev, "nic", "--socket", f"{directory}/nic", *options)
            tap.check_equal((run.returncode, run.stderr.count("\n")), (1, 1), run.stderr)


def cases(programs):
    """The test."""
    yield "2,000 frames, byte for byte", functools.partial(play, programs, 2000, 1)
    yield "50 frames, 20 times", functools.partial(play, programs, 50, 20)
    yield "files that are none", functools.partial(refused, programs)


if __name__ == "__main__":
    soft.main(cases)
