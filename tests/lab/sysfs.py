# SPDX-License-Identifier: BSD-3-Clause
"""Files of sysfs: written to, and put back."""

import contextlib


def write(path, text):
    """Write a file of sysfs."""
    with open(path, "w", encoding="ascii") as handle:
        handle.write(text)


@contextlib.contextmanager
def parameter(module, name, value):
    """While a module's parameter has another value."""
    path = f"/sys/module/{module}/parameters/{name}"
    with open(path, encoding="ascii") as handle:
        before = handle.read()
    write(path, value)
    try:
        yield
    finally:
        write(path, before)
