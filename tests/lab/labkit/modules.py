# SPDX-License-Identifier: BSD-3-Clause
"""The modules of Debian's own kernel that a guest loads; the lab's own kernels
have none. A module that is built in or absent is passed over."""

import itertools
import pathlib
import shutil

from . import debian
from .errors import BuildError
from .run import run

# Always loaded, in this order
SYSTEM = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "vfio_iommu_type1", "vfio_pci",
          "virtio_iommu")
# Loaded when a device of this model is there; disks come with a file system (and the checksum that it
# would ask for by itself)
DISK = ("nvme", "crc32c_generic", "ext4")
DRIVERS = {"e1000e": ("e1000e",), "igb": ("igb",), "vmxnet3": ("vmxnet3",),
           "virtio": ("virtio_net",), "nvme": DISK, "nvme2": DISK, "nvme-cmb": DISK,
           "vfio-user": ("e1000e", *DISK)}


def pick(root, release, into):
    """Copy the modules named above, and what they need, from an unpacked
    package at `root` into one flat folder with a modules.dep for busybox."""
    tree = root / "lib/modules" / release
    code, output = run([debian.need("depmod", "kmod"), "-b", str(root), release], 60)
    if code:
        raise BuildError(f"depmod of Debian's kernel failed: {output.strip()[-200:]}")
    needs = {}
    for line in (tree / "modules.dep").read_text(encoding="ascii").splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {pathlib.Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    wanted = set()
    for name in {*SYSTEM, *itertools.chain(*DRIVERS.values())} & by_name.keys():
        wanted.update([by_name[name], *needs[by_name[name]]])
    into.mkdir()
    lines = []
    for path in sorted(wanted):
        name = pathlib.Path(path).name
        shutil.copy(tree / path, into / name)
        lines.append(" ".join([name + ":", *(pathlib.Path(n).name for n in needs[path])]) + "\n")
    (into / "modules.dep").write_text("".join(lines), encoding="ascii")


def to_load(models):
    """The modules to load for some device models, in order."""
    drivers = itertools.chain(*(DRIVERS[model] for model in models))
    return [*SYSTEM, *dict.fromkeys(drivers)]
