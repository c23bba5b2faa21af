#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Forwarding without any rights: a user with no capability, who can't open a single node of VFIO's,
gets its cards from `plx-devbind broker`.
"""

import contextlib
import glob
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import time

import tap
import testpmd

USER, OTHER = 1000, 1001    # the one is on the broker's list
SOCKET = "/run/pollux.sock"
PACKETS = 2000
PATIENCE = 60

GUESTS = {
    "cards of two groups": tap.Guest("--device", "e1000e,e1000e", "--cpus", "1"),
    "cards of one group": tap.Guest("--device", "e1000e/g1,e1000e/g1", "--cpus", "1"),
}


def devbind(program):
    """plx-devbind is built beside plx-testpmd."""
    path = pathlib.Path(program).parents[1] / "devbind" / "plx-devbind"
    if not path.exists():
        raise tap.Skip("plx-devbind was not built: libpci or libkmod is missing")
    return path


def without_rights(uid):
    """The words that start a program as this user, with no capability left to gain."""
    return ["prlimit", "--memlock=unlimited", "setpriv", f"--reuid={uid}", f"--regid={uid}",
            "--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def close_nodes():
    """Nobody but root may open anything of VFIO's; hugepages are for all."""
    for path in glob.glob("/dev/vfio/*") + glob.glob("/dev/vfio/devices/*") + ["/dev/iommu"]:
        if not os.path.isdir(path):
            os.chown(path, 0, 0)
            os.chmod(path, 0o600)
    os.chmod("/dev/hugepages", 0o1777)
    os.environ["XDG_RUNTIME_DIR"] = "/tmp"


class Broker:
    """The broker while it serves."""

    def __init__(self, process, log):
        self.process, self._log = process, log

    def said(self):
        """What it wrote so far."""
        self._log.seek(0)
        return self._log.read()

    def wait_for(self, text, count=1):
        """Until it has said something so often."""
        deadline = time.monotonic() + PATIENCE
        while self.said().count(text) < count:
            tap.check(self.process.poll() is None, f"the broker has ended: {self.said()}")
            tap.check(time.monotonic() < deadline, f"'{text}' not said: {self.said()}")
            time.sleep(0.05)


    def descriptors(self):
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def keeps(self, count):
        """It comes back to so many: who has just left may still be closed."""
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() != count and time.monotonic() < deadline:
            time.sleep(0.05)
        tap.check_equal(self.descriptors(), count, "descriptors of the broker's")


