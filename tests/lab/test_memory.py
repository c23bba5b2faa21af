#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Memory for devices: what lab-memory checks, in every access mode, and what the IOMMU logs of it.

The devices are two NVMe controllers with memory in a BAR.
"""

import functools
import os
import re
import subprocess
import time

import tap

CARDS = ("--device", "nvme,nvme", "--qemu=-global", "--qemu=nvme.cmb_size_mb=1")
GUESTS = {
    "kernel a": tap.Guest(*CARDS),
    "kernel b": tap.Guest("--kernel", "b", "--cpus", "1", *CARDS),
    "kernel c": tap.Guest("--kernel", "c", "--cpus", "1", *CARDS),
    "an IOMMU of 39 bits": tap.Guest("--aw-bits", "39", "--cpus", "1", *CARDS),
    "two nodes": tap.Guest("--numa", *CARDS),
    "no IOMMU": tap.Guest("--kernel", "c", "--iommu", "none", "--cpus", "1", *CARDS),
}
ALL = ("come-and-go", "late-comers", "unmap-all", "read-only", "dirty", "peer")
WHERE_IT_DIFFERS = ("come-and-go", "unmap-all", "peer")     # in the modes that are variants
LIMIT = "/sys/module/vfio_iommu_type1/parameters/dma_entry_limit"
PATIENCE = 60


class Checks:
    """lab-memory in this guest."""

    def __init__(self, program):
        self.program = program
        self.cards = os.environ["LAB_PCI"].split()[:2]

    def run(self, check, mode, *words, prefix=()):
        """One check; every word has to be in what it prints."""
        before = faults()
        done = subprocess.run([*prefix, self.program, check, mode, *self.cards],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=PATIENCE, check=False)
        last = done.stdout.rstrip().rpartition("\n")[2]
        if done.returncode == 77:
            raise tap.Skip(last.partition(": ")[2])
        tap.check(done.returncode == 0, done.stdout)
        for word in words:
            tap.check(word in done.stdout, f"'{word}' is not in:\n{done.stdout}")
        for address in re.findall(r"^stray 0x([0-9a-f]+)$", done.stdout, re.MULTILINE):
            check_stopped(before, address)

    def bounded(self, mode):
        """Under a memlock limit that counts."""
        self.run("limit", mode, "memlock limit is 8 MiB", "needed in all",
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


def faults():
    """The IOMMU's complaints so far."""
    done = subprocess.run(["dmesg"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    return [line for line in done.stdout.splitlines() if "DMAR: [DMA" in line]


def check_stopped(before, address):
    """The IOMMU has logged a write at this address since then."""
    address = address.removesuffix("000").lstrip("0")
    wanted = re.compile(rf"\[DMA Write.*addr 0x0*{address}000\b")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if any(wanted.search(line) for line in faults()[len(before):]):
            return
        time.sleep(0.1)
    raise tap.Failure(f"the IOMMU logged no write at 0x{address}000: {faults()[len(before):]}")


def cases(guest, settings):
    """(name, function) pairs for a guest."""
    checks = Checks(settings.program)

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
