#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-devbind on real kernels: bind, unbind and restore, what is refused, and what is explained."""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from sysfs import parameter, write
import tap

UDEVD, RULES = "/lib/systemd/systemd-udevd", "/etc/udev/rules.d"
USER = 1000                 # somebody without privileges
PATIENCE = 60
BIND_IOMMUFD = 0x3b76       # VFIO_DEVICE_BIND_IOMMUFD
DONE, FAILED, USAGE, REFUSED = range(4)
NATIVE = {"e1000e": "e1000e", "igb": "igb", "vmxnet3": "vmxnet3", "virtio": "virtio-pci",
          "nvme": "nvme"}
DEVICES = ("e1000e:kernel,igb:kernel,vmxnet3:kernel,virtio:kernel,nvme:kernel,"
           "e1000e/g1:kernel,e1000e/g1:kernel")

GUESTS = {
    "IOMMU": tap.Guest("--device", DEVICES, "--cpus", "1"),
    "no IOMMU": tap.Guest("--iommu", "none", "--no-unsafe", "--device", "e1000e:kernel",
                          "--cpus", "1"),
    "virtio-iommu": tap.Guest("--iommu", "virtio", "--device", "e1000e:kernel", "--cpus", "1"),
    "interrupts not remapped": tap.Guest("--append", "intremap=off", "--device", "e1000e:kernel",
                                         "--cpus", "1"),
    "Debian's kernel": tap.Guest("--kernel", "stock", "--device", "e1000e:kernel,nvme:kernel",
                                 "--cpus", "1"),
}


def addresses():
    """Of the devices, in the order in which the guest was given them."""
    return os.environ["LAB_PCI"].split()


def natives():
    """The driver that each device has when nobody did anything."""
    models = os.environ["LAB_MODELS"].split()
    return {address: NATIVE[model] for address, model in zip(addresses(), models)}


def driver(address):
    """What sysfs says; "" for none."""
    link = f"/sys/bus/pci/devices/{address}/driver"
    return os.path.basename(os.readlink(link)) if os.path.exists(link) else ""


