# SPDX-License-Identifier: BSD-3-Clause
"""plx-nvme-perf and plx-nvme, run to their end."""

import json
import subprocess

import tap

PATIENCE = 60               # seconds for what takes two
EXIT_RUNTIME, EXIT_USAGE, EXIT_DIFFERS = 1, 2, 3


class Run:
    """How a program ended."""

    def __init__(self, words, data=None, stdin=subprocess.DEVNULL):
        given = {"stdin": stdin} if data is None else {"input": data}
        try:
            done = subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False,
                                  **given)
        except subprocess.TimeoutExpired as late:
            raise tap.Failure(f"not done after {late.timeout} s: {words}: "
                              f"{(late.stderr or b'')[-1000:]}") from None
        self.words, self.code, self.data = words, done.returncode, done.stdout
        self.err = done.stderr.decode(errors="replace")

    @property
    def out(self):
        """Standard output as text."""
        return self.data.decode(errors="replace")

    def expect(self, code, *texts):
        """It must end with `code` and say all the texts."""
        tap.check(self.code == code and all(t in self.out + self.err for t in texts), str(self))
        return self

    def __str__(self):
        said = "\n".join((self.err + self.out).strip().splitlines()[-12:])
        return f"{' '.join(map(str, self.words))} ended with {self.code} and said:\n{said}"


class Programs:
    """plx-nvme-perf and plx-nvme on one device; keys are the driver's and the bus's."""

    def __init__(self, perf, tool, address):
        self.perf_path, self.tool_path, self.address = perf, tool, address

    def bus(self, mode, keys):
        """The bus options for one access mode and some keys of the driver."""
        allow = ["--allow-noiommu"] if mode and mode.startswith("noiommu") else []
        words = [self.address, *([f"mode={mode}"] if mode else []), *keys]
        return [*allow, "-a", ",".join(words)]

    def perf(self, *options, mode=None, keys=()):
        """A run of plx-nvme-perf."""
        return Run([self.perf_path, *self.bus(mode, keys), "--quiet", "--json", *options])

    def tool(self, command, *options, mode=None, data=None, keys=()):
        """A run of plx-nvme."""
        return Run([self.tool_path, command, *self.bus(mode, keys), *options], data)

    def verified(self, *options, mode=None, keys=()):
        """plx-nvme-perf --verify, which must find nothing wrong; its report."""
        run = self.perf("--verify", *options, mode=mode, keys=keys).expect(0)
        report = json.loads(run.out)
        tap.check_equal((report["blocks_wrong"], report["total"]["errors"]), (0, 0),
                        "blocks wrong, requests failed")
        tap.check_equal((report["interrupted"], report["total"]["seconds"]),
                        (False, max(job["seconds"] for job in report["jobs"])),
                        "interrupted, seconds")
        for job in report["jobs"]:
            tap.check(job["blocks_checked"] > 0, f"nothing was checked: {job}")
            if mode:
                tap.check_equal(job["access_mode"], mode, "access mode")
        return report
