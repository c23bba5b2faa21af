#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The NVMe driver on QEMU's controller, with two namespaces of 512 and 4096-byte blocks.

Every block that plx-nvme-perf --verify writes carries its address and a checksum, and all are read
back; in each access mode, at odd sizes and offsets, and while the controller is reset again and
again. What goes through Pollux is what the kernel's nvme driver sees, and the other way round.
"""

import functools
import os
import pathlib
import subprocess
import time

import tap
from nvmetool import EXIT_RUNTIME, EXIT_USAGE, PATIENCE, Programs, Run

WITH_IOMMU = ("cdev", "type1v2", "type1", "compat")
GUESTS = {
    "kernel a": tap.Guest("--device", "nvme2", timeout=200),
    "kernel c, no IOMMU": tap.Guest("--kernel", "c", "--iommu", "none", "--device", "nvme2",
                                    timeout=120),
}
MODES = {"kernel a": WITH_IOMMU, "kernel c, no IOMMU": ("noiommu-cdev", "noiommu")}

MIB = 1 << 20
DRIVERS = pathlib.Path("/sys/bus/pci")


def made_for_guest(perf):
    """The programs, on the one controller that there is."""
    tool = os.path.join(os.path.dirname(os.path.dirname(perf)), "nvme", "plx-nvme")
    return Programs(perf, tool, os.environ["LAB_PCI"].split()[0])


# Cases

SMALL = ("--range", "512k", "--number-ios", "1000", "-t", "20")


def in_mode(programs, mode):
    """Both namespaces at once, by 4 KiB; then odd sizes at an odd offset."""
    report = programs.verified("-w", "randrw", *SMALL, mode=mode)
    tap.check_equal([job["nsid"] for job in report["jobs"]], [1, 2], "namespaces")
    programs.verified("-w", "randrw", "-o", "20480", "--offset", "508", "-q", "7",
                      "--range", "512k", "--number-ios", "300", "-t", "20", mode=mode)


def namespaces(programs, mode):
    """They are shown as they are."""
    programs.tool("list", mode=mode).expect(
        0, programs.address, "QEMU NVMe Ctrl", mode,
        "namespace 1           131072 blocks of 512 bytes",
        "namespace 2            16384 blocks of 4096 bytes")


def shapes(programs, keys):
    """Sizes from a block to beyond what a command can (512 KiB), from odd places in memory."""
    for size, offset, depth in (("512", 4, 64), ("7680", 3584, 9), ("64k", 2052, 16),
                                ("516608", 508, 3), ("3m", 1020, 2)):
        programs.verified("--ns", "1", "-w", "randrw", "-o", size, "--offset", str(offset), "-q",
                          str(depth), "--range", "12m", "--number-ios", "60", "-t", "30",
                          keys=keys)


def depths(programs):
    """From one request in flight to what the rings hold."""
    for depth in (1, 2, 255, 1023):
        programs.verified("--ns", "2", "-w", "randrw", "-q", str(depth), "--range", "8m",
                          "--number-ios", "2500", "-t", "30")


def cores_and_queues(programs):
    """Two threads with two queue pairs each, by interrupts and by polling."""
    for more in ((), ("--irq",)):
        report = programs.verified("-c", "[0-1]", "-P", "2", "-w", "randwrite", *SMALL, *more)
        tap.check_equal(len(report["jobs"]), 8, "queue pairs")


def resets(programs):
    """Nothing is lost or damaged while the controller is reset under load."""
    report = programs.verified("-w", "randrw", "-o", "16k", "-c", "[0-1]", "--range", "2m", "-t",
                               "4", "--reset-ms", "400")
    tap.check(report["resets"] >= 3, f"{report['resets']} resets in 4 s")
    for job in report["jobs"]:
        tap.check(job["recoveries"] >= 3, f"{job['recoveries']} recoveries: {job}")


def refusals(programs):
    """A clear error, with the controller's own words, and the right exit code."""
    programs.tool("read", "-n", "1", "-s", "131072").expect(EXIT_RUNTIME, "LBA Out of Range")
    programs.tool("write", "-n", "2", "-s", "16383", data=b"x" * 4097).expect(
        EXIT_RUNTIME, "LBA Out of Range")
    programs.tool("read", "-n", "9").expect(EXIT_RUNTIME, "no namespace 9")
    programs.tool("read").expect(EXIT_RUNTIME, "several namespaces")
    programs.tool("format", "-n", "1").expect(EXIT_USAGE, "--yes")
    programs.tool("frobnicate").expect(EXIT_USAGE, "no command")
    programs.perf("-o", "512").expect(EXIT_USAGE, "no whole number of blocks of 4096 bytes")
    programs.perf("--ns", "3").expect(EXIT_RUNTIME, "no namespace")
    programs.perf("-q", "5000").expect(EXIT_USAGE, "commands in flight")
    programs.perf(keys=["queues=0"]).expect(EXIT_RUNTIME, "queues=0")


