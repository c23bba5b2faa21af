# SPDX-License-Identifier: BSD-3-Clause
"""Packages from a Debian archive, without installing or configuring anything.

Everything goes through a private apt directory in the cache (own sources,
lists, state), so the machine's sources and its pins stay as they are, and no
root is needed. The archive's address is that of the machine's own apt
configuration; $LAB_MIRROR overrides it.
"""

import contextlib
import os
import pathlib
import platform
import shutil
import subprocess
import time

from . import cache
from .errors import Unavailable
from .run import run

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
LISTS_AGE = 6 * 3600        # seconds for which downloaded package lists are good
UPDATE_TIMEOUT = 180
DOWNLOAD_TIMEOUT = 900
UNPACK_TIMEOUT = 300


def need(program, package):
    """The path of `program`, or a line that says which package has it."""
    path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise Unavailable(f"{program} is missing: apt-get install {package}")
    return path


def installed_version(package):
    """The version of an installed package, or None."""
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", package],
                              capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    state, _, version = done.stdout.strip().partition(" ")
    return version.strip() if state.startswith("ii") else None


def _os_release(wanted):
    """A field of /etc/os-release."""
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as handle:
        for line in handle:
            key, _, value = line.strip().partition("=")
            if key == wanted:
                return value.strip('"')
    return ""


def codename():
    """The release this machine runs (bookworm, ...)."""
    return _os_release("VERSION_CODENAME")


def is_debian():
    """Whether that is a release of Debian."""
    return _os_release("ID") == "debian"


# Asking the archive takes seconds and the network, so the answer is kept

def version(package, *suites):
    """The version of a package in some suites: the one asked for before, or the newest."""
    known = cache.root() / "-".join(("version", package, *suites[1:]))
    with contextlib.suppress(OSError):
        return known.read_text(encoding="utf-8").strip()
    with cache.lock(known.name):
        found = Archive(*suites).candidate(package)
        if not found:
            raise Unavailable(f"no package {package} in {', '.join(suites)}")
        known.write_text(found + "\n", encoding="utf-8")
    return found


def forget_versions():
    """Make the next run ask the archive again."""
    for path in [*cache.root().glob("version-*"), *cache.root().glob("apt-*/updated")]:
        path.unlink(missing_ok=True)


def mirrors():
    """(address of the archive, address of the security archive or None)."""
    given = os.environ.get("LAB_MIRROR")
    if given:
        return given.rstrip("/"), os.environ.get("LAB_SECURITY_MIRROR")
    main = security = None
    for label, uri in _apt_targets():
        if label == "Debian" and not main:
            main = uri
        if label == "Debian-Security" and not security:
            security = uri
    if not main:        # no lists downloaded yet: read the sources themselves
        main, security = _uris_from_sources()
    if not main:
        raise Unavailable("no Debian archive in this machine's apt sources: "
                          "set LAB_MIRROR to the address of one")
    return main.rstrip("/"), security.rstrip("/") if security else None


