# SPDX-License-Identifier: BSD-3-Clause
"""The parts of the lab: see tests/lab/README.md."""
