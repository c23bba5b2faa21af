#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Which access mode is taken, and what is said about it, in every situation a machine can be in.

Taken means: exit code 0, packets sent, and one line on the device. Refused means: exit code 1,
and one line on the device that names what is missing.
"""

import contextlib
import functools
import glob
import os
import pathlib
import resource
import subprocess

from sysfs import parameter, write
import tap
import testpmd

USER = 1000                 # somebody without privileges
MODES = ("cdev", "type1v2", "type1", "compat")
CARD = ("--device", "e1000e", "--cpus", "1")

GUESTS = {
    "IOMMU": tap.Guest("--hugepages", "256", *CARD, timeout=500),   # two processes at a time
    "no interrupt remapping": tap.Guest("--no-intremap", *CARD),
    "no IOMMU": tap.Guest("--iommu", "none", *CARD),
    "no IOMMU, no unsafe mode": tap.Guest("--iommu", "none", "--no-unsafe", *CARD),
    "no IOMMU, kernel c": tap.Guest("--kernel", "c", "--iommu", "none", *CARD),
    "virtual functions": tap.Guest("--kernel", "c", "--device", "igb", "--cpus", "1"),
}
REFUSED = 3                 # lab-probe's
TOKENS = "11111111-2222-3333-4444-555555555555", "99999999-8888-7777-6666-555555555555"
CONTAINER = "/dev/vfio/vfio"
IOMMUFD = "/dev/iommu"


def cdev_node():
    """The device's cdev."""
    return glob.glob("/dev/vfio/devices/vfio*")[0]


def group_node():
    """The device's group."""
    return glob.glob("/dev/vfio/[0-9]*")[0]


@contextlib.contextmanager
def without(*paths):
    """While these nodes are not there."""
    for path in paths:
        os.rename(path, path + ".away")
    try:
        yield
    finally:
        for path in paths:
            os.rename(path + ".away", path)


@contextlib.contextmanager
def given_to_user(*paths):
    """While USER owns these nodes, and nobody but root may use the others."""
    everything = [CONTAINER, IOMMUFD, cdev_node(), group_node()]
    before = {path: os.stat(path) for path in everything}
    os.chmod("/dev/hugepages", 0o1777)
    for path in everything:
        os.chmod(path, 0o600)
        os.chown(path, USER if path in paths else 0, 0)
    try:
        yield
    finally:
        for path, stat in before.items():
            os.chown(path, stat.st_uid, stat.st_gid)
            os.chmod(path, stat.st_mode & 0o7777)


@contextlib.contextmanager
def driver(name):
    """While the device is bound to another driver, or to none."""
    where = f"/sys/bus/pci/devices/{address()}"

    def bind(override):
        if os.path.exists(f"{where}/driver"):
            write(f"{where}/driver/unbind", address())
        write(f"{where}/driver_override", override or "\n")
        if override:
            write("/sys/bus/pci/drivers_probe", address())

    bind(name)
    try:
        yield
    finally:
        bind("vfio-pci")


def address():
    """The card's."""
    return os.environ["LAB_PCI"].split()[0]


def attempt(program, *bus, user=False, memlock=resource.RLIM_INFINITY, which=None):
    """Claim the card and send a few packets; `user` does it without privileges."""
    prefix = []
    if user:
        prefix = ["prlimit", f"--memlock={memlock}", "setpriv", f"--reuid={USER}",
                  f"--regid={USER}", "--clear-groups", "--no-new-privs", "--inh-caps=-all"]
        os.environ["XDG_RUNTIME_DIR"] = "/tmp"
    return testpmd.run(program, [*testpmd.allow(which or address()), *bus],
                       ["--forward-mode=txonly", "--packets=8", "--disable-link-check", "--json"],
                       prefix=prefix)


def said(run):
    """The lines on the card; there should be one."""
    lines = [line for line in run.err.splitlines()
             if line.startswith("POLLUX:") and f" {address()}" in line]
    tap.check(len(lines) == 1, f"{len(lines)} lines about {address()}; {run}")
    print(f"# {lines[0]}", flush=True)
    return lines[0]


def check_words(line, words):
    """What a line must name."""
    for word in words:
        tap.check(word in line, f"'{word}' is not in: {line}")


def taken(run, mode, *words):
    """The card was claimed in this mode, and the line has these words."""
    tap.check(run.code == 0, str(run))
    tap.check_equal([port["access_mode"] for port in run.report["ports"]], [mode], "access mode")
    tap.check(run.report["ports"][0]["tx_packets"] == 8, str(run))
    line = said(run)
    check_words(line, (f"{address()}: {mode} (", *words))
    if not words:
        tap.check("refused" not in line, f"something was refused: {line}")


def refused(run, *words):
    """The card was not claimed, and the line has these words."""
    tap.check(run.code == testpmd.EXIT_RUNTIME, str(run))
    tap.check(not run.out, f"standard output is not empty; {run}")
    check_words(said(run), (f"{address()} can't be claimed: ", *words))


