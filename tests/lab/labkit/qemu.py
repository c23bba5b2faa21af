# SPDX-License-Identifier: BSD-3-Clause
"""The QEMU command line of a guest, and the QEMU to run it with."""

import functools
import os
import re
import shutil
import subprocess
import sys

from . import cache, debian
from . import devices as devs
from .errors import Unavailable

PROGRAM = "qemu-system-x86_64"
SYSTEM_PACKAGE = "qemu-system-x86"
NEWER = (10, 0)         # what newer() finds, at least
NEWER_PACKAGES = ("qemu-system-x86", "qemu-system-data", "seabios")
# Later than what backports of the machine's own release may have: with its libraries
NEWEST_SUITES = ("trixie", "trixie-backports")
NEWEST_KEPT = ("bin/" + PROGRAM, "lib/x86_64-linux-gnu", "share/qemu", "share/seabios")
# The guest's own ports; the first three carry text, see guest/init
PORTS = ("lab.ctl", "lab.stdout", "lab.stderr")


@functools.lru_cache
def version(program):
    """The version of a QEMU program as a tuple."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30,
                          check=False)
    match = re.search(r"version (\d+)\.(\d+)", done.stdout)
    if not match:
        raise Unavailable(f"{program} --version says nothing useful: "
                          f"{(done.stderr or done.stdout).strip()[:200]}")
    return int(match[1]), int(match[2])


def find(devices):
    """How to start a QEMU that has all the devices: a list of words."""
    wanted = max([device.model.min_qemu for device in devices], default=(0,))
    path = shutil.which(PROGRAM)
    if not path:
        raise Unavailable(f"{PROGRAM} is missing: apt-get install {SYSTEM_PACKAGE}")
    if version(path) >= wanted:
        return [path]
    try:
        return newest() if wanted > NEWER else newer()
    except Unavailable as error:
        names = sorted({d.model.name for d in devices if d.model.min_qemu == wanted})
        raise Unavailable(f"{', '.join(names)} needs QEMU {'.'.join(map(str, wanted))} or later, "
                          f"here is {'.'.join(map(str, version(path)))}; {error}") from error


def newer():
    """How to start the QEMU of Debian's backports, unpacked in the cache.

    It lives beside the system's QEMU and uses the system's libraries.
    """
    suite = debian.codename() + "-backports"
    if not debian.is_debian():
        raise Unavailable("only Debian has a newer one to fetch")
    number = debian.version(NEWER_PACKAGES[0], suite)

    def fill(into):
        print(f"lab: downloading QEMU {number}", file=sys.stderr, flush=True)
        archive = debian.Archive(suite)
        with cache.scratch("qemu") as work:
            for package in NEWER_PACKAGES:
                debian.unpack(archive.fetch(package, work), into)
        done = subprocess.run(["ldd", into / "usr/bin" / PROGRAM], capture_output=True,
                              text=True, timeout=30, check=False)
        missing = re.findall(r"(\S+) => not found", done.stdout)
        if missing:
            raise Unavailable(f"QEMU {number} lacks {', '.join(missing)}")

    path = cache.entry("qemu", cache.digest(number, *NEWER_PACKAGES), fill) / "usr"
    return [str(path / "bin" / PROGRAM), "-L", str(path / "share/qemu"),
            "-L", str(path / "share/seabios")]


def newest():
    """How to start the newest QEMU of Debian, unpacked in the cache with all its libraries.

    It was built for a later release: that one's dynamic loader runs it.
    """
    number = debian.version(SYSTEM_PACKAGE, *NEWEST_SUITES)

    def fill(into):
        print(f"lab: downloading QEMU {number} and its libraries", file=sys.stderr, flush=True)
        with cache.scratch("qemu-newest") as work:
            files = debian.Archive(*NEWEST_SUITES).fetch_all(SYSTEM_PACKAGE, work / "debs", number)
            for file in files:
                debian.unpack(file, work / "root")
            for name in NEWEST_KEPT:
                (into / name).parent.mkdir(exist_ok=True)
                (work / "root/usr" / name).rename(into / name)

    path = cache.entry("qemu-newest", cache.digest(number, *NEWEST_KEPT), fill)
    libraries = path / "lib/x86_64-linux-gnu"
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries),
            str(path / "bin" / PROGRAM), "-L", str(path / "share/qemu"),
            "-L", str(path / "share/seabios")]


def mebibytes(size):
    """A size of memory, such as 512M or 4G, as a number."""
    return int(size[:-1]) * (1024 if size[-1] == "G" else 1)


def kernel_arguments(options, image):
    """The guest's kernel command line."""
    words = ["console=ttyS0", "panic=-1", "quiet", "nokaslr", "rdinit=/init",
             "no_timer_check", "tsc=reliable", f"hugepages={options.hugepages}"]
    if options.iommu == "intel":
        words += ["intel_iommu=on", "iommu.strict=1"]
    elif options.iommu == "virtio":
        # QEMU's virtio-iommu does not isolate interrupts
        words += ["vfio_iommu_type1.allow_unsafe_interrupts=1",
                  "iommufd.allow_unsafe_interrupts=1", "iommu.strict=1"]
    else:
        words.append("intel_iommu=off")
    if image.modules:
        words.append("mitigations=off")
    return " ".join(words + options.append)


