#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testpmd with drivers of the kernel at the other end of the wire: e1000e and virtio-net.

Real traffic: TCP and UDP between two network namespaces, captured with tcpdump, is played onto the
wire through the kernel's card; plx-testpmd sends it back, and each byte is compared. And the
kernel's ping asks plx-testpmd, which answers.
"""

import functools
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import link
import tap
import testpmd

GUESTS = {"kernel a": tap.Guest(
    "--device", "e1000e@1,e1000e@1:kernel,e1000e@2,virtio@2:kernel", timeout=400)}
WIRES = {"e1000e": (0, 1), "virtio": (2, 3)}    # our card, the kernel's

CAPTURE = "/tmp/traffic.pcap"
NAMESPACE = "far"
NEAR, FAR = "198.18.1.1", "198.18.1.2"
PORT = 4000
STREAM = bytes(range(256)) * 800                # 200 KiB over TCP, there and back
DATAGRAMS = [1 + n * 1471 // 99 for n in range(100)]    # up to what an Ethernet frame holds
ETH_MIN = 60                # without checksum
WINDOW = 32                 # frames under way


# The traffic

def far_end():
    """In the namespace: sends back what comes, over TCP and UDP."""
    server = socket.create_server((FAR, PORT))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((FAR, PORT))
    print("ready", flush=True)
    connection, _ = server.accept()
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)
    for _ in DATAGRAMS:
        data, sender = udp.recvfrom(2048)
        udp.sendto(data, sender)


def talk():
    """The near end: all of STREAM and DATAGRAMS, and the answers."""
    with socket.create_connection((FAR, PORT), timeout=testpmd.PATIENCE) as tcp:
        for at in range(0, len(STREAM), 4096):
            part = STREAM[at:at + 4096]
            tcp.sendall(part)
            back = b""
            while len(back) < len(part):
                back += tcp.recv(65536)
            tap.check(back == part, "the kernel's own TCP returned something else")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(testpmd.PATIENCE)
        udp.connect((FAR, PORT))
        for size in DATAGRAMS:
            udp.send(os.urandom(size))
            udp.recv(2048)


def ip(*words):
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True)


def capture():
    """Let two namespaces talk over a pair of virtual cards while tcpdump listens."""
    ip("netns", "add", NAMESPACE)
    ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", NAMESPACE)
    ip("address", "add", f"{NEAR}/24", "dev", "near")
    ip("-n", NAMESPACE, "address", "add", f"{FAR}/24", "dev", "far")
    link.plain("near")
    subprocess.run(["ip", "netns", "exec", NAMESPACE, sys.executable, __file__, "--plain", "far"],
                   check=True)
    ip("link", "set", "near", "up")
    ip("-n", NAMESPACE, "link", "set", "far", "up")
    with subprocess.Popen(["tcpdump", "-i", "near", "-U", "-Z", "root", "-s", "0", "-w", CAPTURE],
                          stderr=subprocess.PIPE, text=True) as dump, \
         subprocess.Popen(["ip", "netns", "exec", NAMESPACE, sys.executable, __file__, "--far-end"],
                          stdout=subprocess.PIPE, text=True) as far:
        for line in dump.stderr:
            if "listening on" in line:
                break
        far.stdout.readline()
        talk()
        far.wait(testpmd.PATIENCE)
        time.sleep(1)           # tcpdump is a little behind
        dump.send_signal(signal.SIGINT)
        dump.wait(testpmd.PATIENCE)


def read_capture(path):
    """The frames of a pcap file of this machine's byte order, padded as for the wire."""
    data = pathlib.Path(path).read_bytes()
    magic, network = struct.unpack_from("<I16xI", data)
    tap.check_equal((magic, network), (0xa1b2c3d4, 1), "pcap magic and link type")
    frames, at = [], 24
    while at < len(data):
        kept, length = struct.unpack_from("<8xII", data, at)
        tap.check_equal(kept, length, "length of a captured frame")
        frames.append(data[at + 16:at + 16 + kept].ljust(ETH_MIN, b"\0"))
        at += 16 + kept
    return frames


@functools.lru_cache
def traffic():
    """The captured frames; the capture is taken once."""
    capture()
    frames = read_capture(CAPTURE)
    protocols = {number: sum(frame[12:14] == b"\x08\0" and frame[23] == number for frame in frames)
                 for number in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)}
    tcp, udp = protocols.values()
    print(f"# captured {len(frames)} frames of {min(map(len, frames))} to "
          f"{max(map(len, frames))} bytes: {tcp} TCP, {udp} UDP")
    tap.check(tcp >= 200 and udp == 2 * len(DATAGRAMS), "that is not the traffic there was")
    return frames


# The wire

def play(program, wire):
    """All frames there and back."""
    ours, kernels = (os.environ["LAB_PCI"].split()[n] for n in WIRES[wire])
    frames = traffic()
    name = link.of(kernels)
    link.plain(name)
    ip("link", "set", name, "up")
    with testpmd.forwarding(program, testpmd.allow(ours), [
            "--forward-mode=io", "--port-topology=loop"]) as run, link.Raw(name) as raw:
        link.wait_for_carrier(name, testpmd.PATIENCE)
        back = []
        while len(back) < len(frames):
            burst = frames[len(back):len(back) + WINDOW]
            for frame in burst:
                raw.send(frame)
            for frame in burst:
                back.append(raw.receive(testpmd.PATIENCE))
                tap.check(back[-1] == frame, f"frame {len(back) - 1}: {back[-1].hex()} came back, "
                                             f"{frame.hex()} was sent")
        report = run.end().report
    ip("link", "set", name, "down")
    for way in "rx", "tx":
        tap.check_equal(report["ports"][0][f"{way}_packets"], len(frames), f"{way}_packets")
    print(f"# {len(frames)} frames, {sum(map(len, frames))} bytes, came back as they were")


def ping(program, wire, count, size):
    """The kernel pings; every answer counts."""
    ours, kernels = (os.environ["LAB_PCI"].split()[n] for n in WIRES[wire])
    name = link.of(kernels)
    ip("link", "set", name, "up")
    ip("address", "replace", "192.0.2.1/24", "dev", name)
    try:
        with testpmd.forwarding(program, testpmd.allow(ours), [
                "--forward-mode=icmpecho", "--ip=0,192.0.2.2"]) as run:
            link.wait_for_carrier(name, testpmd.PATIENCE)
            done = subprocess.run(["ping", "-n", "-q", "-A", "-c", str(count), "-s", str(size),
                                   "-W", "5", "192.0.2.2"], capture_output=True, text=True,
                                  timeout=120, check=False)
            run.end()
    finally:
        ip("address", "flush", "dev", name)
        ip("link", "set", name, "down")
    summary = re.search(r".*packets transmitted.*", done.stdout)
    print(f"# {summary[0] if summary else done}")
    tap.check(f"{count} packets transmitted, {count} received, 0% packet loss" in done.stdout,
              f"ping said: {done.stdout}{done.stderr}")


def cases(_guest, settings):
    """The same at the end of both wires."""
    for wire in WIRES:
        yield f"captured TCP and UDP, played through the kernel's {wire}, comes back", \
            functools.partial(play, settings.program, wire)
    for wire in WIRES:
        for count, size in (1000, 56), (100, 1472):
            yield f"the kernel's {wire} pings with {size} bytes, {count} times", \
                functools.partial(ping, settings.program, wire, count, size)


if __name__ == "__main__":
    if sys.argv[1:] == ["--far-end"]:
        far_end()
    elif sys.argv[1:2] == ["--plain"]:
        link.plain(sys.argv[2])
    else:
        tap.main(__file__, GUESTS, cases)
