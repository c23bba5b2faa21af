# SPDX-License-Identifier: BSD-3-Clause
"""The ways in which the lab itself can fail, and the exit codes for them."""

EXIT_FAILURE = 1        # something was tried and did not work
EXIT_USAGE = 2          # the command line makes no sense
EXIT_UNAVAILABLE = 77   # this machine lacks something: a test that skips
EXIT_TIMEOUT = 124      # the guest ran out of time
EXIT_LAB = 125          # the lab failed, not the command under test


class LabError(Exception):
    """The lab failed. The text says what was wanted and what was found."""

    exit_code = EXIT_LAB


class BuildError(LabError):
    """A kernel or the initrd did not build."""

    exit_code = EXIT_FAILURE


class UsageError(LabError):
    """An option or a device specification that makes no sense."""

    exit_code = EXIT_USAGE


class Unavailable(LabError):
    """Something this machine does not have: a package, a program, the network.

    Tests take this as a skip, so the text is one line that says what was
    wanted and how to get it.
    """

    exit_code = EXIT_UNAVAILABLE
