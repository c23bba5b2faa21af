#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Cards are taken away under traffic and given back: plx-testpmd lets go, goes on, takes them back.

Three cards on two wires. Port 0 sends; port 1 receives that and sends it on by port 2:

    port 0 (txonly) --- wire 1 --- port 1 (io) ==> port 2 (rxonly) --- wire 2 --- nobody
"""

import functools
import os
import re
import threading
import time

import tap
import testpmd
from testpmd import DROPPED, RECEIVED, SENT

SECONDS = 60                # for what takes one or two, or ten with a slot of its own
PCI = "/sys/bus/pci"
KERN_WARNING = 4
OVERLOAD = re.compile(r"^(hrtimer|clocksource|sched): ")     # of the host, not the guest's fault
NEW_MAC = "52:54:00:00:00:77"   # of a card that isn't the one that was pulled out

CARDS = "--device", "e1000e@1,e1000e@1,e1000e@2"
# PCI Express' own hot plug in place of the firmware's: what vanishes is missed by the slot
NATIVE = ("--qemu=-global", "--qemu=ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
          "--append", "pcie_ports=native")

GUESTS = {"kernel a": tap.Guest(*CARDS, timeout=150, monitor=True),
          "kernel a, native hot plug": tap.Guest(*CARDS, *NATIVE, timeout=280,
                                                 monitor=True)}


def write(path, text):
    """Write to a file of sysfs. The kernel waits for whoever has the device: we don't, for ever."""
    errors = []

    def blocking():
        try:
            with open(path, "w", encoding="ascii") as handle:
                handle.write(text)
        except OSError as error:
            errors.append(error)

    writer = threading.Thread(target=blocking, daemon=True)
    writer.start()
    writer.join(SECONDS)
    tap.check(not writer.is_alive(), f"writing {text} to {path} takes more than {SECONDS} s")
    tap.check(not errors, f"writing {text} to {path}: {errors}")


def wait(what, condition):
    """Until `condition()`."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        tap.check(time.monotonic() < deadline, f"{what}: not within {SECONDS} s")
        time.sleep(0.02)


def device(address):
    """The folder of a function."""
    return f"{PCI}/devices/{address}"


def driver(address):
    """The kernel driver that has a function, or None."""
    path = f"{device(address)}/driver"
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None


def bind_to_vfio(address):
    """A function may be new, and taken by the driver that the kernel has for it."""
    write(f"{device(address)}/driver_override", "vfio-pci")

    def bound():
        """One that was just found is matched with no driver until the kernel is through with it."""
        if driver(address) not in (None, "vfio-pci"):
            write(f"{device(address)}/driver/unbind", address)
        if driver(address) != "vfio-pci":
            write(f"{PCI}/drivers_probe", address)
        return driver(address) == "vfio-pci"

    wait(f"{address} is vfio-pci's", bound)


# Ways to take a card away, and to bring it back, by its address and number

def unbound(address, _):
    write(f"{device(address)}/driver/unbind", address)
    tap.check_equal(driver(address), None, "driver")


def removed(address, _):
    write(f"{device(address)}/remove", "1")
    tap.check(not os.path.exists(device(address)), f"{address} is still there")


def rescanned(address):
    write(f"{PCI}/rescan", "1")
    wait(f"{address} is found again", lambda: os.path.exists(device(address)))


def pulled(address, index):
    tap.host_qmp("device_del", id=f"dev{index}")
    wait(f"{address} is gone", lambda: not os.path.exists(device(address)))


def plugged(address, index):
    tap.host_qmp("device_add", driver="e1000e", romfile="", id=f"dev{index}", bus=f"port{index}",
                 addr="0.0", netdev=f"net{index}", mac=NEW_MAC)
    wait(f"{address} is back", lambda: os.path.exists(device(address)))


def vanished(address, _):
    """Gone without a word: the slot's power is cut for a moment, behind the back of its driver.

    PCI Express 6.0, 7.5.3.10 Slot Control, 0x18 in the capability: power controller off (bit 10),
    power indicator off (bits 9:8). Registers read as ones before the kernel hears of it.
    """
    port = os.path.basename(os.path.dirname(os.path.realpath(device(address))))
    with open(f"{device(port)}/config", "r+b", buffering=0) as config:
        at = os.pread(config.fileno(), 1, 0x34)[0]
        while os.pread(config.fileno(), 1, at)[0] != 0x10:
            at = os.pread(config.fileno(), 2, at)[1]
        control = int.from_bytes(os.pread(config.fileno(), 2, at + 0x18), "little")
        off = (control | 0x700) & ~0x20     # no interrupt (bit 5) until the power is back
        for value in off, control:
            os.pwrite(config.fileno(), value.to_bytes(2, "little"), at + 0x18)
    wait(f"{address} is gone", lambda: not os.path.exists(device(address)))


def plugged_later(address, index):
    """The slot's driver waits a second after cutting the power, and forgets what came meanwhile."""
    time.sleep(3)
    plugged(address, index)


