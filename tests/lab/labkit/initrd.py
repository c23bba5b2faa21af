# SPDX-License-Identifier: BSD-3-Clause
"""The initial RAM disk: busybox, tests/lab/guest/init, and for Debian's own
kernel the modules a guest needs.

An initrd may be several cpio archives in a row. The lab keeps the base in its
cache and appends a small one with each run's /lab.conf.
"""

import pathlib
import shutil
import stat
import subprocess

from . import cache
from .errors import Unavailable

INIT = pathlib.Path(__file__).resolve().parent.parent / "guest" / "init"
RECIPE = "2"
FOLDERS = ("bin", "dev", "proc", "sys", "host", "lower", "lib", "lib/modules", "tmp")


class Cpio:
    """A cpio archive in the kernel's newc format, built in memory."""

    def __init__(self):
        self.parts = []
        self.inode = 0

    def add(self, name, mode, data=b""):
        """Add one object; `mode` has the type bits as in stat."""
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._pad(header + path)
        self._pad(data)

    def folder(self, name):
        """Add a directory."""
        self.add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        """Add a file."""
        self.add(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        """Add a symbolic link."""
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self):
        """The archive."""
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)

    def _pad(self, data):
        self.parts.append(data + b"\0" * (-len(data) % 4))


def busybox():
    """The path of a statically linked busybox."""
    path = shutil.which("busybox", path="/bin:/usr/bin")
    if not path or b"INTERP" in _program_headers(path):
        raise Unavailable("no static busybox here: apt-get install busybox-static")
    return path


def _program_headers(path):
    """b"INTERP" if the program wants a dynamic loader, else nothing."""
    with open(path, "rb") as handle:
        head = handle.read(4096)
    return b"INTERP" if b"/ld-linux" in head or b"/ld-musl" in head else b""


def base(image):
    """The path of the initrd for a kernel image."""
    box = busybox()
    stamp = pathlib.Path(box).stat()
    key = cache.digest(RECIPE, INIT.read_bytes(), stamp.st_size, stamp.st_mtime_ns,
                       str(image.modules) if image and image.modules else "")
    name = "initrd-stock" if image and image.modules else "initrd"

    def fill(into):
        archive = Cpio()
        for folder in FOLDERS:
            archive.folder(folder)
        archive.file("init", INIT.read_bytes(), 0o755)
        archive.file("bin/busybox", pathlib.Path(box).read_bytes(), 0o755)
        done = subprocess.run([box, "--list"], capture_output=True, text=True, timeout=20,
                              check=False)
        for applet in done.stdout.split():
            if applet != "busybox":
                archive.link(f"bin/{applet}", "busybox")
        if image and image.modules:
            prefix = f"lib/modules/{image.release}"
            archive.folder(prefix)
            for path in sorted(image.modules.iterdir()):
                archive.file(f"{prefix}/{path.name}", path.read_bytes())
        (into / "initrd").write_bytes(archive.finish())

    return cache.entry(name, key, fill) / "initrd"


def with_config(image, config, target):
    """Write to `target` the initrd of `image` with `config` as /lab.conf."""
    extra = Cpio()
    extra.file("lab.conf", config.encode())
    data = base(image).read_bytes()
    with open(target, "wb") as handle:
        handle.write(data + b"\0" * (-len(data) % 512))
        handle.write(extra.finish())