def formats(programs):
    """To blocks of 4096 bytes with 8 of metadata behind them, and back; the other stays."""
    programs.tool("format", "-n", "1", "--lbaf", "5", "--extended", "--yes").expect(0)
    programs.tool("list").expect(0, "blocks of 4096 bytes", "8 of metadata behind each")
    programs.verified("--ns", "1", "-w", "randrw", *SMALL)
    programs.tool("format", "-n", "1", "--lbaf", "4", "--pi", "1", "--yes").expect(
        EXIT_RUNTIME, "Invalid")
    programs.tool("format", "-n", "1", "--lbaf", "5", "--pi", "1", "--yes").expect(0)
    programs.tool("list").expect(0, "8 of metadata apart", "protection type 1")
    programs.verified("--ns", "1", "-w", "randrw", *SMALL)
    programs.tool("format", "-n", "1", "--lbaf", "0", "--yes").expect(0)
    namespaces(programs, "cdev")


def give_to(address, driver):
    """Bind the controller to a driver."""
    device = DRIVERS / "devices" / address
    (device / "driver_override").write_text(driver + "\n")
    (device / "driver" / "unbind").write_text(address)
    (DRIVERS / "drivers_probe").write_text(address)
    bound = (device / "driver").resolve().name
    tap.check_equal(bound, driver, "bound to")


def disk(nsid):
    """The kernel's block device of a namespace, once it is there; its name may have any number."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for block in pathlib.Path("/sys/block").glob("nvme*"):
            node = pathlib.Path("/dev") / block.name
            if node.exists() and (block / "nsid").read_text().strip() == str(nsid):
                return node
        time.sleep(0.05)
    raise tap.Failure(f"no block device of namespace {nsid}")


def check_same(found, wanted, what):
    """All bytes, or where the first one differs."""
    if found != wanted:
        places = [n for n, (a, b) in enumerate(zip(found, wanted)) if a != b]
        raise tap.Failure(f"{what}: {len(found)} bytes for {len(wanted)}; {len(places)} differ, from "
                          f"{places[0] if places else '-'} to {places[-1] if places else '-'}")


def kernel(programs):
    """The kernel's driver reads what Pollux wrote, and the other way round."""
    ours = {nsid: os.urandom(3 * MIB + nsid * 4096) for nsid in (1, 2)}
    theirs = {nsid: os.urandom(2 * MIB + nsid * 4096) for nsid in (1, 2)}
    for nsid, data in ours.items():
        programs.tool("write", "-n", str(nsid), "-s", "5", data=data).expect(0)
    give_to(programs.address, "nvme")
    try:
        for nsid, data in ours.items():
            block = 512 if nsid == 1 else 4096
            with open(disk(nsid), "r+b") as dev:
                dev.seek(5 * block)
                check_same(dev.read(len(data)), data, f"the kernel reads namespace {nsid}")
                dev.seek(20 * MIB)
                dev.write(theirs[nsid])
                dev.flush()
                os.fsync(dev.fileno())
    finally:
        give_to(programs.address, "vfio-pci")
    for nsid, data in theirs.items():
        block = 512 if nsid == 1 else 4096
        read = programs.tool("read", "-n", str(nsid), "-s", str(20 * MIB // block), "-c",
                             str(len(data) // block)).expect(0)
        check_same(read.data, data, f"Pollux reads namespace {nsid}")


def pages(programs):
    """--html and --csv."""
    run = Run([programs.perf_path, *programs.bus(None, ()), "--quiet", "--csv", "-t", "1", "-LL",
               "--html", "/tmp/report.html"]).expect(0, "Latency histogram", "99.99900%")
    lines = run.out.splitlines()
    tap.check_equal((len(lines), len({line.count(",") for line in lines})), (3, 1),
                    "lines of CSV, and that all have as many values")
    page = pathlib.Path("/tmp/report.html").read_text(encoding="utf-8")
    tap.check(page.count("<svg") == page.count("</svg>") == 2 and "http" not in page,
              f"two pictures and nothing from elsewhere: {page[:300]}")


def cases(guest, settings):
    """The access modes, then what they have no part in."""
    programs = made_for_guest(settings.program)
    for mode in MODES[guest]:
        yield f"{mode}: verified", functools.partial(in_mode, programs, mode)
        yield f"{mode}: namespaces", functools.partial(namespaces, programs, mode)
    if guest != "kernel a":
        return
    yield "sizes and offsets by SGLs", functools.partial(shapes, programs, ())
    yield "sizes and offsets by PRPs", functools.partial(shapes, programs,
                                                         ("sgl=off", "dbbuf=off"))
    yield "depths", functools.partial(depths, programs)
    yield "cores and queue pairs", functools.partial(cores_and_queues, programs)
    yield "resets under load", functools.partial(resets, programs)
    yield "refusals", functools.partial(refusals, programs)
    yield "formats", functools.partial(formats, programs)
    yield "the kernel reads and writes the same", functools.partial(kernel, programs)
    yield "reports", functools.partial(pages, programs)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