class Devbind:
    """The program, and what it does to the machine."""

    def __init__(self, program):
        self.program = program
        self.probe = str(pathlib.Path(program).parents[2] / "tests/lab/lab-probe")

    def run(self, code, *words, user=False):
        """Run to the end, which has to be with this code; returns what it said."""
        prefix = []
        if user:
            prefix = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                      "--no-new-privs", "--inh-caps=-all"]
        done = subprocess.run([*prefix, self.program, *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        tap.check(done.returncode == code,
                  f"{' '.join(words)} ended with {done.returncode}, wanted {code}, and said:\n"
                  f"{done.stderr}{done.stdout}")
        return done.stderr + done.stdout

    def says(self, code, words, *parts, user=False):
        """Run, and look for parts of what is said."""
        said = self.run(code, *words, user=user)
        for part in parts:
            tap.check(part in said, f"'{part}' is not in what {' '.join(words)} says:\n{said}")

    def json(self, *words):
        """What a report says as JSON; its exit code is a judgement, and of no interest here."""
        done = subprocess.run([self.program, *words, "--json"], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        return json.loads(done.stdout)

    def modes(self, address, *words):
        """{access mode: (verdict, reason)} of a device."""
        report = self.json("why", address, *words)[0]
        return {mode["mode"]: (mode["verdict"], mode["reason"] or "") for mode in report["modes"]}

    @contextlib.contextmanager
    def bound(self, *devices, name="vfio-pci"):
        """While the devices have another driver."""
        self.run(DONE, "bind", name, *devices)
        try:
            for address in devices:
                tap.check_equal(driver(address), name, f"driver of {address}")
            yield
        finally:
            self.run(DONE, "restore", *devices)
        for address in devices:
            tap.check_equal(driver(address), natives()[address], f"driver of {address}, restored")


@contextlib.contextmanager
def without(path):
    """While this node is not there."""
    os.rename(path, path + ".away")
    try:
        yield
    finally:
        os.rename(path + ".away", path)


@contextlib.contextmanager
def own(path):
    """While a folder is empty, and may be written to."""
    system("mount", "-t", "tmpfs", "none", path)
    try:
        yield
    finally:
        system("umount", path)


@contextlib.contextmanager
def mapped(descriptor):
    """While the first page of a file is mapped. Python's own mappings keep a descriptor open."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.munmap.argtypes = ctypes.c_void_p, ctypes.c_size_t
    page = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, descriptor,
                     ctypes.c_long(0))
    tap.check(page != ctypes.c_void_p(-1).value, f"mmap: {os.strerror(ctypes.get_errno())}")
    try:
        os.close(descriptor)
        yield
    finally:
        libc.munmap(page, mmap.PAGESIZE)


def udevadm(*words):
    """Speaks with udevd, from below another root than its own. Whether that worked."""
    return subprocess.run(["udevadm", *words], check=False, stderr=subprocess.DEVNULL,
                          timeout=PATIENCE,
                          env={**os.environ, "SYSTEMD_IGNORE_CHROOT": "1"}).returncode == 0


@contextlib.contextmanager
def udevd():
    """While udev carries out its rules."""
    if not os.path.exists(UDEVD) or not os.path.isdir(RULES):
        raise tap.Skip("no udev on this machine: it is in Debian's package udev")
    os.makedirs("/run/udev", exist_ok=True)
    process = subprocess.Popen([UDEVD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        # Its socket for commands is there before it hears of events.
        wait_for(lambda: udevadm("control", "--ping"), "udevd to start")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def wait_for(condition, what):
    """Until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        tap.check(time.monotonic() < deadline, f"waited in vain for {what}")
        time.sleep(0.05)


def owner(path):
    """The user whose it is; None if it isn't there."""
    return os.stat(path).st_uid if os.path.exists(path) else None


def check_unchanged():
    """Every device has the driver it had."""
    for address, name in natives().items():
        tap.check_equal(driver(address), name, f"driver of {address}")


def check_words(text, *words):
    """All of them are in the text."""
    for word in words:
        tap.check(word in text, f"'{word}' is not in: {text}")


def interface(address):
    """The network interface of a device."""
    for folder, names, _ in os.walk(f"/sys/bus/pci/devices/{address}/"):
        if os.path.basename(folder) == "net" and names:
            return names[0]
    raise tap.Failure(f"{address} has no network interface")


def system(*words):
    """Run a program that has to succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
    tap.check(done.returncode == 0, f"{' '.join(words)}: {done.stderr}")


def parse_report(text):
    """{address: (driver, whether it is for user space)} from a report in dpdk-devbind.py's form."""
    found, ready = {}, False
    for line in text.splitlines():
        if line.endswith(("driver", "devices")):
            ready = "DPDK-compatible" in line
        match = re.match(r"([0-9a-f:.]{12}) '.*' (?:if=\S* )?(?:drv=(\S+) )?unused=", line)
        if match:
            found[match[1]] = (match[2], ready)
    return found


def with_iommu(devbind):
    """Everything that needs no file system and no module."""
    nic, igb, vmx, virtio, nvme, first, second = addresses()

    def status_lists_all():
        report = {device["address"]: device for device in devbind.json("status", "--all")}
        for address, name in natives().items():
            tap.check_equal(report[address]["driver"], name, f"driver of {address}")
        tap.check_equal(report[nic]["interfaces"], [interface(nic)], "interfaces")
        tap.check_equal(report[nvme]["disks"], ["nvme0n1"], "disks")
        tap.check_equal(report[first]["iommu_group"]["members"], [first, second], "group")
        devbind.says(DONE, ("status",), nic, nvme, user=True)

    def same_as_dpdk_devbind():
        theirs = shutil.which("dpdk-devbind.py")
        if not theirs:
            raise tap.Skip("no dpdk-devbind.py on this machine: it is in Debian's package dpdk")
        # In every section of it: for user space, the kernel's, one of these active, and without.
        name = interface(igb)
        system("ip", "link", "set", name, "up")
        system("ip", "route", "add", "198.51.100.0/24", "dev", name)
        devbind.run(DONE, "unbind", vmx)
        with devbind.bound(nic):
            done = subprocess.run([theirs, "-s"], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False)
            ours = devbind.run(DONE, "-s")
        system("ip", "route", "flush", "dev", name)
        devbind.run(DONE, "restore", vmx)
        tap.check(done.returncode == 0, f"dpdk-devbind.py failed: {done.stderr}")
        wanted = parse_report(done.stdout)
        tap.check(wanted.get(nic) == ("vfio-pci", True) and wanted.get(vmx) == (None, False) and
                  wanted.get(igb) == ("igb", False), f"not parsed: {done.stdout}")
        tap.check_equal(parse_report(ours), wanted, "devices")
        check_words(done.stdout, f"if={name} drv=igb", "*Active*")
        # Names, interfaces, other drivers: to the letter.
        tap.check_equal(ours, done.stdout, "the report")

    def there_and_back(address):
        with devbind.bound(address):
            devbind.run(DONE, "unbind", address)
            tap.check_equal(driver(address), "", "driver after unbind")

    def in_the_old_way():
        devbind.run(DONE, "-b", "vfio-pci", nic[5:])
        tap.check_equal(driver(nic), "vfio-pci", "driver")
        devbind.run(DONE, "-u", nic)
        tap.check_equal(driver(nic), "", "driver")
        devbind.run(DONE, "-b", "e1000e", nic)
        check_unchanged()

    def fails_in_the_middle():
        # vmxnet3 takes its own card back, then doesn't take the other one.
        with devbind.bound(vmx):
            devbind.says(FAILED, ("bind", "vmxnet3", vmx, nic), f"vmxnet3 does not take {nic}",
                         "nothing was changed")
            tap.check_equal(driver(vmx), "vfio-pci", f"driver of {vmx}")
            tap.check_equal(driver(nic), "e1000e", f"driver of {nic}")
        check_unchanged()

    def no_such_driver():
        devbind.says(FAILED, ("bind", "warp", nic), "no driver warp")
        # By driver_override it would take the disk, and go down.
        devbind.says(FAILED, ("bind", "--force", "e1000e", nvme), "e1000e does not take",
                     "it is for other devices", "nothing was changed")
        devbind.says(USAGE, ("bind", "vfio-pci", "0000:77:00.0"), "no device")
        check_unchanged()

    def sysfs_read_only():
        script = f"mount -o remount,ro,bind /sys && exec {devbind.program} bind vfio-pci {nic}"
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        tap.check_equal(done.returncode, FAILED, f"exit code; {done.stderr}")
        check_words(done.stderr, "Read-only file system")
        check_unchanged()

    def vanished():
        write(f"/sys/bus/pci/devices/{nic}/remove", "1")
        try:
            devbind.says(USAGE, ("bind", "vfio-pci", vmx, nic), f"no device '{nic}'")
            tap.check_equal(driver(vmx), "vmxnet3", f"driver of {vmx}")
        finally:
            write("/sys/bus/pci/rescan", "1")
        check_unchanged()

    def vanished_for_good():
        if not os.path.isdir(RULES):
            raise tap.Skip("no udev on this machine: it is in Debian's package udev")
        with own(RULES), own("/var/lib"):
            devbind.run(DONE, "bind", "--persist", "vfio-pci", nic, vmx)
            write(f"/sys/bus/pci/devices/{nic}/remove", "1")
            try:
                devbind.says(DONE, ("restore",), f"{nic} isn't there: its rules, and what was")
                tap.check_equal(os.listdir(RULES), [], "rules after restore")
                devbind.says(USAGE, ("restore", nic), f"no device '{nic}'")
            finally:
                write("/sys/bus/pci/rescan", "1")
        check_unchanged()

    def no_room_for_the_report():
        for words in ("--help",), ("doctor",), ("status",), ("status", "--json"), ("-s",):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([devbind.program, *words], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=PATIENCE,
                                      check=False)
            tap.check_equal(done.returncode, FAILED, f"exit code of {words}")
            check_words(done.stderr, "the report can't be written: No space left on device")

    def address_or_route():
        name = interface(nic)
        system("ip", "link", "set", name, "up")
        devbind.says(DONE, ("status", name), name)
        system("ip", "addr", "add", "192.0.2.7/24", "dev", name)
        devbind.says(REFUSED, ("bind", "vfio-pci", name),
                     f"{name} has the address 192.0.2.7/24")
        system("ip", "addr", "flush", "dev", name)
        system("ip", "route", "add", "default", "dev", name)
        devbind.says(REFUSED, ("bind", "vfio-pci", vmx, nic), f"{name} carries the default route")
        check_unchanged()
        devbind.run(DONE, "bind", "--force", "vfio-pci", name)
        devbind.run(DONE, "restore", nic)
        check_unchanged()

    def disk_in_use():
        for node in "/dev/nvme0n1", "/dev/nvme0", "/dev/ng0n1":
            with open(node, "rb"):
                devbind.says(REFUSED, ("bind", "vfio-pci", nvme),
                             f"{node} is open in process {os.getpid()} (python3)")
        check_unchanged()

    def held_by_a_program():
        with devbind.bound(nic):
            group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{nic}/iommu_group"))
            with open(f"/dev/vfio/{group}", "rb"):
                devbind.says(REFUSED, ("restore", nic), f"/dev/vfio/{group} is open in process")
                devbind.says(REFUSED, ("restore", "--force", nic), "end the program")
                devbind.says(FAILED, ("why", nic), f"/dev/vfio/{group} is open in process")
                tap.check_equal(driver(nic), "vfio-pci", f"driver of {nic}")

    def mapped_by_a_program():
        who = f"is mapped by process {os.getpid()} (python3)"
        with mapped(os.open(f"/sys/bus/pci/devices/{vmx}/resource0", os.O_RDWR)):
            devbind.says(REFUSED, ("bind", "vfio-pci", vmx), f"its resource0 {who}")
        check_unchanged()
        with devbind.bound(nic):
            cdev, = os.listdir(f"/sys/bus/pci/devices/{nic}/vfio-dev")
            device = os.open(f"/dev/vfio/devices/{cdev}", os.O_RDWR)
            with open("/dev/iommu", "r+b", buffering=0) as iommufd:
                fcntl.ioctl(device, BIND_IOMMUFD, struct.pack("IIiI", 16, 0, iommufd.fileno(), 0))
            with mapped(device):
                devbind.says(REFUSED, ("restore", "--force", nic),
                             f"/dev/vfio/devices/{cdev} {who}", "end the program")
                devbind.says(FAILED, ("why", nic), who)
                tap.check_equal(driver(nic), "vfio-pci", f"driver of {nic}")

    def one_of_a_group():
        with devbind.bound(first):
            verdict, reason = devbind.modes(first)["cdev"]
            tap.check_equal(verdict, "refused", "cdev")
            check_words(reason, "is not viable", f"{second} is held by e1000e")
        devbind.says(DONE, ("bind", "vfio-pci", first), f"{second} of its group", "--whole-group")
        devbind.run(DONE, "restore")
        check_unchanged()

    def whole_group():
        devbind.run(DONE, "bind", "--whole-group", "vfio-pci", first)
        tap.check_equal(driver(second), "vfio-pci", f"driver of {second}")
        tap.check_equal(devbind.modes(first)["cdev"][0], "taken", "cdev")
        devbind.run(DONE, "restore")
        check_unchanged()

    def modes_explained():
        with devbind.bound(nic):
            modes = devbind.modes(nic)
            tap.check_equal({mode: verdict for mode, (verdict, _) in modes.items()},
                            {"cdev": "taken", "type1v2": "possible", "type1": "possible",
                             "compat": "possible", "noiommu-cdev": "refused",
                             "noiommu": "refused"}, "verdicts")
            check_words(modes["noiommu"][1], "behind an IOMMU")

    def node_missing():
        with devbind.bound(nic):
            with without("/dev/iommu"):
                modes = devbind.modes(nic)
                check_words(modes["cdev"][1], "/dev/iommu does not exist")
                tap.check_equal(modes["type1v2"][0], "taken", "type1v2")
            with without("/dev/vfio/vfio"):
                modes = devbind.modes(nic)
                check_words(modes["type1v2"][1], "/dev/vfio/vfio does not exist")
                tap.check_equal(modes["compat"][0], "possible", "compat")
        check_words(devbind.modes(nic)["cdev"][1], "bound to e1000e")

    def doctor():
        report = devbind.json("doctor")
        tap.check_equal(report["iommu"]["kind"], "Intel VT-d", "IOMMU")
        tap.check_equal(report["configuration"]["VFIO_DEVICE_CDEV"], "y", "CONFIG_VFIO_DEVICE_CDEV")
        lacking = {mode["mode"]: mode["missing"] for mode in report["modes"]}
        for mode in "cdev", "type1v2", "type1", "compat":
            tap.check_equal(lacking[mode], [], f"what {mode} lacks")
        devbind.says(DONE, ("doctor",), "cdev: has all it needs", "pages of 2 MiB")
        devbind.says(DONE, ("doctor", "--memory=1M"), "/dev/iommu: permission denied", user=True)
        devbind.says(FAILED, ("doctor", "--memory=1T"), "1 TiB are to be mapped", user=True)

    def granted():
        with devbind.bound(nic):
            devbind.says(FAILED, ("why", nic),
                         f"permission denied for uid {USER} (owner 0:0, mode 0600)", user=True)
            devbind.run(DONE, "grant", str(USER), nic)
            devbind.says(DONE, ("why", nic), "cdev          taken", user=True)
            devbind.says(FAILED, ("why", "--memory=64G", nic),
                         "the memlock limit is", "64 GiB", user=True)
        for path in "/dev/iommu", "/dev/hugepages":
            os.chown(path, 0, 0)

    def other_card(device):
        """The rules of grant are about another card than the one in the slot: it isn't given."""
        rule, = pathlib.Path(RULES).glob("70-*")
        text = rule.read_text(encoding="ascii")
        number = pathlib.Path(device, "device").read_text(encoding="ascii").strip()
        rule.write_text(text.replace(number, "0xffff"), encoding="ascii")
        tap.check(udevadm("control", "--reload"), "udevd doesn't read its rules again")
        write("/sys/bus/pci/drivers/vfio-pci/unbind", nic)
        write("/sys/bus/pci/drivers/vfio-pci/bind", nic)
        group = os.path.basename(os.readlink(f"{device}/iommu_group"))
        cdev, = os.listdir(f"{device}/vfio-dev")
        tap.check(udevadm("settle"), "udevd isn't done")
        for node in f"/dev/vfio/{group}", f"/dev/vfio/devices/{cdev}":
            tap.check_equal(owner(node), 0, f"the owner of {node}, of another card")
        rule.write_text(text, encoding="ascii")

    def by_udev():
        device = f"/sys/bus/pci/devices/{nic}"
        with own(RULES), own("/var/lib"):
            devbind.run(DONE, "bind", "--persist", "vfio-pci", nic)
            devbind.run(DONE, "grant", "--persist", str(USER), nic)
            tap.check_equal(len(os.listdir(RULES)), 2, "rules")
            # A boot finds the device as nobody has touched it, and tells udev of it.
            write("/sys/bus/pci/drivers/vfio-pci/unbind", nic)
            write(f"{device}/driver_override", "\n")
            os.chown("/dev/iommu", 0, 0)
            write("/sys/bus/pci/drivers/e1000e/bind", nic)
            write("/sys/bus/pci/drivers/e1000e/unbind", nic)
            # Started now: it looks for new rules every three seconds only
            with udevd():
                write(f"{device}/uevent", "add")
                wait_for(lambda: driver(nic) == "vfio-pci", "the rule of bind")
                wait_for(lambda: os.path.isdir(f"{device}/vfio-dev"), "the cdev")
                group = os.path.basename(os.readlink(f"{device}/iommu_group"))
                cdev, = os.listdir(f"{device}/vfio-dev")
                write("/sys/class/misc/iommu/uevent", "add")
                for node in f"/dev/vfio/{group}", f"/dev/vfio/devices/{cdev}", "/dev/iommu":
                    wait_for(lambda node=node: owner(node) == USER, f"the owner of {node}")
                devbind.says(DONE, ("why", nic), "cdev          taken", user=True)
                other_card(device)
                # Nobody else's: another device of VFIO's comes while the rules are there.
                with devbind.bound(vmx):
                    group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{vmx}/iommu_group"))
                    time.sleep(1)
                    tap.check_equal(owner(f"/dev/vfio/{group}"), 0, "owner of another device")
            devbind.run(DONE, "restore")
            tap.check_equal(os.listdir(RULES), [], "rules after restore")
            tap.check(not os.path.exists(f"/var/lib/pollux/devbind/{nic}"), "still remembered")
        check_unchanged()
        for path in "/dev/iommu", "/dev/hugepages":
            os.chown(path, 0, 0)

    def persist_fails():
        # /etc is read-only here: nothing may be left half done.
        devbind.says(FAILED, ("bind", "--persist", "vfio-pci", nic), "Read-only file system")
        check_unchanged()

    yield "status lists every device, without root too", status_lists_all
    yield "dpdk-devbind.py's report, to the letter", same_as_dpdk_devbind
    for address in (nic, igb, vmx, virtio, nvme):
        yield f"{natives()[address]}: bind, unbind, restore", \
            lambda address=address: there_and_back(address)
    yield "-b and -u", in_the_old_way
    yield "a bind that fails in the middle changes nothing", fails_in_the_middle
    yield "no such driver, one for other devices, no such device", no_such_driver
    yield "sysfs is read-only", sysfs_read_only
    yield "a device that vanished", vanished
    yield "a device that vanished, and was to stay bound", vanished_for_good
    yield "no room for the report", no_room_for_the_report
    yield "an interface with an address or a route is refused", address_or_route
    yield "a disk that a program has open, by any node, is refused", disk_in_use
    yield "a device that a program has through VFIO is refused", held_by_a_program
    yield "a device that a program has mapped, and nothing else of it, is refused", \
        mapped_by_a_program
    yield "one device of a group: what is in the way is named", one_of_a_group
    yield "--whole-group", whole_group
    yield "why: all modes", modes_explained
    yield "why: a node is missing", node_missing
    yield "doctor", doctor
    yield "grant", granted
    yield "--persist can't be kept", persist_fails
    yield "--persist: udev carries out the rules", by_udev


def without_iommu(devbind):
    """No IOMMU, and the kernel was not told to go without."""
    nic, = addresses()

    def doctor():
        report = devbind.json("doctor")
        tap.check_equal(report["iommu"]["kind"], None, "IOMMU")
        lacking = {mode["mode"]: [lack["what"] for lack in mode["missing"]]
                   for mode in report["modes"]}
        check_words(lacking["cdev"][0], "no IOMMU")
        tap.check_equal(lacking["noiommu"], ["the unsafe no-IOMMU mode is off"], "noiommu lacks")

    def refused():
        devbind.says(REFUSED, ("bind", "vfio-pci", nic), "no IOMMU", "--noiommu-mode")
        check_unchanged()

    def accepted():
        devbind.run(DONE, "bind", "--noiommu-mode", "vfio-pci", nic)
        modes = devbind.modes(nic)
        check_words(modes["cdev"][1], "no IOMMU")
        check_words(modes["noiommu"][1], "--allow-noiommu")
        tap.check_equal(devbind.modes(nic, "--allow-noiommu")["noiommu"][0], "taken", "noiommu")
        devbind.run(DONE, "grant", str(USER), nic)
        group = os.path.basename(os.readlink(f"/sys/bus/pci/devices/{nic}/iommu_group"))
        tap.check_equal(os.stat(f"/dev/vfio/noiommu-{group}").st_uid, USER, "owner of the node")
        devbind.says(DONE, ("restore",), "mode is off again")
        with open("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
                  encoding="ascii") as mode:
            tap.check_equal(mode.read().strip(), "N", "the unsafe mode")
        check_unchanged()

    yield "doctor", doctor
    yield "bind is refused", refused
    yield "bind --noiommu-mode", accepted


def check_forgeable(devbind, nic):
    """Of an IOMMU that remaps no interrupts doctor and why say what the kernel then does."""
    safe, lack = {"N": "refused", "Y": "taken"}, "the IOMMU does not remap interrupts"
    unsafe = "allow_unsafe_interrupts"
    for type1, iommufd in ("N", "N"), ("Y", "N"), ("N", "Y"):
        with parameter("vfio_iommu_type1", unsafe, type1), parameter("iommufd", unsafe, iommufd):
            modes = devbind.modes(nic)
            tap.check_equal(modes["cdev"][0], safe[iommufd], "cdev")
            if iommufd == "N":
                tap.check_equal(modes["type1v2"][0], safe[type1], "type1v2")
                check_words(modes["cdev"][1], "interrupt remapping is missing")
            report = devbind.json("doctor")
            lacking = {mode["mode"]: [one["what"] for one in mode["missing"]]
                       for mode in report["modes"]}
            tap.check_equal(lacking["cdev"], [] if iommufd == "Y" else [lack], "cdev lacks")
            tap.check_equal(lacking["type1v2"], [] if type1 == "Y" else [lack], "type1v2 lacks")
            tap.check(not report["iommu"]["interrupt_remapping"], "interrupts are remapped?")
            # What the kernel says to a program that tries.
            done = subprocess.run([devbind.probe, "--vfio-mode=cdev", "-a", nic], text=True,
                                  capture_output=True, timeout=PATIENCE, check=False)
            tap.check_equal(done.returncode == 0, iommufd == "Y",
                            f"the probe says: {done.stderr}{done.stdout}")


def with_virtio_iommu(devbind):
    """It goes by its function's address in sysfs, and remaps no interrupts."""
    nic, = addresses()

    def doctor():
        report = devbind.json("doctor")
        tap.check_equal(report["iommu"]["kind"], "virtio-iommu", "IOMMU")
        tap.check_equal(report["modules"]["virtio_iommu"], "built in", "module virtio_iommu")
        devbind.says(DONE, ("doctor",), "cdev: has all it needs", "IOMMU          virtio-iommu (")

    def taken():
        with devbind.bound(nic):
            tap.check_equal(devbind.modes(nic)["cdev"][0], "taken", "cdev")

    def forgeable():
        with devbind.bound(nic):
            check_forgeable(devbind, nic)

    yield "doctor", doctor
    yield "why: taken, as the kernel was told to put up with it", taken
    yield "why and doctor: interrupts are not remapped", forgeable


def without_remapping(devbind):
    """The IOMMU could remap interrupts, but the kernel was told not to."""
    nic, = addresses()

    def forgeable():
        with devbind.bound(nic):
            check_forgeable(devbind, nic)
            devbind.says(FAILED, ("why", nic), "interrupt remapping is missing")
        devbind.says(FAILED, ("doctor",), "intremap=off", "without interrupt remapping",
                     "-> boot with iommufd.allow_unsafe_interrupts=1")

    yield "why and doctor: interrupts are not remapped", forgeable


def debian(devbind):
    """A distribution's kernel: no cdev, and a file system."""
    nic, nvme = addresses()

    def mounted():
        system("mkfs.ext4", "-q", "/dev/nvme0n1")
        os.makedirs("/tmp/a mount", exist_ok=True)
        system("mount", "/dev/nvme0n1", "/tmp/a mount")
        try:
            devbind.says(REFUSED, ("bind", "vfio-pci", nic, nvme),
                         "nvme0n1 is mounted on /tmp/a mount")
            check_unchanged()
        finally:
            system("umount", "/tmp/a mount")
        with devbind.bound(nic, nvme):
            pass

    def swap():
        system("mkswap", "/dev/nvme0n1")
        system("swapon", "/dev/nvme0n1")
        try:
            devbind.says(REFUSED, ("unbind", "nvme0n1"), "nvme0n1 is swap")
        finally:
            system("swapoff", "/dev/nvme0n1")
        check_unchanged()

    def modes_explained():
        with devbind.bound(nic):
            modes = devbind.modes(nic)
            check_words(modes["cdev"][1], "CONFIG_VFIO_DEVICE_CDEV")
            tap.check_equal(modes["type1v2"][0], "taken", "type1v2")
            check_words(modes["compat"][1], "/dev/iommu does not exist")

    def doctor():
        devbind.says(DONE, ("doctor",), "type1v2: has all it needs",
                     "-> use a kernel with CONFIG_IOMMUFD")

    yield "a mounted disk is refused", mounted
    yield "swap is refused", swap
    yield "why: no cdev, no iommufd", modes_explained
    yield "doctor: the module iommufd is missing", doctor


def cases(guest, settings):
    """The cases of a guest."""
    devbind = Devbind(settings.program)
    return {"IOMMU": with_iommu, "no IOMMU": without_iommu, "virtio-iommu": with_virtio_iommu,
            "interrupts not remapped": without_remapping, "Debian's kernel": debian}[guest](devbind)


if __name__ == "__main__":
    tap.main(__file__, GUESTS, cases)
