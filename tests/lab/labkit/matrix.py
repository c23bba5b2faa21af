# SPDX-License-Identifier: BSD-3-Clause
"""Every device in every access mode, with and without an IOMMU.

One guest is booted for each row of GUESTS, with all the devices, and runs
`PROGRAM --vfio-mode=MODE [--allow-noiommu] -a ADDRESS` for each device and
access mode. A cell passes if PROGRAM ends with 0, is skipped if it ends with
77, and fails otherwise; its last line of output is the reason.

Some cells can't work. They are tried all the same, and pass if PROGRAM
refuses: exit code 3 and a line with the words that IMPOSSIBLE has for it.
"""

import glob
import json
import os
import platform
import shutil
import sys

from . import devices, guest, kernel, qemu
from .errors import EXIT_FAILURE, LabError, Unavailable, UsageError

MODES = ("cdev", "type1v2", "type1", "compat", "noiommu-cdev", "noiommu")
DEVICES = ("e1000e", "igb", "vmxnet3", "virtio", "nvme")
GUESTS = (("a", "intel"), ("b", "intel"), ("c", "intel"), ("a", "virtio"), ("a", "none"),
          ("c", "none"), ("stock", "intel"))
NOIOMMU = ("noiommu-cdev", "noiommu")
CELL_SECONDS = 20
BOOT_SECONDS = 60
REFUSED = 3             # PROGRAM's exit code
LAB = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOP = os.path.dirname(os.path.dirname(LAB))
SCRIPT = os.path.join(LAB, "guest", "cells")

# (kernels, IOMMUs, access modes, words of the refusal); None stands for any
IMPOSSIBLE = (
    (None, ("intel", "virtio"), NOIOMMU, "the device is behind an IOMMU"),
    (None, ("none",), ("cdev", "type1v2", "type1", "compat"), "there is no IOMMU"),
    (("a", "b"), ("none",), ("noiommu-cdev",), "the device has no no-IOMMU cdev"),
    (("stock",), None, ("cdev", "compat"), "does not exist"),
)


def impossible(name, iommu, mode):
    """The words with which an access mode must be refused in a guest, or None if it must work."""
    for kernels, iommus, modes, words in IMPOSSIBLE:
        if (not kernels or name in kernels) and (not iommus or iommu in iommus) \
                and mode in modes:
            return words
    return None


def find_probe(named):
    """The program to run: as named, or the newest one that was built in a folder of this tree."""
    if named:
        probe = shutil.which(named) or shutil.which(os.path.join(".", named))
        if not probe:
            raise UsageError(f"no program {named} to run")
        return probe
    built = glob.glob(os.path.join(glob.escape(TOP), "build*", "tests", "lab", "lab-probe"))
    if not built:
        raise UsageError("lab-probe is not built: meson setup build && ninja -C build, or --probe")
    return max(built, key=os.path.getmtime)


def main(parsed):
    """`lab matrix`."""
    probe = find_probe(parsed.probe)
    cells = []
    guests = [row for row in GUESTS if (not parsed.kernel or row[0] in parsed.kernel)
              and (not parsed.iommu or row[1] in parsed.iommu)]
    if not guests:
        raise UsageError("no guest has that kernel with that IOMMU")
    for name, iommu in guests:
        cells += run_guest(name, iommu, parsed.device or DEVICES, parsed.mode or MODES,
                           os.path.abspath(probe), parsed.verbose)
    if parsed.json:
        print(json.dumps(cells, indent=1))
    elif parsed.tap:
        print_tap(cells)
    else:
        print_table(cells)
    return EXIT_FAILURE if any(cell["result"] == "fail" for cell in cells) else 0