def command(options, image, initrd, folder, console, out, fds):
    """The whole command line.

    `fds` are our ends' peers, one for each of PORTS and, for a shell, one
    more for its terminal.
    """
    machine, iommu = "q35", []
    memory = ["-m", options.mem]
    if any(device.socket for device in options.devices):
        # Whoever serves a device maps the guest's memory
        machine += ",memory-backend=ram"
        memory += ["-object", f"memory-backend-memfd,id=ram,size={options.mem},share=on"]
    if options.numa:
        memory += _nodes(options)
    if options.iommu == "intel":
        machine += ",kernel-irqchip=split"
        iommu = ["-device", f"intel-iommu,intremap={'on' if options.intremap else 'off'},"
                 f"caching-mode=on,device-iotlb=on,aw-bits={options.aw_bits}"]
    elif options.iommu == "virtio":
        iommu = ["-device", "virtio-iommu-pci,addr=0x1"]
    if options.icount:
        accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]
    else:
        accel = ["-accel", "tcg,thread=multi"]
    words = [*find(options.devices), "-machine", machine, *accel, "-cpu", "max",
             "-smp", str(options.cpus), *memory,
             "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
             "-serial", f"file:{console}", *iommu,
             "-kernel", str(image.image), "-initrd", str(initrd),
             "-append", kernel_arguments(options, image)]
    # The guest's own devices bypass the IOMMU and sit on the root bus
    words += ["-device", "virtio-serial-pci,id=serial,bus=pcie.0,addr=0x2,disable-legacy=on"]
    for number, name in enumerate(PORTS):
        words += ["-chardev", f"socket,id=port{number},fd={fds[number]}",
                  "-device", f"virtserialport,bus=serial.0,nr={number + 1},"
                  f"chardev=port{number},name={name}"]
    if len(fds) > len(PORTS):
        words += ["-chardev", f"socket,id=tty,fd={fds[-1]}",
                  "-device", f"virtconsole,bus=serial.0,nr={len(PORTS) + 1},chardev=tty"]
    words += ["-fsdev", "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
              "-device", "virtio-9p-pci,fsdev=host,mount_tag=host,bus=pcie.0,addr=0x3,disable-legacy=on",
              "-fsdev", f"local,id=out,path={_escape(out)},security_model=none,multidevs=remap",
              "-device", "virtio-9p-pci,fsdev=out,mount_tag=out,bus=pcie.0,addr=0x4,disable-legacy=on"]
    words += devs.qemu_options(options.devices, folder, ats=options.iommu == "intel")
    if options.qmp:
        words += ["-qmp", f"unix:{_escape(os.path.abspath(options.qmp))},server=on,wait=off"]
    return words + options.qemu


def _nodes(options):
    """Two NUMA nodes, with half of the memory and of the processors, and a root bus, each."""
    words, cpus = [], options.cpus // 2
    for node, bus in enumerate(devs.NODE_BUSES):
        words += ["-object", f"memory-backend-ram,id=ram{node},size={mebibytes(options.mem) // 2}M",
                  "-numa", f"node,nodeid={node},memdev=ram{node},"
                  f"cpus={node * cpus}-{node * cpus + cpus - 1}",
                  "-device", f"pxb-pcie,id=node{node},bus=pcie.0,bus_nr={bus:#x},numa_node={node},"
                  f"addr={0x1c + node:#x}"]
    return words


def _escape(path):
    """QEMU doubles a comma inside an option's value."""
    return str(path).replace(",", ",,")
