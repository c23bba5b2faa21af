#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Whether the man pages name the options that --help names, and no others, and are well-formed.
Prints TAP.

    test_man_pages.py PROGRAM...
"""

import pathlib
import re
import shutil
import subprocess
import sys

PAGES = pathlib.Path(__file__).resolve().parents[2] / "doc/man"
DEVICES = PAGES / "pollux-devices.7"    # of all programs that use devices
KINDS = {"plx-softdev": ("nic", "nvme")}
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
PATIENCE = 60


class Skip(Exception):
    """Raised by a case that can't run here; the text says why."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def help_of(program, *kind):
    return subprocess.run([program, *kind, "--help"], capture_output=True, text=True,
                          timeout=PATIENCE, check=True).stdout


def options_of_page(text):
    """Of the words, without what they are set by."""
    text = re.sub(r"^\.\\\".*$", "", text, flags=re.M)
    return set(OPTION.findall(re.sub(r"\\f[A-Z]", "", text.replace("\\-", "-"))))


def same(program):
    """All that any --help of a program names, and its commands."""
    name = pathlib.Path(program).name
    said = help_of(program)
    part = re.search(r"^(?:COMMANDS|KINDS|commands:)\n(.*?)^$", said, re.S | re.M)
    commands = set(re.findall(r"^  ([a-z]+) ", part[1], re.M)) if part else set()
    said += "".join(help_of(program, kind) for kind in KINDS.get(name, ()))
    theirs = set(OPTION.findall(said))
    page, = PAGES.glob(f"{name}.[18]")
    text = page.read_text(encoding="utf-8")
    part = re.search(r"^\.SH COMMANDS\n(.*?)^\.SH", text, re.S | re.M) or \
        re.search(r"^\.SH SYNOPSIS\n(.*?)^\.SH", text, re.S | re.M)
    lacking = {word for word in commands if not re.search(rf"^\.B.*\b{word}\b", part[1], re.M)}
    check(not lacking, f"{page.name} lacks {lacking}")
    ours = options_of_page(text)
    if "pollux\\-devices" in text and "--allow" in theirs:
        ours |= options_of_page(DEVICES.read_text(encoding="utf-8"))
    # The same in all programs.
    ours, theirs = ours - {"-h", "--help"}, theirs - {"-h", "--help"}
    check(len(theirs) > 5, f"{name} --help: {theirs}")
    check(ours == theirs, f"{page.name} and --help: {sorted(ours ^ theirs)}")


def well_formed(page):
    """groff has nothing to say about it, and whatis finds what it is about."""
    if not shutil.which("groff"):
        raise Skip("no groff on this machine")
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-z", page], capture_output=True,
                          text=True, timeout=PATIENCE, check=True)
    check(not done.stderr, done.stderr)
    text = page.read_text(encoding="utf-8")
    check(f".SH NAME\n{page.stem} \\- " in text, "no line for whatis")
    for name, section in re.findall(r"^\.BR ([\w\\-]+) \((\d)\)", text, re.M):
        name = name.replace("\\-", "-")
        if name.startswith(("plx", "pollux")):
            check((PAGES / f"{name}.{section}").exists(), f"there is no {name}({section})")


def main(programs):
    """Run all cases."""
    cases = [(f"{pathlib.Path(program).name}: options", same, program) for program in programs]
    cases += [(f"{page.name}: form", well_formed, page) for page in sorted(PAGES.iterdir())]
    failed = 0
    print(f"1..{len(cases)}")
    for number, (name, case, argument) in enumerate(cases, 1):
        try:
            case(argument)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError, ValueError) as reason:
            print(f"not ok {number} - {name}")
            print("# " + str(reason).replace("\n", "\n# "), flush=True)
            failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
