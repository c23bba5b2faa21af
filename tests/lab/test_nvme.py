#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The NVMe driver on QEMU's controller, with two namespaces of 512 and 4096-byte blocks.

Every block that plx-nvme-perf --verify writes carries its address and a checksum, and all are read
back; in each access mode, at odd sizes and offsets, and while the controller is reset again and
again. What goes through Pollux is what the kernel's nvme driver sees, and the other way round. A
second controller has memory for submission queues.
"""

import functools
import hashlib
import os
import pathlib
import time

import tap
from nvmetool import EXIT_DIFFERS, EXIT_RUNTIME, EXIT_USAGE, PATIENCE, Programs, Run

WITH_IOMMU = ("cdev", "type1v2", "type1", "compat")
DISKS = ("--device", "nvme2,nvme-cmb")
GUESTS = {
    "kernel a": tap.Guest(*DISKS, timeout=400),
    "kernel b": tap.Guest("--kernel", "b", "--device", "nvme2", timeout=300),
    "kernel c, no IOMMU": tap.Guest("--kernel", "c", "--iommu", "none", *DISKS, timeout=300),
    "Debian's kernel": tap.Guest("--kernel", "stock", "--device", "nvme2", timeout=200),
}
MODES = {"kernel a": WITH_IOMMU, "kernel b": ("compat",),
         "kernel c, no IOMMU": ("noiommu-cdev", "noiommu"), "Debian's kernel": ("type1v2",)}
FULL = 100000               # packets, of test programs on cards: less asks for a choice here, too

MIB = 1 << 20
DRIVERS = pathlib.Path("/sys/bus/pci")


def controllers(perf):
    """The programs on each controller that there is, in order."""
    tool = os.path.join(os.path.dirname(os.path.dirname(perf)), "nvme", "plx-nvme")
    return [Programs(perf, tool, address) for address in os.environ["LAB_PCI"].split()]


# Cases

SMALL = ("--range", "512k", "--number-ios", "1000", "-t", "20")


def in_mode(programs, mode):
    """Both namespaces at once, by 4 KiB; then odd sizes at an odd offset."""
    report = programs.verified("-w", "randrw", *SMALL, mode=mode)
    tap.check_equal([job["nsid"] for job in report["jobs"]], [1, 2], "namespaces")
    programs.verified("-w", "randrw", "-o", "20480", "--offset", "508", "-q", "7",
                      "--range", "512k", "--number-ios", "300", "-t", "20", mode=mode)


def sizes_in_mode(programs, mode):
    """Reads and writes of 64 KiB and of 1 MiB, which take two commands each."""
    for size, depth, span in (("64k", 16, "4m"), ("1m", 4, "8m")):
        programs.verified("--ns", "1", "-w", "randrw", "-o", size, "-q", str(depth), "--range",
                          span, "--number-ios", "60", "-t", "30", mode=mode)


def depths_in_mode(programs, mode):
    """One request in flight, and as many as QEMU's queues of 2048 entries are asked for here."""
    for depth in (1, 1023):
        programs.verified("--ns", "2", "-w", "randrw", "-q", str(depth), "--range", "8m",
                          "--number-ios", "1500", "-t", "30", mode=mode)


def resets_in_mode(programs, mode):
    """Nothing is lost or damaged while the controller is reset under load."""
    report = programs.verified("-w", "randrw", "-o", "16k", "--range", "1m", "-t", "2",
                               "--reset-ms", "300", mode=mode)
    tap.check(report["resets"] >= 2, f"{report['resets']} resets in 2 s")
    for job in report["jobs"]:
        tap.check(job["recoveries"] >= 2, f"{job['recoveries']} recoveries: {job}")


def format_in_mode(programs, mode):
    """To blocks of 4096 bytes and back."""
    for lbaf, size in ((4, 4096), (0, 512)):
        programs.tool("format", "-n", "1", "--lbaf", str(lbaf), "--yes", mode=mode).expect(0)
        programs.tool("list", mode=mode).expect(0, f"blocks of {size} bytes (64.0 MiB)")
        programs.verified("--ns", "1", "-w", "randrw", "-q", "8", "--range", "256k",
                          "--number-ios", "100", "-t", "20", mode=mode)


