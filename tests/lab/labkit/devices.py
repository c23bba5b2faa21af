# SPDX-License-Identifier: BSD-3-Clause
"""The devices under test: their specifications, addresses and QEMU options.

A specification is `MODEL[@HUB][/GROUP][:DRIVER]`, or `vfio-user=SOCKET[:DRIVER]`:

    e1000e            bound to vfio-pci, wired to hub 1
    virtio@2:kernel   keeps its kernel driver, wired to hub 2
    nvme:none         no driver at all
    e1000e/g1         shares a slot, and so an IOMMU group, with others in g1
    vfio-user=/tmp/a  served by a program of the host at this socket

Every device has a PCIe root port of its own, unless it shares one. To add a
model, add a row to MODELS.
"""

import dataclasses
import json
import os
import re

from .errors import UsageError

FIRST_SLOT = 0x8            # of the root ports on the root bus
MAX_PORTS = 16
NVME_BYTES = 64 << 20
NODE_BUSES = (0x40, 0x80)   # the root buses of two NUMA nodes
DRIVERS = ("vfio", "kernel", "none")
SPEC = re.compile(r"(?P<model>[a-z0-9-]+)(=(?P<socket>/[^:]+))?"
                  r"(?P<rest>(@[0-9]+|/[a-z0-9]+|:[a-z]+)*)")


@dataclasses.dataclass(frozen=True)
class Model:
    """A device model."""

    name: str
    qemu: str               # QEMU's name for it and fixed properties
    net: bool               # wired to a hub
    about: str
    min_qemu: tuple = (0,)
    namespaces: tuple = ()  # of an NVMe controller: the block sizes


MODELS = {model.name: model for model in (
    Model("e1000e", "e1000e,romfile=", True, "Intel 82574, 5 MSI-X vectors"),
    Model("igb", "igb,romfile=", True, "Intel 82576 with SR-IOV, 10 vectors", min_qemu=(8, 0)),
    Model("vmxnet3", "vmxnet3,romfile=", True, "VMware's NIC, 25 vectors"),
    # Without iommu_platform a driver behind an IOMMU hangs: the device then
    # takes what the driver calls an IOVA for a physical address.
    Model("virtio", "virtio-net-pci,romfile=,disable-legacy=on,iommu_platform=on", True,
          "virtio-net 1.0"),
    Model("nvme", "nvme", False, "NVMe, one namespace of 512-byte blocks, 65 vectors",
          namespaces=(512,)),
    Model("nvme2", "nvme", False, "NVMe, two namespaces: 512 and 4096-byte blocks",
          namespaces=(512, 4096)),
    Model("nvme-cmb", "nvme,cmb_size_mb=1", False,
          "NVMe, one namespace, a controller memory buffer of 1 MiB", namespaces=(512,),
          min_qemu=(8, 0)),     # 7.2 was seen to crash when it is reset under load
    Model("vfio-user", "vfio-user-pci", False, "served by the host at =SOCKET", min_qemu=(10, 1)),
)}


@dataclasses.dataclass
class Device:
    """A device under test."""

    model: Model
    driver: str             # one of DRIVERS
    hub: int
    group: str              # "" for a slot of its own
    socket: str             # "" unless it is served by a program of the host
    port: int = 0           # index of its root port
    function: int = 0
    numa: bool = False      # the guest has two nodes, and root ports on either in turn

    @property
    def address(self):
        """Where the guest finds it: root port N leads to bus N+1, counted from its node's root bus."""
        bus = NODE_BUSES[self.port % 2] + self.port // 2 + 1 if self.numa else self.port + 1
        return f"0000:{bus:02x}:00.{self.function}"


def parse(text):
    """The devices that a --device option asks for, in order."""
    devices = [_parse_one(spec) for spec in text.split(",") if spec]
    groups, ports = {}, 0
    for device in devices:
        if device.group in groups and device.group:
            first = groups[device.group]
            first.append(device)
            device.port, device.function = first[0].port, len(first) - 1
            if device.function > 7:
                raise UsageError(f"group {device.group} has more than 8 devices")
            continue
        device.port = ports
        ports += 1
        if device.group:
            groups[device.group] = [device]
    if ports > MAX_PORTS:
        raise UsageError(f"{ports} slots asked for, the guest has {MAX_PORTS}")
    return devices


def _parse_one(spec):
    match = SPEC.fullmatch(spec)
    if not match or match["model"] not in MODELS:
        raise UsageError(f"device '{spec}' is not MODEL[@HUB][/GROUP][:DRIVER] "
                         f"with a model of {', '.join(MODELS)}")
    if (match["model"] == "vfio-user") != bool(match["socket"]):
        raise UsageError(f"device '{spec}': vfio-user, and no other, is followed by =/SOCKET")
    device = Device(MODELS[match["model"]], "vfio", 1, "", match["socket"] or "")
    for sign, value in re.findall(r"([@/:])([a-z0-9]+)", match["rest"]):
        if sign == "@":
            device.hub = int(value)
        elif sign == "/":
            device.group = value
        elif value in DRIVERS:
            device.driver = value
        else:
            raise UsageError(f"device '{spec}': driver is one of {', '.join(DRIVERS)}")
    return device


def qemu_options(devices, folder, ats):
    """The QEMU options for the devices; their disks are made in `folder`."""
    options = []
    shared = {device.port for device in devices if device.function}
    ports = set()
    for index, device in enumerate(devices):
        port = f"port{device.port}"
        if device.port not in ports:
            ports.add(device.port)
            # 2.5 GT/s: at the default speed the guest finds hot reset unusable
            root, slot = "pcie.0", FIRST_SLOT + device.port
            if device.numa:
                root, slot = f"node{device.port % 2}", device.port // 2
            options += ["-device", f"pcie-root-port,id={port},bus={root},x-speed=2_5,addr={slot:#x},"
                        f"chassis={device.port + 1},slot={device.port + 1}"]
        where = f"id=dev{index},bus={port},addr=0.{device.function}"
        if device.port in shared and device.function == 0:
            where += ",multifunction=on"
        if device.socket:
            options += ["-device", _vfio_user(device, where)]
        elif device.model.net:
            options += ["-netdev", f"hubport,id=net{index},hubid={device.hub}",
                        "-device", f"{device.model.qemu},{where},netdev=net{index},"
                        f"mac=52:54:00:00:00:{index + 1:02x}"
                        + (",ats=on" if ats and device.model.name == "virtio" else "")]
        else:
            options += _nvme_options(device, index, where, folder)
    return options


def _vfio_user(device, where):
    """Only JSON can say where a socket is."""
    return json.dumps({"driver": device.model.qemu, **dict(word.split("=") for word in
                                                           where.split(",")),
                       "socket": {"type": "unix", "path": device.socket}})


def _nvme_options(device, index, where, folder):
    """An NVMe controller with a subsystem and scratch disks of zeroes."""
    options = ["-device", f"nvme-subsys,id=sub{index},nqn=lab{index}",
               "-device", f"{device.model.qemu},{where},serial=lab{index},subsys=sub{index}"]
    for number, block in enumerate(device.model.namespaces, 1):
        disk = os.path.join(folder, f"nvme{index}n{number}.raw")
        with open(disk, "wb") as handle:
            handle.truncate(NVME_BYTES)
        options += ["-drive", f"file={disk},if=none,format=raw,id=disk{index}n{number}",
                    "-device", f"nvme-ns,bus=dev{index},drive=disk{index}n{number},"
                    f"nsid={number},logical_block_size={block},physical_block_size={block}"]
    return options
