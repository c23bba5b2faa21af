#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tests/tally over logs of the test's own: what is counted, and what is said of what failed.
Prints TAP.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

TALLY = pathlib.Path(__file__).resolve().parents[1] / "tally"


def check_equal(found, wanted):
    if found != wanted:
        raise AssertionError(f"found:\n{found}\nwanted:\n{wanted}")


def tally(code, *records):
    """What it says of programs that are (name, result, standard output, standard error)."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as log:
        for name, result, out, err in records:
            log.write(json.dumps({"name": name, "result": result, "stdout": out,
                                  **({"stderr": err} if err else {})}) + "\n")
        log.flush()
        done = subprocess.run([TALLY, log.name], capture_output=True, text=True, timeout=60,
                              check=False)
    check_equal((done.returncode, done.stderr), (code, ""))
    return done.stdout


def counts():
    """Each case by itself, and each program that has none."""
    check_equal(tally(0, ("unit / a", "OK", "1..2\nok 1 - x\n# said of what passed\nok 2 - y\n", ""),
                      ("b", "OK", "no cases\n", "")),
                "3 passed, 0 failed, 0 skipped\n")


def remarks():
    """Behind the case that failed, and of no other."""
    out = ("1..5\n# a note of the first\nok 1 - one\n# of no interest\nnot ok 2 - two\n# why two\n"
           "# and more\nnot ok 3 - three\nok 4 - four\n# of four\nnot ok 5 - five\n# why five\n")
    check_equal(tally(1, ("a", "FAIL", out, "")),
                "failed: a: two\n    # why two\n    # and more\nfailed: a: three\n"
                "failed: a: five\n    # why five\n2 passed, 3 failed, 0 skipped\n")


def errors():
    """What a program wrote to standard error, once."""
    check_equal(tally(1, ("a", "FAIL", "not ok 1 - x\n# at line 5\nnot ok 2 - y\n# at 7\n",
                          "ERROR: x is bad\n"), ("b", "OK", "ok 1\n", "a warning\n")),
                "failed: a: x\n    # at line 5\n    ERROR: x is bad\nfailed: a: y\n    # at 7\n"
                "1 passed, 2 failed, 0 skipped\n")


def no_more_than_twenty():
    """Lines of what is said."""
    many = "".join(f"# {number}\n" for number in range(30))
    said = tally(1, ("a", "FAIL", f"not ok 1 - x\n{many}", many)).splitlines()
    check_equal(said[1:21], [f"    # {number}" for number in range(20)])
    check_equal(said[21:41], [f"    # {number}" for number in range(10, 30)])
    check_equal(len(said), 42)


def died():
    """A failure that no case tells of, with the end of what was said."""
    check_equal(tally(1, ("a", "TIMEOUT", "ok 1 - x\nworking\n", "stuck\n")),
                "failed: a: timeout\n    ok 1 - x\n    working\n    stuck\n"
                "1 passed, 1 failed, 0 skipped\n")
    check_equal(tally(1, ("a", "ERROR", "not ok 1 - x\n", "")),
                "failed: a: x\n0 passed, 1 failed, 0 skipped\n")


def skips():
    """With their reasons: of a case, and of a whole program."""
    check_equal(tally(1, ("a", "SKIP", "ok 1 - x # SKIP no card\n", ""),
                      ("b", "SKIP", "1..0 # SKIP no QEMU\n", ""),
                      ("c", "SKIP", "", "no kernel\n\n"), ("d", "SKIP", "", "")),
                "skipped: a: x: no card\nskipped: b: no QEMU\nskipped: c: no kernel\n"
                "skipped: d: no reason given\n0 passed, 0 failed, 4 skipped\n")


def no_logs():
    done = subprocess.run([TALLY], capture_output=True, text=True, timeout=60, check=False)
    check_equal((done.returncode, done.stdout), (2, ""))


CASES = (counts, remarks, errors, no_more_than_twenty, died, skips, no_logs)


def main():
    """Run all cases."""
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - {case.__name__}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as reason:
            print(f"not ok {number} - {case.__name__}")
            print("# " + str(reason).replace("\n", "\n# "), flush=True)
            failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
