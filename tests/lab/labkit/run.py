# SPDX-License-Identifier: BSD-3-Clause
"""Running other programs, bounded in time and with their output at hand."""

import ctypes
import os
import signal
import subprocess

from .errors import LabError

PR_SET_PDEATHSIG = 1


def die_with_parent():
    """In a child: the kernel ends it should we be killed outright."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(command, timeout, cwd=None, env=None, log=None):
    """Run `command`; returns (exit code, output).

    The output goes to the file `log` if there is one, and is its last part
    then. When time runs out, or we are interrupted, the program and all that
    it started are killed.
    """
    sink = open(log, "ab") if log else subprocess.PIPE
    try:
        process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                                   stdout=sink, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=die_with_parent)
    except OSError as error:
        raise LabError(f"cannot run {command[0]}: {error.strerror}") from error
    finally:
        if log:
            sink.close()
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{os.path.basename(command[0])} took longer than {timeout} s") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if log:
        with open(log, "rb") as handle:
            handle.seek(max(0, os.path.getsize(log) - 4000))
            output = handle.read()
    return process.returncode, output.decode(errors="replace")