def run_guest(name, iommu, models, modes, probe, verbose):
    """The cells of one guest."""
    cells = {(model, mode): _cell(model, mode, iommu, name, "fail", "the cell was not run")
             for model in models for mode in modes}
    present, why = [], ""
    for model in models:
        device = devices.parse(model)
        try:
            qemu.find(device)
            present.append(model)
        except Unavailable as error:
            for mode in modes:
                cells[model, mode].update(result="skip", why=str(error))
    try:
        options = _guest_options(name, iommu, present, modes, probe)
        output, errors = bytearray(), bytearray()
        result = guest.run(options, output.extend, errors.extend) if present else None
        why = result.why.splitlines()[0] if result and result.why else ""
        if verbose:
            sys.stderr.write(errors.decode(errors="replace"))
    except Unavailable as error:
        for cell in cells.values():
            cell.update(result="skip", why=str(error))
        return list(cells.values())
    except LabError as error:
        output, why = b"", str(error)
    for line in bytes(output).decode(errors="replace").splitlines():
        words = line.split(" ", 4)
        if words[0] == "cell" and len(words) >= 4 and (words[1], words[2]) in cells:
            last = words[4].strip() if len(words) > 4 else ""
            verdict, text = judge(impossible(name, iommu, words[2]), int(words[3]), last)
            cells[words[1], words[2]].update(result=verdict, why=text)
    for cell in cells.values():
        if cell["why"] == "the cell was not run" and why:
            cell["why"] = f"the cell was not run: {why}"
    return list(cells.values())


def _guest_options(name, iommu, models, modes, probe):
    specs = devices.parse(",".join(models))
    count = len(models) * len(modes)
    words = ["sh", SCRIPT, str(CELL_SECONDS), probe]
    for model, device in zip(models, specs):
        for mode in modes:
            allow = "allow" if iommu == "none" or mode in NOIOMMU else "-"
            words.append(f"{model} {mode} {device.address} {allow}")
    return guest.Options(command=words, kernel=name, iommu=iommu, devices=specs, cpus=1,
                         timeout=BOOT_SECONDS + CELL_SECONDS * count / 2)


def judge(refusal, code, last):
    """(result, why) of a cell, from the words it must be refused with, its exit code and last line."""
    if code == 77:
        return "skip", last or "the program gave no reason"
    if code >= 124:
        ending = "took too long" if code == 124 else f"ended with {code}"
        return "fail", f"{ending}; last line: {last or '(none)'}"
    if not refusal:
        return ("pass" if code == 0 else "fail"), last or f"ended with {code}"
    if code == REFUSED and refusal in last:
        return "pass", last
    return "fail", f"wanted exit code {REFUSED} and '{refusal}', found {code} and: {last or '(nothing)'}"


def _cell(device, mode, iommu, name, result, why):
    return {"device": device, "mode": mode, "iommu": iommu, "kernel": name,
            "arch": platform.machine(), "result": result, "why": why}


def print_tap(cells):
    """A TAP stream: each cell is a case."""
    print(f"1..{len(cells)}")
    for number, cell in enumerate(cells, 1):
        about = f"{number} - {cell['device']} {cell['mode']}, kernel {cell['kernel']}, {cell['iommu']}"
        if cell["result"] == "fail":
            print(f"not ok {about}\n# {cell['why']}")
        else:
            print(f"ok {about}" + (f" # SKIP {cell['why']}" if cell["result"] == "skip" else ""))


def print_table(cells):
    """A table for each guest; refusals in brackets; then what went wrong."""
    for name, iommu in dict.fromkeys((c["kernel"], c["iommu"]) for c in cells):
        here = [c for c in cells if (c["kernel"], c["iommu"]) == (name, iommu)]
        modes = list(dict.fromkeys(c["mode"] for c in here))
        about = f"Linux {kernel.KERNELS[name].series}" if name in kernel.KERNELS \
            else "Debian's own"
        print(f"kernel {name} ({about}), "
              + (f"{iommu} IOMMU" if iommu != "none" else "no IOMMU"))
        print("  " + "".join(f"{word:14}" for word in ["", *modes]).rstrip())
        for device in dict.fromkeys(c["device"] for c in here):
            row = [device]
            for cell in (c for c in here if c["device"] == device):
                refused = cell["result"] == "pass" and impossible(name, iommu, cell["mode"])
                row.append("(refused)" if refused else
                           cell["result"].upper() if cell["result"] == "fail"
                           else cell["result"])
            print("  " + "".join(f"{word:14}" for word in row).rstrip())
        print()
    for cell in cells:
        if cell["result"] != "pass":
            print(f"{cell['result']}: {cell['device']} {cell['mode']}, kernel {cell['kernel']}, "
                  f"{cell['iommu']}: {cell['why']}")
    count = {r: sum(c["result"] == r for c in cells) for r in ("pass", "fail", "skip")}
    print(f"{count['pass']} pass, {count['fail']} fail, {count['skip']} skip")