def events_in_mode(programs, mode):
    """The temperature crosses its threshold, which is below it: QEMU's has 50 C."""
    programs.tool("smart", mode=mode).expect(0, "temperature          50 C")
    said = programs.tool("events", "--temperature", "40", "-t", "2", mode=mode).expect(
        0, "temperature threshold (type 1, information 0x01, log page 0x02)")
    tap.check_equal(said.out.count("temperature threshold"), 1, "how often it was told")
    said = programs.tool("events", "--temperature", "60", "-t", "1", mode=mode).expect(0)
    tap.check_equal(said.out, "", "events without a reason")


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
    programs.tool("read", "-n", "1", "-s", "131072").expect(EXIT_RUNTIME, "has 131072 blocks")
    programs.tool("io", "--opcode", "2", "-n", "1", "--cdw", "10=131072", "--len", "512").expect(
        EXIT_RUNTIME, "LBA Out of Range")
    programs.tool("write", "-n", "2", "-s", "16383", data=b"x" * 4097).expect(
        EXIT_RUNTIME, "goes on beyond the namespace's 16384 blocks")
    programs.tool("read", "-n", "9").expect(EXIT_RUNTIME, "no namespace 9")
    programs.tool("read").expect(EXIT_RUNTIME, "several namespaces")
    programs.tool("format", "-n", "1").expect(EXIT_USAGE, "--yes")
    programs.tool("frobnicate").expect(EXIT_USAGE, "no command")
    programs.perf("-o", "512").expect(EXIT_USAGE, "no whole number of blocks of 4096 bytes")
    programs.perf("--ns", "3").expect(EXIT_RUNTIME, "no namespace")
    programs.perf("-q", "5000").expect(EXIT_USAGE, "commands in flight")
    programs.perf(keys=["queues=0"]).expect(EXIT_RUNTIME, "queues=0")


def own_memory(programs, mode):
    """Submission queues in the controller: several, more than it has room for, and none."""
    programs.tool("identify", mode=mode).expect(
        0, "queue memory  1048576 bytes of the controller's own")
    programs.verified("-w", "randrw", "-P", "3", *SMALL, mode=mode)
    programs.perf("-w", "randread", "-o", "512", "-q", "2047", "-P", "9", "--number-ios", "2100",
                  "-t", "30", mode=mode).expect(0)
    programs.verified("-w", "randrw", "--range", "512k", "-t", "2", "--reset-ms", "300",
                      mode=mode)
    tap.check("queue memory" not in programs.tool("identify", mode=mode,
                                                  keys=["cmb=off"]).expect(0).out,
              "used though it is off")


def large_pages(programs):
    """PRPs of 64 KiB, which QEMU's controller has; 128 KiB it hasn't."""
    keys = ["page=65536", "sgl=off"]
    programs.tool("identify", keys=keys).expect(0, "page          65536 bytes")
    programs.verified("-w", "randrw", *SMALL, keys=keys)
    programs.verified("--ns", "1", "-w", "randrw", "-o", "3m", "--offset", "1020", "-q", "2",
                      "--range", "12m", "--number-ios", "30", "-t", "30", keys=keys)
    programs.tool("identify", keys=["page=131072"]).expect(EXIT_RUNTIME, "page=131072")


def commands(programs):
    """Compare, Write Zeroes, Deallocate, Verify, and the log pages, as QEMU has them."""
    data = os.urandom(64 << 10)
    programs.tool("write", "-n", "1", data=data).expect(0)
    programs.tool("compare", "-n", "1", data=data).expect(0)
    programs.tool("compare", "-n", "1", data=data[:-1] + bytes([data[-1] ^ 1])).expect(
        EXIT_DIFFERS, "Compare Failure")
    programs.tool("compare", "-n", "1", data=data[:-1]).expect(0)
    programs.tool("zero", "-n", "1", "-s", "3", "-c", "100").expect(0)
    read = programs.tool("read", "-n", "1", "-c", "128").expect(0)
    check_same(read.data, data[:3 * 512] + bytes(100 * 512) + data[103 * 512:], "after zero")
    programs.tool("verify", "-n", "1", "-c", "128").expect(0)
    programs.tool("trim", "-n", "1", "-c", "128").expect(0)
    programs.tool("verify", "-n", "1", "-s", "131071", "-c", "2").expect(EXIT_RUNTIME,
                                                                         "has 131072 blocks")
    programs.tool("firmware").expect(0, "slot 1  1.0", "active")
    programs.tool("effects").expect(0, "admin 0x06 Identify\n",
                                          "io 0x01 Write: changes data")
    programs.tool("errors").expect(0)
    for cns, text in (("2", "namespace     2"), ("0x13", "controller id 0"), ("0x1c", "0: ")):
        programs.tool("identify", "--cns", cns).expect(0, text)
    programs.tool("identify", "--cns", "3", "-n", "1").expect(0, "command set   00")
    raw = programs.tool("io", "--opcode", "2", "-n", "1", "--cdw", "10=103", "--cdw", "12=7",
                        "--len", "4096").expect(0)
    check_same(programs.tool("read", "-n", "1", "-s", "103", "-c", "8").expect(0).data, raw.data,
               "as a raw command")