def unplug(run, address, port, away, back, moves):
    """One removal and return; `moves` are the counters that grow meanwhile."""
    said = f"port {port}: {address} was taken away"
    before = run.said().count(said)
    began = time.monotonic()
    away(address, port)
    let_go = time.monotonic() - began
    run.wait_for(before + 1, said)
    run.go_on(*moves)
    back(address)
    bind_to_vfio(address)
    run.wait_for(before + 1, f"port {port}: {address} is back")
    run.go_on((0, SENT), (1, RECEIVED), (2, SENT))
    print(f"# {away.__name__}: let go of within {let_go:.2f} s, back and forwarding after "
          f"{time.monotonic() - began:.1f} s", flush=True)


def warnings():
    """What the kernel has to complain about so far."""
    found = []
    handle = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            head, _, text = os.read(handle, 8192).decode(errors="replace").partition(";")
            if int(head.split(",")[0]) & 7 <= KERN_WARNING and not OVERLOAD.search(text):
                found.append(text.splitlines()[0])
    except BlockingIOError:
        return found
    finally:
        os.close(handle)


def under_traffic(program, mode, take_away, removals):
    """All three cards forward while some of them go and come back; returns testpmd's report."""
    cards = os.environ["LAB_PCI"].split()
    for card in cards:
        bind_to_vfio(card)
    complaints = warnings()
    with testpmd.forwarding(program, testpmd.allow(*cards, mode=mode), [
            "--forward-mode=txonly,io,rxonly", "--port-topology=chained",
            "--stats-period=1"]) as run:
        macs = re.findall(r"^Port \d: \S+  (\S+)", run.said(), re.M)
        run.go_on((0, SENT), (1, RECEIVED), (2, SENT))
        take_away(run, cards)
        report = run.end().report
    tap.check_equal([port["removals"] for port in report["ports"]], removals, "removals")
    tap.check_equal([port["present"] for port in report["ports"]], [True] * 3, "ports present")
    tap.check_equal([port["access_mode"] for port in report["ports"]], [mode] * 3, "access modes")
    tap.check_equal([port["mac"] for port in report["ports"]], macs, "addresses")
    tap.check_equal(warnings()[len(complaints):], [], "what the kernel complains about")
    return report


def session(program, mode):
    """All ways to take a card away, in one run."""
    def take_away(run, cards):
        unplug(run, cards[2], 2, unbound, lambda address: None,
               ((0, SENT), (1, RECEIVED), (2, DROPPED)))
        unplug(run, cards[1], 1, removed, rescanned, ((0, SENT),))
        unplug(run, cards[1], 1, pulled, functools.partial(plugged, index=1), ((0, SENT),))

    report = under_traffic(program, mode, take_away, [0, 2, 1])
    tap.check(report["ports"][2]["tx_dropped"] > 0, "nothing was dropped")


def surprise(program, mode):
    """A card that receives and sends vanishes under traffic, twice."""
    def take_away(run, cards):
        unplug(run, cards[1], 1, vanished, functools.partial(plugged_later, index=1), ((0, SENT),))
        unplug(run, cards[2], 2, vanished, functools.partial(plugged_later, index=2),
               ((0, SENT), (1, RECEIVED), (2, DROPPED)))

    under_traffic(program, mode, take_away, [0, 1, 1])


def ends_without(program):
    """A card that isn't back when testpmd ends: the exit code says so."""
    cards = os.environ["LAB_PCI"].split()
    with testpmd.forwarding(program, testpmd.allow(*cards[:2]), [
            "--forward-mode=txonly,rxonly"]) as run:
        unbound(cards[1], 1)
        run.wait_for(1, f"{cards[1]} was taken away")
        ended = run.end(code=1)
    tap.check(f"{cards[1]} was taken away and is not back" in ended.err, str(ended))
    bind_to_vfio(cards[1])


def cases(guest, settings):
    """By the device's own file, and by its group."""
    if "native" in guest:
        for mode in "cdev", "type1v2":
            yield f"{mode}: vanished and plugged in", \
                functools.partial(surprise, settings.program, mode)
        return
    for mode in "cdev", "type1v2":
        yield f"{mode}: unbound and bound, removed and found, pulled out and plugged in", \
            functools.partial(session, settings.program, mode)
    yield "a card that stays away", functools.partial(ends_without, settings.program)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
