#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What real kernels answer to VFIO's calls, and whether the fake one of the unit tests agrees.

The unit tests hold the fake kernel to tests/conform/answers. When the list has changed, write that
file anew from the answers of all guests, which CONFORM_OUT names a folder for:

    CONFORM_OUT=/tmp/answers tests/lab/test_conform.py build/tests/conform/lab-conform
    tests/conform/answers.py --record /tmp/answers
"""

import difflib
import functools
import os
import pathlib
import subprocess
import sys

import tap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "conform"))
import answers      # pylint: disable=wrong-import-position

# Of the guest, by what the fake kernel is told
IOMMUS = {None: (), "--noiommu": ("--iommu", "none"), "--forgeable": ("--no-intremap",)}
# The third shares its slot with one that a driver of the kernel holds
CARDS = "--device", "e1000e,e1000e,e1000e/s,e1000e/s:kernel", "--hugepages", "64"


def guest(name):
    """A guest with the kernel that the name tells, and an IOMMU or none."""
    _, kernel, option = answers.KERNELS[name]
    out = os.environ.get("CONFORM_OUT")
    return tap.Guest("--kernel", kernel, *IOMMUS[option], *CARDS,
                     *(("--out", out) if out else ()), timeout=200)


GUESTS = {name: guest(name) for name in answers.KERNELS}


def compare(name, settings):
    """In the guest: ask its kernel, and the fake one."""
    cards = os.environ["LAB_PCI"].split()[:3]
    option = answers.KERNELS[name][2]
    words = [option] if option == "--forgeable" else []     # it sees for itself if there is none
    done = subprocess.run([settings.program, *words, *cards], capture_output=True, text=True, check=False)
    real = done.stdout.splitlines()
    tap.check(done.returncode == 0, f"{done.stderr}ended with {done.returncode} after "
                                    f"{len(real)} answers: {real[-1:]}")
    fake = answers.of_fake(os.path.join(os.path.dirname(settings.program), "conform-fake"), name)
    with open(os.path.join(os.environ["LAB_OUT"], answers.file_name(name)), "w",
              encoding="utf-8") as out:
        out.write(done.stdout)
    differences = [line for line in difflib.unified_diff(fake, real, "fake", "real", lineterm="",
                                                         n=0) if not line.startswith("@@")]
    print(f"# {len(real)} answers, {max(0, len(differences) - 2)} lines of differences",
          flush=True)
    tap.check(not differences, "\n".join(differences))


def cases(name, settings):
    """One a guest: the list is one program."""
    yield "the real kernel and the fake one answer the same", \
        functools.partial(compare, name, settings)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