def usage(run, *words):
    """The command line was refused."""
    tap.check(run.code == testpmd.EXIT_USAGE, str(run))
    check_words(run.err, words)


def with_iommu(program):
    """What there is to choose behind an IOMMU."""
    go = functools.partial(attempt, program)

    yield "all nodes there: cdev", lambda: taken(go(), "cdev")
    for mode in MODES:
        yield f"--vfio-mode={mode}: {mode}", \
            lambda mode=mode: taken(go("--vfio-mode", mode), mode)
    yield "--vfio-mode=compat,type1: type1, the better one", \
        lambda: taken(go("--vfio-mode", "compat,type1"), "type1")
    for mode in "noiommu", "noiommu-cdev":
        yield f"--vfio-mode={mode}: refused", lambda mode=mode: refused(
            go("--vfio-mode", mode, "--allow-noiommu"), f"{mode}: ", "behind an IOMMU")

    def no_nodes(paths, check, *bus):
        with without(*(path() if callable(path) else path for path in paths)):
            check(go(*bus))

    missing = (
        ("no cdev", (cdev_node,), "type1v2", ("cdev refused: /dev/vfio/devices/", "not exist")),
        (f"no {IOMMUFD}", (IOMMUFD,), "type1v2", (f"cdev refused: {IOMMUFD} does not exist",)),
        (f"no cdev, no {CONTAINER}", (cdev_node, CONTAINER), "compat",
         ("cdev refused", f"type1v2, type1 refused: {CONTAINER} does not exist")),
        ("no group", (group_node,), "cdev", ()),
        (f"no {CONTAINER}", (CONTAINER,), "cdev", ()),
    )
    for name, paths, mode, words in missing:
        yield f"{name}: {mode}", functools.partial(
            no_nodes, paths, lambda run, mode=mode, words=words: taken(run, mode, *words))
    hopeless = (
        (f"no {IOMMUFD}, no {CONTAINER}", (IOMMUFD, CONTAINER), (), (IOMMUFD, CONTAINER)),
        ("no cdev, --vfio-mode=cdev", (cdev_node,), ("--vfio-mode", "cdev"), ("cdev: /dev/vfio",)),
        (f"no {IOMMUFD}, --vfio-mode=cdev", (IOMMUFD,), ("--vfio-mode", "cdev"), (IOMMUFD,)),
        (f"no {CONTAINER}, --vfio-mode=type1", (CONTAINER,), ("--vfio-mode", "type1"),
         (f"type1: {CONTAINER}",)),
        ("no group, --vfio-mode=compat", (group_node,), ("--vfio-mode", "compat"),
         ("compat: /dev/vfio/",)),
    )
    for name, paths, bus, words in hopeless:
        yield f"{name}: refused", functools.partial(
            no_nodes, paths, lambda run, words=words: refused(run, *words), *bus)

    def unprivileged(paths, check, *bus, **settings):
        with given_to_user(*(path() if callable(path) else path for path in paths)):
            check(go(*bus, user=True, **settings))

    yield "a user who has the cdev and the iommufd: cdev", lambda: unprivileged(
        (cdev_node, IOMMUFD), lambda run: taken(run, "cdev"))
    yield "a user who has the group and the container: type1v2", lambda: unprivileged(
        (group_node, CONTAINER), lambda run: taken(run, "type1v2", "cdev refused",
                                                   "permission denied"))
    yield "a user who has nothing: refused", lambda: unprivileged(
        (), lambda run: refused(run, "permission denied", "owner 0:0, mode 0600", "chown"))
    yield "a user who has the group, --vfio-mode=cdev: refused", lambda: unprivileged(
        (group_node, CONTAINER), lambda run: refused(run, "cdev: ", "permission denied"),
        "--vfio-mode", "cdev")
    for mode, nodes in ("cdev", (cdev_node, IOMMUFD)), ("type1v2", (group_node, CONTAINER)):
        yield f"a user with a memlock limit of 8 MiB, {mode}: refused", \
            lambda mode=mode, nodes=nodes: unprivileged(
                nodes, lambda run: refused(run, "memlock", "8 MiB"), "--vfio-mode", mode,
                memlock=8 << 20)

    def busy():
        with testpmd.forwarding(program, testpmd.allow(address()), ["--forward-mode=rxonly"]):
            refused(go(), "in use")

    def with_driver(name, *words):
        with driver(name):
            refused(go(), *words)

    yield "held by another process: refused", busy
    yield "after it ended: cdev", lambda: taken(go(), "cdev")
    yield "held by its kernel driver: refused", lambda: with_driver(
        "e1000e", "bound to e1000e", "bind it to vfio-pci")
    yield "without a driver: refused", lambda: with_driver(None, "bound to no driver")
    yield "--vfio-mode=warp: usage", lambda: usage(go("--vfio-mode", "warp"), "warp", "type1v2")
    yield "mode=warp for the device: usage", lambda: usage(
        go(which=f"{address()},mode=warp"), "warp")
    yield "no address: usage", lambda: usage(go(which="first"), "first")


