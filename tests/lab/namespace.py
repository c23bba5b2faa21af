# SPDX-License-Identifier: BSD-3-Clause
"""A network namespace of a test's own, with a user namespace when it isn't root."""

import os
import shutil
import socket
import subprocess
import sys

INSIDE = "POLLUX_NAMESPACE"


def enter(*tools):
    """Start this program again in a namespace. Returns why that can't be; None inside of it."""
    if INSIDE in os.environ:
        return None
    for tool in ("unshare", "ip", *tools):
        if not shutil.which(tool):
            return f"there is no {tool}"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun isn't there, or not for us"
    words = ["unshare", "--net"] if os.geteuid() == 0 else \
            ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        return f"{' '.join(words)} isn't allowed"
    os.execvpe(words[0], [*words, sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    return None


def has(name):
    """Whether this interface is there. /sys shows another namespace."""
    return name in (there for _, there in socket.if_nameindex())


def set_up(name, address):
    """Give an interface its address, and switch it on."""
    for words in (["addr", "replace", f"{address}/24", "dev", name], ["link", "set", name, "up"]):
        subprocess.run(["ip", *words], check=True)
