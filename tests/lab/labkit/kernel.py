# SPDX-License-Identifier: BSD-3-Clause
"""The kernels that guests boot: what they are, and building or fetching them.

Kernels a, b and c are built from Debian's linux-source packages with the
fragments in tests/lab/kernel; `stock` is the Debian kernel of this release,
unpacked from its package with its modules. To add a kernel, add a row to
KERNELS and, if need be, a fragment.
"""

import contextlib
import dataclasses
import json
import lzma
import os
import pathlib
import re
import shutil
import struct
import sys
import time
import zlib

from . import cache, debian, modules
from .errors import BuildError, LabError, Unavailable
from .run import run

FRAGMENTS = pathlib.Path(__file__).resolve().parent.parent / "kernel"
RECIPE = "4"                # change it when the way of building changes
CONFIG_TIMEOUT = 120
BUILD_TIMEOUT = 40 * 60
STOCK = "stock"
STOCK_RECIPE = "6"
STOCK_SUITE = "bookworm"    # on a machine that is not Debian

# Parts of the source tree that no x86 configuration compiles: 40 % of the
# time to unpack it. Kconfig files must stay, the kernel reads all of them.
UNPACK_EXCLUDES = ("*/Documentation/*/*", "*/drivers/gpu/drm/amd/include/*",
                   "*/tools/testing/*", "*/sound/soc/*.[ch]")

# Programs that a kernel build calls, and the packages that have them.
BUILD_TOOLS = {"make": "make", "gcc": "gcc", "ld": "binutils", "flex": "flex",
               "bison": "bison", "bc": "bc", "xz": "xz-utils", "tar": "tar",
               "gzip": "gzip", "perl": "perl"}