def _apt_targets():
    """(label, address) of every package list that apt knows."""
    try:
        done = subprocess.run(["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)",
                               "Created-By: Packages"],
                              capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [tuple(line.split("|", 1)) for line in done.stdout.splitlines() if "|" in line]


def _uris_from_sources():
    """The two addresses from the sources files, told apart by their suites."""
    main = security = None
    release = codename()
    folder = pathlib.Path("/etc/apt/sources.list.d")
    files = [pathlib.Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list")),
             *sorted(folder.glob("*.sources"))]
    for path in files:
        if not path.is_file():
            continue
        pairs = []
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            for stanza in text.split("\n\n"):
                fields = dict(line.split(":", 1) for line in stanza.splitlines()
                              if ":" in line and not line.startswith("#"))
                if "deb" not in fields.get("Types", "deb").split():
                    continue
                pairs += [(uri, suite) for uri in fields.get("URIs", "").split()
                          for suite in fields.get("Suites", "").split()]
        else:
            for line in text.splitlines():
                words = line.split("#")[0].split("]")[-1].replace("deb ", "", 1).split()
                if line.startswith("deb") and not line.startswith("deb-src") and len(words) > 1:
                    pairs.append((words[0], words[1]))
        for uri, suite in pairs:
            if suite == release and not main:
                main = uri
            if suite.startswith(f"{release}-security") and not security:
                security = uri
    return main, security


class Archive:
    """Packages of some suites, by way of a private apt directory."""

    def __init__(self, *suites):
        self.suites = suites
        self.home = cache.root() / ("apt-" + "-".join(suites))

    def update(self):
        """Fetch the package lists, unless they are fresh."""
        stamp = self.home / "updated"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < LISTS_AGE:
            return
        need("apt-get", "apt")
        if not os.path.exists(KEYRING):
            raise Unavailable(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
        main, security = mirrors()
        lines = []
        for suite in self.suites:
            uri = security if suite.endswith("-security") else main
            if uri:
                lines.append(f"deb [signed-by={KEYRING}] {uri} {suite} main\n")
        for folder in ("state/lists/partial", "cache/archives/partial", "empty"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        (self.home / "sources.list").write_text("".join(lines), encoding="utf-8")
        code, output = run(["apt-get", *self._options(), "update"], UPDATE_TIMEOUT)
        errors = [line for line in output.splitlines() if line.startswith(("E:", "W: Failed"))]
        if code or errors:
            why = errors[0] if errors else f"apt-get update ended with {code}"
            raise Unavailable(f"no package lists of {', '.join(self.suites)}: {why}; "
                              "is the network there?")
        stamp.touch()

    def candidate(self, package):
        """The newest version on offer of `package`, or None."""
        self.update()
        _, output = run(["apt-cache", *self._options(), "madison", package], 60)
        rows = [row.split("|") for row in output.splitlines() if row.count("|") >= 2]
        return rows[0][1].strip() if rows else None

    def depends(self, package):
        """The packages that `package` depends on."""
        self.update()
        _, output = run(["apt-cache", *self._options(), "depends", "--no-recommends",
                         "--no-suggests", package], 60)
        return [line.split(":", 1)[1].strip() for line in output.splitlines()
                if line.strip().startswith("Depends:")]

    def fetch(self, package, into, version=None):
        """Download a package; returns the path of the .deb."""
        with cache.lock(self.home.name):
            self.update()
        wanted = f"{package}={version}" if version else package
        code, output = run(["apt-get", *self._options(), "download", wanted],
                           DOWNLOAD_TIMEOUT, cwd=into)
        files = list(pathlib.Path(into).glob(f"{package}_*.deb"))
        if code or not files:
            why = next((line for line in output.splitlines() if line.startswith("E:")),
                       f"apt-get download ended with {code}")
            raise Unavailable(f"cannot download {wanted} from {', '.join(self.suites)}: {why}")
        return files[0]

    def fetch_all(self, package, into, version):
        """Download a package of the last suite and all that it needs; returns the paths."""
        with cache.lock(self.home.name):
            self.update()
            nothing = self.home / "status"      # is installed
            nothing.touch()
        (into / "partial").mkdir(parents=True)
        code, output = run(["apt-get", *self._options(), "-o", f"Dir::State::status={nothing}",
                            "-o", f"Dir::Cache::archives={into}", "--no-install-recommends",
                            "--download-only", "--yes", "--target-release", self.suites[-1],
                            "install", f"{package}={version}"], DOWNLOAD_TIMEOUT)
        if code:
            why = next((line for line in output.splitlines() if line.startswith("E:")),
                       f"apt-get ended with {code}")
            raise Unavailable(f"cannot download {package} from {', '.join(self.suites)}: {why}")
        return sorted(into.glob("*.deb"))

    def _options(self):
        """The apt options that keep to our own directory."""
        settings = {
            "Dir::State": self.home / "state",
            "Dir::Cache": self.home / "cache",
            "Dir::Etc::sourcelist": self.home / "sources.list",
            "Dir::Etc::sourceparts": self.home / "empty",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self.home / "empty",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::http::Timeout": "30",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
        }
        options = []
        for key, value in settings.items():
            options += ["-o", f"{key}={value}"]
        return options


def unpack(deb, into):
    """Unpack a .deb without installing it."""
    need("dpkg-deb", "dpkg")
    code, output = run(["dpkg-deb", "-x", str(deb), str(into)], UNPACK_TIMEOUT)
    if code:
        raise Unavailable(f"cannot unpack {deb}: {output.strip()}")


def check_machine():
    """Refuse machines for which the lab has no kernels."""
    if platform.machine() != "x86_64":
        raise Unavailable(f"the lab has guests for x86_64 only, this is {platform.machine()}")