def without_remapping(program):
    """Behind an IOMMU that does not isolate interrupts."""
    go = functools.partial(attempt, program)

    yield "refused", lambda: refused(go(), "interrupt remapping is missing")
    for mode in MODES:
        yield f"--vfio-mode={mode}: refused", lambda mode=mode: refused(
            go("--vfio-mode", mode), f"{mode}: interrupt remapping", "allow_unsafe_interrupts=1")

    def accept(module, mode, *words):
        with parameter(module, "allow_unsafe_interrupts", "1"):
            taken(go(), mode, *words)

    yield "accepted for type1: type1v2", lambda: accept(
        "vfio_iommu_type1", "type1v2", "cdev refused: interrupt remapping is missing")
    yield "accepted for iommufd: cdev", lambda: accept("iommufd", "cdev")


def without_iommu(program, mode):
    """No IOMMU; `mode` is what this kernel has for that."""
    go = functools.partial(attempt, program)

    yield "not allowed: refused", lambda: refused(go(), "--allow-noiommu")
    yield f"allowed: {mode}", lambda: taken_unsafe(go("--allow-noiommu"), mode)
    yield "--vfio-mode=noiommu: noiommu", lambda: taken_unsafe(
        go("--allow-noiommu", "--vfio-mode", "noiommu"), "noiommu")
    for other in MODES:
        yield f"--vfio-mode={other}: refused", lambda other=other: refused(
            go("--allow-noiommu", "--vfio-mode", other), f"{other}: ", "no IOMMU")


def taken_unsafe(run, mode):
    """Claimed without an IOMMU; addresses are physical ones."""
    tap.check(run.code == 0, str(run))
    check_words(said(run), (f"{address()}: {mode} (", "IOVA = PA"))
    tap.check_equal(run.report["ports"][0]["access_mode"], mode, "access mode")
    tap.check_equal(run.report["addresses"], "PA", "addresses")


def without_anything(program):
    """No IOMMU, and the kernel was not told to go without."""
    yield "refused, and the switch is named", lambda: refused(
        attempt(program, "--allow-noiommu"), "bound to no driver", "enable_unsafe_noiommu_mode")


def virtual(program):
    """A virtual function, whose physical one is VFIO's, too: the claim of that sets a token."""
    probe = str(pathlib.Path(program).parents[2] / "tests/lab/lab-probe")
    where = pathlib.Path("/sys/bus/pci/devices", address())

    def claim(which, mode, token, *words):
        """With words: it is refused with these."""
        done = subprocess.run([probe, f"--vfio-mode={mode}", "-a", which,
                               *([f"--vfio-vf-token={token}"] if token else [])],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120, check=False)
        last = done.stdout.rstrip().rpartition("\n")[2]
        tap.check_equal(done.returncode, REFUSED if words else 0, f"exit code; {done.stdout}")
        check_words(last, words or [f"pass: {which}"])

    def make_one():
        with parameter("vfio_pci", "enable_sriov", "Y"):
            claim(address(), "type1v2", TOKENS[0])
            write(where / "sriov_numvfs", "1")
        tap.check_equal(driver_of(one()), "vfio-pci", "driver of the virtual function")

    def one():
        return os.path.basename(os.readlink(where / "virtfn0"))

    def driver_of(which):
        return os.path.basename(os.readlink(f"/sys/bus/pci/devices/{which}/driver"))

    def another_token():
        claim(address(), "cdev", TOKENS[1])
        claim(one(), "cdev", TOKENS[1])
        claim(one(), "cdev", TOKENS[0], "cdev: the VF token is wrong")

    yield "the physical function is claimed with a token, and has a virtual one", make_one
    for mode in "cdev", "type1v2", "compat":
        yield f"{mode}, the token: taken", lambda mode=mode: claim(one(), mode, TOKENS[0])
        yield f"{mode}, no token: refused", lambda mode=mode: claim(
            one(), mode, None, f"{mode}: the VF token is missing", "--vfio-vf-token")
        yield f"{mode}, another token: refused", lambda mode=mode: claim(
            one(), mode, TOKENS[1], f"{mode}: the VF token is wrong", "--vfio-vf-token")
    yield "the physical function is claimed again, by its cdev, with another token", another_token


def cases(guest, settings):
    """The situations of a guest."""
    return {
        "IOMMU": with_iommu,
        "no interrupt remapping": without_remapping,
        "no IOMMU": lambda program: without_iommu(program, "noiommu"),
        "no IOMMU, no unsafe mode": without_anything,
        "no IOMMU, kernel c": lambda program: without_iommu(program, "noiommu-cdev"),
        "virtual functions": virtual,
    }[guest](settings.program)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
