# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's monitor: devices plugged in and pulled out while the guest runs."""

import json
import socket


class Error(Exception):
    """QEMU refused a command; the text says why."""


class Monitor:
    """A connection to the socket of `lab run --qmp`."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(20)
        self._socket.connect(path)
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()          # the greeting
        self.execute("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._lines.close()
        self._socket.close()

    def execute(self, command, **arguments):
        """Carry out one command and return what QEMU answers; events are passed over."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self._lines:
            reply = json.loads(line)
            if "error" in reply:
                raise Error(f"{command}: {reply['error']['desc']}")
            if "return" in reply:
                return reply["return"]
        raise Error(f"{command}: QEMU hung up")
