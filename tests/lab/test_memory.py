#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Memory for devices: what lab-memory checks, in every access mode, and what the IOMMU logs of it.

The devices are two NVMe controllers with memory in a BAR.
"""

import collections
import functools
import os
import re
import subprocess
import time

import tap

CARDS = ("--device", "nvme,nvme", "--qemu=-global", "--qemu=nvme.cmb_size_mb=1")
GUESTS = {
    "kernel a": tap.Guest(*CARDS, timeout=600),
    "kernel b": tap.Guest("--kernel", "b", "--cpus", "1", *CARDS),
    "kernel c": tap.Guest("--kernel", "c", "--cpus", "1", *CARDS),
    "an IOMMU of 39 bits": tap.Guest("--aw-bits", "39", "--cpus", "1", *CARDS),
    "two nodes": tap.Guest("--numa", *CARDS),
    "no IOMMU": tap.Guest("--kernel", "c", "--iommu", "none", "--cpus", "1", *CARDS),
}
ALL = ("come-and-go", "late-comers", "unmap-all", "read-only", "dirty", "peer")
WHERE_IT_DIFFERS = ("come-and-go", "unmap-all", "peer")     # in the modes that are variants
# What can't be, in a guest and mode, and how that is said: the IOMMU of the guests tracks nothing,
# and BARs are mapped by type 1 containers, or as dma-bufs by Linux 6.19. Anything else must work.
TRACKS_NOT = {"dirty": "tracks dirty pages, which"}
CAN_NOT = collections.defaultdict(dict, {
    ("kernel a", "cdev"): {**TRACKS_NOT, "peer": "Linux 6.19"},
    ("kernel a", "compat"): {"peer": "maps no BAR by address"},
    ("kernel b", "type1v2"): {**TRACKS_NOT, "peer": "maps no BAR by address"},
    ("kernel c", "cdev"): TRACKS_NOT,
})
# The kernel logs three faults of an Intel IOMMU in five seconds, and swallows the fourth: each takes
# three of the ten lines that dmar_fault() grants itself.
STRAYING = ("come-and-go", "unmap-all", "peer")     # once each
LOGGED, WINDOW = 3, 6
LIMIT = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
PATIENCE = 240      # s: a guest on a busy machine is slow


class Checks:
    """lab-memory in this guest."""

    def __init__(self, program, guest):
        self.program = program
        self.guest = guest
        self.cards = os.environ["LAB_PCI"].split()[:2]
        self.strays = collections.deque(maxlen=LOGGED)      # when the last ones were logged

    def run(self, check, mode, *words, prefix=()):
        """One check; every word has to be in what it prints."""
        if len(self.strays) == LOGGED and check in STRAYING:
            time.sleep(max(0, self.strays[0] + WINDOW - time.monotonic()))
        with KernelLog() as log:
            done = subprocess.run([*prefix, self.program, check, mode, *self.cards],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=PATIENCE, check=False)
            why_not = CAN_NOT[self.guest, mode].get(check)
            if why_not:
                last = done.stdout.rstrip().rpartition("\n")[2]
                tap.check(done.returncode == 77 and why_not in last,
                          f"this was to be skipped with '{why_not}':\n{done.stdout}")
                raise tap.Skip(last.partition(": ")[2])
            tap.check(done.returncode == 0, f"ended with {done.returncode}:\n{done.stdout}")
            for word in words:
                tap.check(word in done.stdout, f"'{word}' is not in:\n{done.stdout}")
            for address in re.findall(r"^stray 0x([0-9a-f]+)$", done.stdout, re.MULTILINE):
                log.check_stopped(address)
                self.strays.append(time.monotonic())

    def bounded(self, mode):
        """Under a memlock limit that counts, for the process or for its user."""
        self.run("limit", mode, "memlock limit is 8 MiB",
                 "6132 KiB mapped already, 10224 KiB needed in all, 2 MiB of it by mlock()"
                 if mode.startswith("type1") else
                 "8176 KiB mapped already, 10220 KiB needed in all: raise",
                 prefix=["prlimit", f"--memlock={8 << 20}", "setpriv", "--bounding-set=-ipc_lock",
                         "--inh-caps=-ipc_lock"])

    def few_maps(self, mode):
        """In containers that take sixteen maps."""
        with open(LIMIT, "r+", encoding="ascii") as handle:
            usual = handle.read()
            handle.write("16")
            handle.flush()
            try:
                self.run("limit", mode, "takes 16 DMA maps, 16 are used and 1 more needed",
                         "dma_entry_limit", "the limit was foreseen (0 maps")
            finally:
                handle.write(usual)


class KernelLog:
    """What the kernel logs from now on (Documentation/ABI/testing/dev-kmsg)."""

    def __enter__(self):
        self.file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.file, 0, os.SEEK_END)
        self.seen = []
        return self

    def __exit__(self, *_):
        os.close(self.file)

    def read(self):
        """Fetch what is new."""
        while True:
            try:
                record = os.read(self.file, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:     # some were written over
                continue
            self.seen.append(record.partition(";")[2].partition("\n")[0])

    def check_stopped(self, address):
        """The IOMMU logs a write at this address, or has done so."""
        address = address.removesuffix("000").lstrip("0")
        wanted = re.compile(rf"DMAR: \[DMA Write.*addr 0x0*{address}000\b")
        deadline = time.monotonic() + PATIENCE / 2
        while time.monotonic() < deadline:
            self.read()
            if any(wanted.search(line) for line in self.seen):
                return
            time.sleep(0.1)
        raise tap.Failure("\n".join([f"the IOMMU logged no write at 0x{address}000:", *self.seen]))


def cases(guest, settings):
    """(name, function) pairs for a guest."""
    checks = Checks(settings.program, guest)

    def case(check, mode, *words):
        return f"{check}, {mode}", functools.partial(checks.run, check, mode, *words)

    if guest == "two nodes":
        for mode in ("cdev", "type1v2"):
            yield case("node", mode, "on node 1")
        return
    if guest == "no IOMMU":
        for mode in ("noiommu-cdev", "noiommu"):
            yield case("decoding", mode, "the device is lost")
            for check in ("come-and-go", "late-comers"):
                yield case(check, mode, "addresses PA")
        return
    if guest == "an IOMMU of 39 bits":
        for mode in ("cdev", "type1v2"):
            for check in ("come-and-go", "late-comers", "hole"):
                yield case(check, mode, "addresses ALLOC", "39 bits")
        return
    modes = {"kernel a": ("cdev", "type1v2", "type1", "compat"), "kernel b": ("type1v2",),
             "kernel c": ("cdev", "type1v2")}[guest]
    for mode in modes:
        for check in ALL if mode in ("cdev", "type1v2") else WHERE_IT_DIFFERS:
            yield case(check, mode)
        if guest == "kernel b":     # its container counts as that of type 1 does
            yield f"memlock, {mode}", functools.partial(checks.bounded, mode)
        if guest != "kernel a":
            continue
        if mode in ("cdev", "type1v2"):
            yield case("hole", mode, "outside what the IOMMU offers", "start with --iova=alloc")
            yield case("decoding", mode, "the device is lost")
        if mode == "cdev":
            yield case("copy", mode, "8 maps are copied")
        yield f"memlock, {mode}", functools.partial(checks.bounded, mode)
        if mode == "type1v2":
            yield f"map limit, {mode}", functools.partial(checks.few_maps, mode)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
