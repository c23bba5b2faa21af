#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-softdev's 82574L with a client and a driver that aren't ours: QEMU's vfio-user-pci brings it
into a guest, where Linux's e1000e drives it; at the other end of its cable is the host's kernel.
"""

import contextlib
import functools
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "soft"))
import link         # pylint: disable=wrong-import-position
import namespace    # pylint: disable=wrong-import-position
import soft         # pylint: disable=wrong-import-position
import tap          # pylint: disable=wrong-import-position

MAC = "02:00:00:00:00:74"
OURS, THEIRS, PORT = "192.0.2.1", "192.0.2.2", 4000     # the host's, the guest's
STREAM = 8 << 20            # bytes over TCP, there and back
GUEST = ("--iommu", "none", "--timeout", "240")
LAB = (sys.executable, str(tap.LAB))


# In the guest

def address():
    """Of the PCI function."""
    return os.environ["LAB_PCI"]


def start():
    """Switch the interface on; returns its name."""
    name = link.of(address())
    namespace.set_up(name, THEIRS)
    link.wait_for_carrier(name, soft.PATIENCE)
    return name


def ping(count, size=56):
    """The host answers every one."""
    done = subprocess.run(["ping", "-n", "-q", "-A", "-c", str(count), "-s", str(size), OURS],
                          capture_output=True, text=True, timeout=120, check=False)
    print(f"# {done.stdout.splitlines()[-2] if done.stdout.count('%') else done}")
    tap.check(f"{count} packets transmitted, {count} received" in done.stdout,
              f"ping said {done.stdout}{done.stderr}")


def identity():
    """What the driver found out."""
    driver, bus, count = link.driver(link.of(address()))
    tap.check_equal((driver, bus), ("e1000e", address()), "driver and bus address")
    tap.check(count > 20, f"it has {count} counters")
    name = start()
    found = [pathlib.Path(f"/sys/class/net/{name}/{file}").read_text(encoding="ascii").strip()
             for file in ("address", "speed", "duplex")]
    tap.check_equal(found, [MAC, "1000", "full"], "MAC address and link")


def interrupts():
    """By vector: the driver's own is for the link, and rests when that doesn't change."""
    table = pathlib.Path("/proc/interrupts").read_text(encoding="ascii")
    found = [line.split() for line in table.splitlines() if f"MSIX-{address()}" in line]
    return [sum(map(int, filter(str.isdigit, words[1:5]))) for words in found]


def pings():
    """Small and large ones."""
    ping(1000)
    ping(100, 1472)
    receive, transmit, other = interrupts()
    print(f"# interrupts: {receive} to receive, {transmit} to transmit, {other} others")
    tap.check(receive > 100 and transmit > 100 and other < 20, "vectors have the wrong causes")


def talk():
    """TCP with all of the driver's offloads, both ways at once."""
    data = os.urandom(1 << 20) * (STREAM >> 20)
    back = bytearray()

    with socket.create_connection((OURS, PORT), timeout=soft.PATIENCE) as tcp:
        sender = threading.Thread(target=tcp.sendall, args=(data,))
        sender.start()
        while len(back) < len(data) and (part := tcp.recv(1 << 16)):
            back += part
        sender.join()
    tap.check(back == data, "something else came back")
    counters = link.counters(link.of(address()))
    print("#", {name: value for name, value in counters.items() if value})
    for name in "tx_tcp_seg_good", "rx_csum_offload_good":
        tap.check(counters[name] > 100, f"{name} is {counters[name]}: no offload")
    wrong = {name: value for name, value in counters.items()
             if value and re.search("error|missed|dropped|timeout|failed", name)}
    tap.check_equal(wrong, {}, "errors that the driver counted")


def down_and_up():
    """The interface is switched off and on."""
    subprocess.run(["ip", "link", "set", link.of(address()), "down"], check=True)
    start()
    ping(100)


def rebind():
    """The driver lets go of it; it is reset, through its bus; the driver takes it again."""
    device = pathlib.Path(f"/sys/bus/pci/devices/{address()}")
    driver = (device / "driver").resolve()
    (driver / "unbind").write_text(address(), encoding="ascii")
    (device / "reset").write_text("1", encoding="ascii")
    (driver / "bind").write_text(address(), encoding="ascii")
    identity()
    ping(100)


def cases(_guest, _settings):
    """In this order: the interface stays up."""
    yield "e1000e finds its card, and the link comes up", identity
    yield "1,000 small pings and 100 large ones are answered", pings
    yield f"{STREAM >> 20} MiB over TCP come back as they were, with offloads", talk
    yield "down and up", down_and_up
    yield "unbound, reset and bound", rebind


# On the host

def echo(server):
    """Send back what comes, connection by connection."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data)


def kill_guest(served, options):
    """A guest that is killed at work is no loss: the next one finds a card as new."""
    before = served.descriptors()
    script = "ip link set $(ls /sys/bus/pci/devices/$LAB_PCI/net) up; echo it is up; sleep 1000"
    with subprocess.Popen([*LAB, "run", *GUEST, *options, "--", "sh", "-c", script], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          stdin=subprocess.DEVNULL) as lab:
        said = lab.stdout.readline()
        if "up" not in said:
            lab.wait()
            tap.check(False, f"a guest to be killed ended with {lab.returncode}: {said}")
        children = pathlib.Path(f"/proc/{lab.pid}/task/{lab.pid}/children")
        subprocess.run(["kill", "-9", *children.read_text(encoding="ascii").split()], check=True)
    served.wait_for(lambda: served.descriptors() == before, "the killed guest's descriptors")


@contextlib.contextmanager
def host(missing, settings):
    """plx-softdev on a TAP interface, in a namespace, with an echo server."""
    if missing:
        raise tap.Skip(missing)
    programs = types.SimpleNamespace(softdev=settings.program)
    with tempfile.TemporaryDirectory(prefix="pollux-soft-") as directory, \
            soft.serving(programs, directory, "--tap", "plx0", "--mac", MAC) as served:
        options = ("--device", f"vfio-user={served.sockets[0]}:kernel")
        served.wait_for(lambda: namespace.has("plx0"), "plx0")
        namespace.set_up("plx0", OURS)
        kill_guest(served, options)
        with socket.create_server((OURS, PORT)) as server:
            threading.Thread(target=echo, args=(server,), daemon=True).start()
            yield options
        said, card = served.said(), served.end()[0]
    keys = "clients", "errors", "missed", "unknown_registers"
    tap.check_equal({key: card[key] for key in keys}, {**dict.fromkeys(keys, 0), "clients": 2},
                    f"{said}; its summary")


def prepare():
    """Why it can't be run here, or None: then this is a namespace, where nothing is fetched."""
    if namespace.INSIDE in os.environ:
        return None
    done = subprocess.run([*LAB, "build", "a", "initrd", "qemu-newest"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == tap.EXIT_UNAVAILABLE:
        return done.stderr.strip().splitlines()[-1]
    tap.check_equal(done.returncode, 0, f"{done.stderr}; lab build")
    return namespace.enter("ping")


if __name__ == "__main__":
    MISSING = None if "--guest" in sys.argv else prepare()
    GUESTS = {"kernel a": tap.Guest(*GUEST, host=functools.partial(host, MISSING))}
    tap.main(__file__, GUESTS, cases)
