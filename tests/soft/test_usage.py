#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Command lines that can't work: one clear line, and the right exit code."""

import contextlib
import functools
import os
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import threading

import soft
import tap
import testpmd

NOBODY = 65534
WRONG = {
    "no arguments": [],
    "no such kind": ["nvmf"],
    "no socket": ["nic", "--wire"],
    "no cable": ["nic", "--socket", "a"],
    "two cables": ["nic", "--socket", "a", "--tap", "b", "--pcap-in", "c"],
    "a wire with one end": ["nic", "--socket", "a", "--wire"],
    "a wire from a card to itself": ["nic", "--socket", "a", "--socket", "a", "--wire"],
    "three cards": ["nic", "--socket", "a", "--socket", "b", "--socket", "c", "--wire"],
    "two cards on one TAP": ["nic", "--socket", "a", "--socket", "b", "--tap", "c"],
    "a group's address": ["nic", "--socket", "a", "--tap", "b", "--mac", "01:00:00:00:00:00"],
    "no address": ["nic", "--socket", "a", "--tap", "b", "--mac", "2:0:0:0:0:1"],
    "no number": ["nic", "--socket", "a", "--tap", "b", "--cpu", "-1"],
    "nothing to loop": ["nic", "--socket", "a", "--tap", "b", "--loop", "2"],
    "an unknown option": ["nic", "--frob"],
    "a word too many": ["nic", "--socket", "a", "--tap", "b", "c"],
}


def one_line(run, code, *texts):
    """It ended with that code, and said one line with all of these texts in it."""
    lines = [line for line in run.stderr.splitlines() if line.strip()]
    tap.check_equal((run.returncode, len(lines)), (code, 1), f"code and lines of {run.stderr!r}")
    for text in texts:
        tap.check(text in lines[0], f"'{text}' isn't in '{lines[0]}'")


def wrong(programs, words):
    """Usage: exit code 2."""
    run = soft.run(programs.softdev, *words)
    tap.check_equal(run.returncode, 2, f"exit code; {run.stderr}")
    if words:
        one_line(run, 2)


def helps(programs):
    """--help is no error."""
    for words in (["--help"], ["nic", "--help"]):
        run = soft.run(programs.softdev, *words)
        tap.check_equal((run.returncode, run.stderr), (0, ""), "--help")
        tap.check("--help" in run.stdout, "--help says nothing")


def sockets(programs):
    """In use, no socket, nowhere; stale ones are replaced; nobody else may connect."""
    with soft.wired(programs) as served:
        path = served.sockets[0]
        tap.check_equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
        one_line(soft.run(programs.softdev, "nic", "--socket", path, "--tap", "x"), 1, path)
        file = path + ".file"
        with open(file, "wb"):
            pass
        one_line(soft.run(programs.softdev, "nic", "--socket", file, "--tap", "x"), 1, file)
        tap.check(os.path.isfile(file), "a file was taken for a stale socket")
        for bad in ("/nowhere/at/all", "x" * 200):
            one_line(soft.run(programs.softdev, "nic", "--socket", bad, "--tap", "x"), 1, bad)
        served.process.kill()
        served.process.wait()
        tap.check(os.path.exists(path), "there is no stale socket to replace")
        with soft.serving(programs, os.path.dirname(path), "--wire", cards=2) as again:
            again.end()


def refused(programs, path, *texts, prefix=()):
    """plx-testpmd can't have this device: exit code 1, and the one line of ours says why."""
    run = testpmd.run(programs.testpmd, ["-a", f"user:{path}"], [], soft.MEMFD, prefix=prefix)
    tap.check_equal(run.code, 1, f"{run}; exit code")
    lines = [line for line in run.err.splitlines() if path in line and "POLLUX" in line]
    tap.check_equal(len(lines), 1, f"lines about {path} of {run}")
    for text in texts:
        tap.check(text in lines[0], f"'{text}' isn't in '{lines[0]}'")


class Impostor(threading.Thread):
    """A peer that speaks vfio-user, and is no PCI device."""

    HEADER = struct.Struct("=HHIII")    # id, command, size with this, flags, errno
    VERSION, GET_INFO, REPLY = 1, 4, 1
    ANSWERS = {VERSION: struct.pack("=HH", 0, 1) + b'{"capabilities": {}}\0',
               GET_INFO: struct.pack("=IIII", 16, 1 << 2, 0, 0)}    # a platform device

    def __init__(self, listener):
        super().__init__(daemon=True)
        self.listener = listener

    def run(self):
        peer, _ = self.listener.accept()
        with peer:
            while len(header := peer.recv(self.HEADER.size, socket.MSG_WAITALL)) == 16:
                number, command, size, _, _ = self.HEADER.unpack(header)
                peer.recv(max(size - 16, 0), socket.MSG_WAITALL)
                body = self.ANSWERS.get(command, b"")
                peer.send(self.HEADER.pack(number, command, 16 + len(body), self.REPLY, 0) + body)


