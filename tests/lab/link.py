# SPDX-License-Identifier: BSD-3-Clause
"""The kernel's own network interfaces, used as they are: no offloads, raw frames."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time

import tap

SIOCETHTOOL = 0x8946        # linux/sockios.h
# linux/ethtool.h: what makes frames other than those on the wire
ETHTOOL_OFFLOADS = {"SRXCSUM": 0x15, "STXCSUM": 0x17, "SSG": 0x19, "STSO": 0x1f, "SGSO": 0x24,
                    "SGRO": 0x2c}
ETHTOOL_GDRVINFO, ETHTOOL_GSTRINGS, ETHTOOL_GSTATS = 0x3, 0x1b, 0x1d
ETH_SS_STATS = 1
DRVINFO = struct.Struct("I32s32s32s32s32s12xIIIII")
ETH_P_ALL = 3
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1


def of(address):
    """The interface of a PCI function."""
    names = os.listdir(f"/sys/bus/pci/devices/{address}/net") \
        if os.path.isdir(f"/sys/bus/pci/devices/{address}/net") else []
    for virtio in os.listdir(f"/sys/bus/pci/devices/{address}"):
        with contextlib.suppress(OSError):
            names += os.listdir(f"/sys/bus/pci/devices/{address}/{virtio}/net")
    tap.check(names, f"{address} has no network interface")
    return names[0]


def plain(name):
    """Turn off what splits, merges or leaves checksums to the device; not all have all of it.

    And IPv6, which greets every new link with frames of its own.
    """
    with contextlib.suppress(OSError), \
            open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", "w", encoding="ascii") as switch:
        switch.write("1")
    for command in ETHTOOL_OFFLOADS.values():
        with contextlib.suppress(OSError):
            _ethtool(name, struct.pack("II", command, 0))


def _ethtool(name, request):
    """One question to a driver; returns the request as it was filled in."""
    value = ctypes.create_string_buffer(request, len(request))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL,
                    struct.pack("16sP16x", name.encode(), ctypes.addressof(value)))
    return value.raw


def driver(name):
    """(driver, bus address, number of its counters), as ethtool -i says it."""
    answer = DRVINFO.unpack(_ethtool(name, DRVINFO.pack(ETHTOOL_GDRVINFO, *[b""] * 5, *[0] * 5)))
    return (*(text.rstrip(b"\0").decode() for text in (answer[1], answer[4])), answer[7])


def counters(name):
    """The driver's own, as ethtool -S has them."""
    count = driver(name)[2]
    names = _ethtool(name, struct.pack(f"III{32 * count}x", ETHTOOL_GSTRINGS, ETH_SS_STATS, count))
    values = _ethtool(name, struct.pack(f"II{8 * count}x", ETHTOOL_GSTATS, count))
    return {text.rstrip(b"\0").decode(): value for (text,), value in
            zip(struct.iter_unpack("32s", names[12:]), struct.unpack(f"{count}Q", values[8:]))}


def wait_for_carrier(name, seconds):
    """Until the link is there: what is sent before is lost."""
    deadline = time.monotonic() + seconds
    with open(f"/sys/class/net/{name}/carrier", encoding="ascii") as carrier:
        while carrier.read().strip() != "1":
            tap.check(time.monotonic() < deadline, f"{name} has no link after {seconds} s")
            time.sleep(0.05)
            carrier.seek(0)


class Raw:
    """Frames, with their Ethernet headers, on an interface; all that is on the wire is seen."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((name, ETH_P_ALL))
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, struct.pack(
            "iHH8x", socket.if_nametoindex(name), PACKET_MR_PROMISC, 0))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, frame):
        """One frame, no shorter than 60 bytes."""
        self.socket.send(frame)

    def receive(self, seconds):
        """The next frame that came from outside."""
        self.socket.settimeout(seconds)
        while True:
            try:
                frame, sender = self.socket.recvfrom(65536)
            except TimeoutError:
                raise tap.Failure(f"no frame came for {seconds} s") from None
            if sender[2] != socket.PACKET_OUTGOING:
                return frame