def raw_unfenced(programs, mode):
    """Without an IOMMU, only for a yes."""
    words = ("admin", "--opcode", "6", "--cdw", "10=1", "--len", "4096")
    programs.tool(*words, mode=mode).expect(EXIT_USAGE, "there is no IOMMU", "--yes")
    tap.check(b"QEMU NVMe Ctrl" in programs.tool(*words, "--yes", mode=mode).expect(0).data,
              "no Identify Controller")


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


def call(*words):
    """A program of the host's that must succeed; what it printed."""
    return Run([*map(str, words)]).expect(0).out


def digest(path):
    """Of a file or a whole disk."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_system(programs):
    """The kernel makes a file system and fills it; Pollux reads it block for block. Put on the other
    namespace by Pollux, the kernel mounts it there and finds the same files."""
    files = {f"d{n % 3}/file{n}": os.urandom(n * 37777) for n in range(1, 9)}
    image, mount = pathlib.Path("/tmp/image"), pathlib.Path("/tmp/mount")
    mount.mkdir()

    def mounted(nsid, use):
        call("mount", "-t", "ext4", disk(nsid), mount)
        try:
            use()
        finally:
            call("umount", mount)

    def fill():
        for name, data in files.items():
            (mount / name).parent.mkdir(exist_ok=True)
            (mount / name).write_bytes(data)

    def check():
        for name, data in files.items():
            check_same((mount / name).read_bytes(), data, f"{name} of the copy")

    give_to(programs.address, "nvme")
    try:
        call("mkfs.ext4", "-q", "-b", "4096", disk(1))
        mounted(1, fill)
        theirs = digest(disk(1))
    finally:
        give_to(programs.address, "vfio-pci")
    programs.tool("read", "-n", "1", "-c", str(64 * MIB // 512), "-f", str(image)).expect(0)
    tap.check_equal(digest(image), theirs, "SHA-256 of the disk")
    call("e2fsck", "-fn", image)
    for name, data in files.items():
        call("debugfs", "-R", f"dump /{name} /tmp/dumped", image)
        check_same(pathlib.Path("/tmp/dumped").read_bytes(), data, name)
    programs.tool("write", "-n", "2", "-f", str(image)).expect(0)
    give_to(programs.address, "nvme")
    try:
        mounted(2, check)
    finally:
        give_to(programs.address, "vfio-pci")


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


IN_MODE = {"verified": in_mode, "namespaces": namespaces, "64 KiB and 1 MiB": sizes_in_mode,
           "depths 1 and 1023": depths_in_mode, "format": format_in_mode,
           "temperature event": events_in_mode, "resets under load": resets_in_mode}
CHOICE = ("verified", "temperature event", "resets under load")


def cases(guest, settings):
    """Each access mode in each way, then what they have no part in."""
    programs, *others = controllers(settings.program)
    full = settings.packets >= FULL
    if guest == "Debian's kernel":
        yield "a file system", functools.partial(file_system, programs)
        return
    for mode in MODES[guest][:None if full else 2]:
        for name, case in IN_MODE.items():
            if full or name in CHOICE:
                yield f"{mode}: {name}", functools.partial(case, programs, mode)
        if others:
            yield f"{mode}: queues in the controller", functools.partial(own_memory, others[0],
                                                                         mode)
        if mode.startswith("noiommu"):
            yield f"{mode}: raw commands", functools.partial(raw_unfenced, programs, mode)
    if guest != "kernel a":
        return
    yield "sizes and offsets by SGLs", functools.partial(shapes, programs, ())
    yield "sizes and offsets by PRPs", functools.partial(shapes, programs,
                                                         ("sgl=off", "dbbuf=off"))
    yield "large pages", functools.partial(large_pages, programs)
    yield "refusals", functools.partial(refusals, programs)
    yield "commands", functools.partial(commands, programs)
    if not full:
        return
    yield "depths", functools.partial(depths, programs)
    yield "cores and queue pairs", functools.partial(cores_and_queues, programs)
    yield "resets under load", functools.partial(resets, programs)
    yield "formats", functools.partial(formats, programs)
    yield "the kernel reads and writes the same", functools.partial(kernel, programs)
    yield "reports", functools.partial(pages, programs)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
