#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testpmd as it is started: command lines that it refuses, and what is printed where.

None of these needs a device: it is over before one is claimed. Prints TAP.
"""

import subprocess
import sys


def run(*args, stdout=subprocess.PIPE):
    """Exit code, standard output and standard error."""
    done = subprocess.run([sys.argv[1], *args], stdout=stdout, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def refused(args, text, lines=None):
    """Exit code 2, nothing on standard output, the reason on standard error."""
    code, out, err = run(*args.split())
    assert code == 2, f"exit code {code}: {err}"
    assert out == "", f"standard output: {out}"
    assert text in err, f"not in standard error: {text}\n{err}"
    assert lines in (None, err.count("\n")), err


def unknown_eal_option():
    refused("--bogus", "'--bogus' is no option", lines=1)
    refused("--vfio-mod cdev -- --json", "'--vfio-mod' is no option", lines=1)


def forgotten_dashes():
    refused("-l 0 --forward-mode=io", "a program's own go after --", lines=1)


def refused_eal_value():
    code, out, err = run("--no-huge", "-l", "4095", "--", "--json")
    assert (code, out) == (2, ""), f"exit code {code}: {out}"
    assert "it refuses an option, or two together" in err and "hugepages" not in err, err


def argument_before_dashes():
    refused("--no-huge -l 0 forward-mode=macswap -- --seconds=1",
            "'forward-mode=macswap' is no option; program options go after --")
    refused("--no-huge -l 0 stray", "'stray' is no option")


def own_options():
    refused("-- --bogus", "unknown or ambiguous option '--bogus'", lines=1)
    refused("-- stray", "'stray' is no option", lines=1)
    refused("-- --txpkts=3000 --tx-first --seconds=0", "--seconds=0", lines=1)


def nothing_astray():
    """All goes well up to the ports: one that isn't there is the end of it."""
    code, _, err = run("-a", "user:/nonexistent", "--no-huge", "-l", "0", "--", "--seconds=1")
    assert code == 1, f"exit code {code}: {err}"


def no_files_twice():
    """EAL, which implies --legacy-mem, would refuse that beside --in-memory."""
    code, _, err = run("-a", "user:/nonexistent", "--no-huge", "-m", "64", "--in-memory", "-l", "0")
    assert code == 1 and "legacy-mem" not in err, f"exit code {code}: {err}"
    assert "/nonexistent does not exist" in err, err


def full_output():
    with open("/dev/full", "w", encoding="ascii") as full:
        code, _, err = run("--help", stdout=full)
    assert code == 1, f"exit code {code}"
    assert err == "pollux: standard output could not be written to: the report is not complete\n", err
    code, out, err = run("--help")
    assert (code, err) == (0, "") and "EXIT CODES" in out, f"exit code {code}: {err}"


CASES = [unknown_eal_option, forgotten_dashes, refused_eal_value, argument_before_dashes,
         own_options, nothing_astray, no_files_twice, full_output]


def main():
    """Run the cases."""
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        try:
            case()
        except (AssertionError, subprocess.TimeoutExpired) as why:
            failed += 1
            print(f"not ok {number} - {case.__name__}")
            print("\n".join(f"# {line}" for line in str(why).splitlines()))
        else:
            print(f"ok {number} - {case.__name__}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
