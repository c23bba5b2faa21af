#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""usage: answers.py CONFORM-FAKE | answers.py --record FOLDER

Whether the fake kernel answers what was recorded of the real ones (tests/conform/answers), as TAP.
With --record, writes that file anew, from what test_conform.py left in FOLDER.

A line of the file is an answer, after the kernels that give it: a letter each, a capital where
there is no IOMMU, and r where it doesn't remap interrupts.
"""

import difflib
import pathlib
import subprocess
import sys

FILE = pathlib.Path(__file__).resolve().parent / "answers"
# By the name of the guest: its letter, the kernel, and what the fake one is told of the IOMMU
KERNELS = {"kernel a": ("a", "a", None), "kernel b": ("b", "b", None),
           "kernel c": ("c", "c", None), "kernel a, no IOMMU": ("A", "a", "--noiommu"),
           "kernel c, no IOMMU": ("C", "c", "--noiommu"),
           "kernel a, no remapping of interrupts": ("r", "a", "--forgeable")}


def letter(name):
    """How the file calls a kernel."""
    return KERNELS[name][0]


def file_name(name):
    """What test_conform.py leaves."""
    return f"answers-{letter(name)}"


def of_fake(program, name):
    """What the fake kernel answers when it is like that one."""
    _, kernel, option = KERNELS[name]
    done = subprocess.run([program, kernel, *((option,) if option else ())],
                          stdout=subprocess.PIPE, text=True, check=False)
    return done.stdout.splitlines() + ([f"ended with {done.returncode}"] if done.returncode else [])


def recorded(name):
    """What that kernel answered once."""
    with open(FILE, encoding="utf-8") as lines:
        return [line.rstrip("\n").partition(" ")[2] for line in lines
                if letter(name) in line.partition(" ")[0]]


def record(folder):
    """Merge the answers of all kernels into one list, each line once."""
    merged = []             # (letters, line)
    for name in KERNELS:
        new = (pathlib.Path(folder) / file_name(name)).read_text(encoding="utf-8").splitlines()
        old = [line for _, line in merged]
        result = []
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        for tag, i, i_end, j, j_end in matcher.get_opcodes():
            if tag == "equal":
                result += [(letters + letter(name), line) for letters, line in merged[i:i_end]]
            else:
                result += merged[i:i_end] + [(letter(name), line) for line in new[j:j_end]]
        merged = result
    with open(FILE, "w", encoding="utf-8") as out:
        out.writelines(f"{letters} {line}\n" for letters, line in merged)


def main(program):
    """A case a kernel."""
    failed = False
    print(f"1..{len(KERNELS)}")
    for number, name in enumerate(KERNELS, 1):
        fake, real = of_fake(program, name), recorded(name)
        differences = list(difflib.unified_diff(real, fake, "recorded", "fake", lineterm="", n=0))
        failed |= bool(differences) or not real
        print(f"{'not ' if differences or not real else ''}ok {number} - {name}: "
              f"{len(real)} answers")
        print("".join(f"# {line}\n" for line in differences), end="")
    return failed


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--record":
        record(sys.argv[2])
    elif len(sys.argv) == 2 and not sys.argv[1].startswith("-"):
        sys.exit(main(sys.argv[1]))
    else:
        print(__doc__.splitlines()[0], file=sys.stderr)
        sys.exit(2)