def missing(programs):
    """No such file; a file that is no socket; a socket that nobody listens on."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "nic")
        refused(programs, path, "does not exist")
        with open(path, "wb"):
            pass
        refused(programs, path, "socket")
        os.unlink(path)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as nobody:
            nobody.bind(path)
            refused(programs, path, "nobody serves")


def no_pci(programs):
    """A peer that answers, but is no PCI device."""
    with tempfile.TemporaryDirectory() as directory, \
            contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        path = os.path.join(directory, "nic")
        listener.bind(path)
        listener.listen()
        Impostor(listener).start()
        refused(programs, path, "PCI")


def no_permission(programs):
    """Somebody else's socket."""
    if os.geteuid() or not shutil.which("setpriv"):
        raise tap.Skip("only root with setpriv can be somebody else")
    nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if soft.run(*nobody, "test", "-x", programs.testpmd).returncode:
        raise tap.Skip(f"nobody may not run {programs.testpmd}")
    with soft.wired(programs) as served:
        os.chmod(os.path.dirname(served.sockets[0]), 0o755)
        refused(programs, served.sockets[0], "ermission", prefix=nobody)


def surplus(programs):
    """More modes and ports are named than there are: forwarded all the same, with a word."""
    options = ["--tx-first", "--packets=64", "--disable-link-check"]
    for more, wanted in (["--forward-mode=io,io"], 0), (["--portmask=3"], 0), \
            (["--forward-mode=io,io,io"], 1), (["--portmask=7"], 1):
        with soft.wired(programs) as served:
            run = testpmd.run(programs.testpmd, served.bus(), [*options, *more], soft.MEMFD)
        tap.check_equal(run.code, 0, f"{run}; exit code")
        said = [line for line in run.err.splitlines() if "POLLUX: --" in line]
        tap.check_equal(len(said), wanted, f"lines about {more}: {said}; how many")


def no_buffers(programs):
    """What is wanted, and how much of it there is."""
    with soft.wired(programs) as served:
        run = testpmd.run(programs.testpmd, served.bus(), ["--total-num-mbufs=60000000"],
                          soft.eal())
    tap.check_equal(run.code, 1, f"{run}; exit code")
    said = [line for line in run.err.splitlines() if "no memory for 60000000 buffers" in line]
    tap.check_equal(len(said), 1, f"lines of {run}")
    tap.check("NUMA node -1" not in said[0] and " MiB" in said[0], said[0])
    if soft.eal() != soft.MEMFD:
        tap.check(" pages of 2048 KiB, and " in said[0], said[0])


def lost_report(programs):
    """A report that can't be written is no success."""
    options = ["--tx-first", "--packets=64", "--json"]
    with soft.wired(programs) as served, open("/dev/full", "w", encoding="ascii") as full:
        words = testpmd.command(programs.testpmd, served.bus(), options, soft.MEMFD)
        run = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                             stdin=subprocess.DEVNULL, timeout=soft.PATIENCE)
    tap.check_equal(run.returncode, 1, f"{run.stderr}; exit code")
    tap.check("standard output could not be written to" in run.stderr, run.stderr)


def cases(programs):
    """The test."""
    for name, words in WRONG.items():
        yield f"plx-softdev: {name}", functools.partial(wrong, programs, words)
    yield "plx-softdev: help", functools.partial(helps, programs)
    yield "plx-softdev: sockets", functools.partial(sockets, programs)
    yield "plx-testpmd: sockets that aren't there", functools.partial(missing, programs)
    yield "plx-testpmd: a peer that is no PCI device", functools.partial(no_pci, programs)
    yield "plx-testpmd: no permission", functools.partial(no_permission, programs)
    yield "plx-testpmd: modes and ports too many", functools.partial(surplus, programs)
    yield "plx-testpmd: no memory for buffers", functools.partial(no_buffers, programs)
    yield "plx-testpmd: nowhere to report to", functools.partial(lost_report, programs)


if __name__ == "__main__":
    soft.main(cases)