BUILD_HEADERS = {"/usr/include/libelf.h": "libelf-dev",
                 "/usr/include/openssl/opensslv.h": "libssl-dev"}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel that the lab builds."""

    name: str
    series: str             # the N.M of the package linux-source-N.M
    suites: tuple           # the Debian suites that have this package
    fragments: tuple        # files of tests/lab/kernel, later ones win
    about: str

    @property
    def package(self):
        """The package with its source."""
        return f"linux-source-{self.series}"

    def fragment(self):
        """The configuration fragments as one text."""
        return "".join((FRAGMENTS / f).read_text(encoding="utf-8") for f in self.fragments)


KERNELS = {kernel.name: kernel for kernel in (
    Kernel("a", "6.12", ("bookworm-security",), ("common.config", "6.12.config", "a.config"),
           "type1 v1 and v2, cdev, compat, legacy no-IOMMU"),
    Kernel("b", "6.12", ("bookworm-security",), ("common.config", "6.12.config", "b.config"),
           "/dev/vfio/vfio served by iommufd"),
    Kernel("c", "7.3", ("trixie-backports",), ("common.config", "a.config", "c.config"),
           "as a, and the no-IOMMU cdev, MAP_FILE, dma-bufs of BARs"),
)}
NAMES = (*KERNELS, STOCK)


@dataclasses.dataclass(frozen=True)
class Image:
    """A kernel that is ready to boot."""

    name: str
    release: str            # what uname -r says
    image: pathlib.Path
    modules: pathlib.Path = None    # a folder of modules, if it has any


def get(name, quiet=False):
    """The image of kernel `name`, built or fetched if the cache lacks it."""
    debian.check_machine()
    with BuildSession(quiet) as session:
        return session.get(name)


class BuildSession:
    """Builds one or more kernels, sharing unpacked sources and object files.

    Two kernels of one series differ in a few options, and make rebuilds just
    what depends on these: the second takes a fraction of the first.
    """

    def __init__(self, quiet=False):
        self.quiet = quiet
        self.stack = contextlib.ExitStack()
        self.trees = {}         # series: (source directory, object directory)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.stack.__exit__(*exc)

    def get(self, name):
        """The image of one kernel."""
        if name == STOCK:
            return self._stock()
        kernel = KERNELS[name]
        version = source_version(kernel)
        path = cache.entry(f"kernel-{name}",
                           cache.digest(kernel.series, version, kernel.fragment(), RECIPE),
                           lambda into: self._build(kernel, version, into))
        facts = json.loads((path / "facts.json").read_text(encoding="utf-8"))
        return Image(name, facts["release"], path / "vmlinux")

    def _say(self, text):
        if not self.quiet:
            print(f"lab: {text}", file=sys.stderr, flush=True)

    # Building

    def _source(self, kernel, version):
        """(source directory, object directory) of a kernel's series."""
        if kernel.series in self.trees:
            return self.trees[kernel.series]
        work = self.stack.enter_context(cache.scratch(f"source-{kernel.series}"))
        tarball = pathlib.Path(f"/usr/src/{kernel.package}.tar.xz")
        if not (tarball.exists() and debian.installed_version(kernel.package) == version):
            self._say(f"downloading {kernel.package} {version}")
            deb = debian.Archive(*kernel.suites).fetch(kernel.package, work, version)
            debian.unpack(deb, work)
            deb.unlink()
            tarball = work / "usr/src" / tarball.name
        self._say(f"unpacking {tarball.name}")
        command = ["tar", "-C", str(work), "-I", "xz -T0", "-xf", str(tarball)]
        command += [f"--exclude={pattern}" for pattern in UNPACK_EXCLUDES]
        code, output = run(command, debian.UNPACK_TIMEOUT)
        source = work / kernel.package
        if code or not (source / "Makefile").exists():
            raise BuildError(f"cannot unpack {tarball}: {output.strip()[-300:]}")
        shutil.rmtree(work / "usr", ignore_errors=True)
        objects = work / "objects"
        objects.mkdir()
        self.trees[kernel.series] = source, objects
        return source, objects

    def _build(self, kernel, version, into):
        """Build a kernel into a cache entry."""
        check_tools()
        started = time.monotonic()
        source, objects = self._source(kernel, version)
        log = cache.root() / f"build-{kernel.name}.log"
        log.unlink(missing_ok=True)
        fragment = objects / "lab.config"
        fragment.write_text(kernel.fragment(), encoding="utf-8")
        self._say(f"building kernel {kernel.name} ({version}), log in {log}")
        env = dict(os.environ, KBUILD_BUILD_USER="lab", KBUILD_BUILD_HOST="lab", LC_ALL="C")
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CC", "CFLAGS", "LDFLAGS", "ARCH"):
            env.pop(name, None)
        make = ["make", "-C", str(source), f"O={objects}"]
        code, _ = run([*make, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"],
                      CONFIG_TIMEOUT, env=env, log=log)
        if not code:
            check_config(kernel, (objects / ".config").read_text(encoding="utf-8"))
            jobs = len(os.sched_getaffinity(0))
            code, _ = run([*make, f"-j{jobs}", "vmlinux"], BUILD_TIMEOUT, env=env, log=log)
        if code:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            why = next((line for line in lines if re.search(r"\berror\b|\*\*\*", line, re.I)),
                       "see the log")
            raise BuildError(f"kernel {kernel.name} does not build: {why.strip()} ({log})")
        code, output = run(["strip", "-o", str(into / "vmlinux"), str(objects / "vmlinux")], 120)
        if code:
            raise BuildError(f"cannot strip vmlinux: {output.strip()}")
        release = (objects / "include/config/kernel.release").read_text(encoding="ascii").strip()
        shutil.copy(objects / ".config", into / "config")
        minutes = (time.monotonic() - started) / 60
        facts = {"release": release, "source": f"{kernel.package} {version}",
                 "minutes": round(minutes, 2)}
        (into / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        self._say(f"kernel {kernel.name} is {release}, built in {minutes:.1f} minutes")

    # Debian's own kernel

    def _stock(self):
        """Debian's kernel and modules, from the release this machine runs."""
        suite = debian.codename() if debian.is_debian() else STOCK_SUITE
        package = self._stock_package(suite)
        version = debian.version(package, suite)

        def fill(into):
            self._say(f"downloading {package} {version}")
            with cache.scratch("stock") as work:
                debian.unpack(debian.Archive(suite).fetch(package, work, version), work)
                image = next((work / "boot").glob("vmlinuz-*"), None)
                if not image:
                    raise BuildError(f"{package} holds no kernel image")
                release = image.name.partition("-")[2]
                if not (work / "lib/modules").exists():
                    (work / "lib").symlink_to("usr/lib")
                modules.pick(work, release, into / "modules")
                (into / "vmlinuz").write_bytes(unwrap(image.read_bytes()))
            (into / "facts.json").write_text(
                json.dumps({"release": release, "source": f"{package} {version}"}) + "\n",
                encoding="utf-8")

        path = cache.entry("kernel-stock", cache.digest(package, version, STOCK_RECIPE), fill)
        facts = json.loads((path / "facts.json").read_text(encoding="utf-8"))
        return Image(STOCK, facts["release"], path / "vmlinuz", path / "modules")

    def _stock_package(self, suite):
        """The linux-image-VERSION-amd64 that linux-image-amd64 stands for."""
        known = cache.root() / "version-linux-image-amd64"
        with contextlib.suppress(OSError):
            return known.read_text(encoding="utf-8").strip()
        with cache.lock(known.name):
            for package in debian.Archive(suite).depends("linux-image-amd64"):
                if package.startswith("linux-image-"):
                    known.write_text(package + "\n", encoding="utf-8")
                    return package
        raise Unavailable(f"no package linux-image-amd64 in {suite}")


def source_version(kernel):
    """The version of a kernel's source: the installed package's, or one on offer."""
    if os.path.exists(f"/usr/src/{kernel.package}.tar.xz"):
        version = debian.installed_version(kernel.package)
        if version:
            return version
    return debian.version(kernel.package, *kernel.suites)


def check_tools():
    """Refuse to start a build that would stop half-way for lack of a tool."""
    missing = [package for program, package in BUILD_TOOLS.items() if not shutil.which(program)]
    for header, package in BUILD_HEADERS.items():
        if not (os.path.exists(header) or list(pathlib.Path("/usr/include").glob(
                "*/" + header[len("/usr/include/"):]))):
            missing.append(package)
    if missing:
        raise Unavailable("building a kernel needs more packages: apt-get install "
                          + " ".join(sorted(set(missing))))


def check_config(kernel, config):
    """Kconfig drops what it cannot have without a word; the lab does not."""
    have = set(config.splitlines())
    options = {line.partition("=")[0] for line in have if line.startswith("CONFIG_")}
    lost = []
    for line in kernel.fragment().splitlines():
        if not line.startswith("CONFIG_"):
            continue
        option, _, value = line.partition("=")
        if (option in options) if value == "n" else (line not in have):
            lost.append(line)
    if lost:
        raise BuildError(f"kernel {kernel.name}: {', '.join(lost)} did not survive: "
                         f"Linux {kernel.series} lacks the option or a dependency of it")


def unwrap(image):
    """The ELF kernel inside a bzImage, if it can be entered through PVH.

    An emulated processor takes ten seconds and more to decompress the kernel
    of a distribution. What can't be unwrapped is returned as it is. The header
    is described in Documentation/arch/x86/boot.rst of the kernel's source.
    """
    if image[0x202:0x206] != b"HdrS":
        return image
    sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    try:
        if payload.startswith(b"\xfd7zXZ"):
            kernel = lzma.LZMADecompressor().decompress(payload)
        elif payload.startswith(b"\x1f\x8b"):
            kernel = zlib.decompressobj(31).decompress(payload)
        else:
            return image        # zstd, which Python 3.11 does not know
    except (lzma.LZMAError, zlib.error):
        return image
    # The ELF note "Xen", type 18, holds the PVH entry point
    note = re.search(rb"\x04\0\0\0[\x04\x08]\0\0\0\x12\0\0\0Xen\0", kernel)
    return kernel if kernel.startswith(b"\x7fELF") and note else image


def newest_entries():
    """The cache entries of the kernels as they would be used now."""
    keep = set()
    for kernel in KERNELS.values():
        with contextlib.suppress(LabError):
            version = source_version(kernel)
            key = cache.digest(kernel.series, version, kernel.fragment(), RECIPE)
            keep.add(cache.root() / f"kernel-{kernel.name}-{key}")
    return keep