@contextlib.contextmanager
def broker(program, *cards):
    """A broker that gives cards to USER."""
    close_nodes()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen([devbind(program), "broker", f"--socket={SOCKET}", str(USER),
                                    *cards], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        serving = Broker(process, log)
        try:
            serving.wait_for(f"at {SOCKET}")
            yield serving
        finally:
            process.terminate()
            process.wait(PATIENCE)
    tap.check_equal(process.returncode, 0, "the broker's exit code")
    tap.check(not os.path.exists(SOCKET), "the broker left its socket")


def bus(mode, cards):
    """The options that name cards of the broker's."""
    return [word for card in cards for word in ("-a", f"broker:{SOCKET},{card},mode={mode}")]


def forward(program, mode, cards):
    """USER forwards between both cards, and every packet comes back as it was sent."""
    run = testpmd.run(program, bus(mode, cards), [
        "--forward-mode=verify,io", "--port-topology=loop", f"--packets={PACKETS}", "--json"],
        prefix=without_rights(USER))
    tap.check(run.code == 0 and "can't be" not in run.err, str(run))
    tap.check_equal([port["access_mode"] for port in run.report["ports"]], [mode, mode], "modes")
    verify = run.report["streams"][0]["verify"]
    tap.check_equal((verify["sent"], verify["intact"]), (PACKETS, PACKETS), "sent, intact")


def refused(program, mode, cards, uid, *words):
    """Nothing is to be had, and a line says why."""
    run = testpmd.run(program, bus(mode, cards), ["--forward-mode=txonly", "--packets=8", "--json"],
                      prefix=without_rights(uid))
    tap.check(run.code not in (0, None) and not run.out, str(run))
    for word in words:
        tap.check(word in run.err, f"'{word}' is not in: {run.err}")


def no_capability():
    """What "without rights" means here: the kernel says that no set has a single one."""
    done = subprocess.run([*without_rights(USER), "cat", "/proc/self/status"], check=True,
                          capture_output=True, text=True, timeout=PATIENCE)
    sets = re.findall(r"^Cap(\w+):\s*(\w+)$", done.stdout, re.M)
    tap.check_equal({name: int(value, 16) for name, value in sets},
                    dict.fromkeys(("Inh", "Prm", "Eff", "Bnd", "Amb"), 0), "capabilities")


def annoy(uid, card, count):
    """Connections of a user's that ask nothing, nonsense, or for a card whose descriptors they
    never take. They are held until this process is ended.
    """
    os.setgid(uid)
    os.setuid(uid)
    request = struct.pack("<II16s", 2, 1, card.encode())
    held = []
    for index in range(count):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(SOCKET)
        held.append(sock)
        with contextlib.suppress(OSError):      # who isn't on the list is answered unasked
            for packet in (b"", os.urandom(24), os.urandom(4000), request)[index % 4:][:1]:
                sock.send(packet)
            if index % 8 == 4:
                socket.send_fds(sock, [b"mine"], [0] * 100)
    signal.pause()


def hostile(program, cards):
    """They neither stop the broker from serving others nor make it keep anything."""
    with broker(program, *cards) as serving:
        before = serving.descriptors()
        with contextlib.ExitStack() as stack:
            for uid in USER, OTHER:
                other = multiprocessing.Process(target=annoy, args=(uid, cards[0], 24))
                other.start()
                stack.callback(other.join)
                stack.callback(other.kill)
            serving.wait_for("refused: the request makes no sense", 6)
            serving.wait_for(f"uid {OTHER}: refused", 24)
            serving.wait_for("given, cdev", 6)
            forward(program, "cdev", cards)
            serving.keeps(before)
        forward(program, "type1v2", cards)
        serving.keeps(before)


def sockets(program, cards):
    """One broker a socket; what a killed one left is no obstacle, and anything else is nobody's."""
    def another(path=SOCKET, code=1):
        done = subprocess.run([devbind(program), "broker", f"--socket={path}", str(USER), *cards],
                              capture_output=True, text=True, timeout=PATIENCE, check=False)
        tap.check_equal(done.returncode, code, f"exit code; {done.stderr}")
        return done.stderr

    with broker(program, *cards):
        tap.check_equal(stat.S_IMODE(os.stat(SOCKET).st_mode), 0o666, "the socket's mode")
        tap.check("Address already in use" in another(), "two brokers at one socket")
    path = pathlib.Path("/run/a-file")
    path.write_text("mine", encoding="ascii")
    tap.check("Address already in use" in another(path), "a socket at a file")
    tap.check_equal(path.read_text(encoding="ascii"), "mine", "the file")
    tap.check("No such file" in another("/run/none/x"), "a socket in no folder")
    tap.check("1 to 107 bytes" in another("/run/" + "x" * 120, code=2),
              "a long path")
    process = subprocess.Popen([devbind(program), "broker", f"--socket={SOCKET}", str(USER),
                                *cards], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(SOCKET):
        tap.check(time.monotonic() < deadline, "no socket")
        time.sleep(0.05)
    process.kill()
    process.wait(PATIENCE)
    tap.check(os.path.exists(SOCKET), "a killed broker leaves its socket")
    with broker(program, *cards):
        pass


def killed(program, mode, cards):
    """A program that is killed leaves its cards closed and usable."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as err:
        words = testpmd.command(program, bus(mode, cards), ["--forward-mode=rxonly"])
        process = subprocess.Popen([*without_rights(USER), *words], stdin=subprocess.DEVNULL,
                                   stdout=err, stderr=err, text=True)
        try:
            testpmd.Forwarding(process, err).wait_for(1, "Forwarding in bursts")
        finally:
            process.kill()
            process.wait(PATIENCE)
    forward(program, mode, cards)


def all_cases(guest, settings):
    """The same for cards of two groups and of one."""
    program = settings.program
    cards = os.environ["LAB_PCI"].split()

    def with_broker(function, *arguments, given=cards):
        with broker(program, *given) as serving:
            function(program, *arguments)
            return serving.said()

    def own_rights():
        close_nodes()
        refused_run = testpmd.run(program, testpmd.allow(*cards), ["--packets=8"],
                                  prefix=without_rights(USER))
        tap.check(refused_run.code != 0 and "permission denied" in refused_run.err,
                  str(refused_run))

    def not_on_the_list():
        said = with_broker(refused, "cdev", cards, OTHER, f"uid {OTHER} is not on the broker's")
        tap.check(f"uid {OTHER}: refused" in said, said)

    def not_handed_out():
        with_broker(refused, "cdev", cards, USER, f"does not hand out {cards[1]}", given=cards[:1])

    def nobody_there():
        refused(program, "cdev", cards, USER, f"the broker at {SOCKET} can't be asked")

    yield "the user has no capability", no_capability
    yield "without the broker nothing is to be had", own_rights
    for mode in "cdev", "type1v2", "compat":
        yield f"{mode}: forwarding as uid {USER}", \
            lambda mode=mode: with_broker(forward, mode, cards)
    if guest != "cards of two groups":
        return
    for mode in "cdev", "type1v2":
        yield f"{mode}: killed while it forwards, and started again", \
            lambda mode=mode: with_broker(killed, mode, cards)
    yield "a user who is not on the list", not_on_the_list
    yield "a card that is not handed out", not_handed_out
    yield "no broker", nobody_there
    yield "hostile clients", lambda: hostile(program, cards)
    yield "sockets in use, left behind, and in the way", lambda: sockets(program, cards)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, all_cases)
