#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-nvme-perf and plx-nvme on a software NVMe controller, as users run them.

Every block that --verify writes carries its address and a checksum, and all are read back: at many
sizes and depths, over several namespaces, queues and cores, while the controller is reset, and while
it fails on purpose.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
from xml.etree import ElementTree

import soft
import tap
from nvmetool import EXIT_DIFFERS, EXIT_RUNTIME, EXIT_USAGE, PATIENCE, Programs, Run

SHORT = ("--number-ios", "1500", "-t", "20")
QUICK = ("--number-ios", "300", "-t", "20")
LATE_MS = "300"
MIB = 1 << 20
CPUS = sorted(os.sched_getaffinity(0))[:2]
CORES = f"[{','.join(map(str, CPUS))}]"
MESON = pathlib.Path(__file__).resolve().parent.parent.parent / "meson.build"


class Controller:
    """A controller that is served, and the programs on it."""

    def __init__(self, programs, served):
        self.served = served
        self.on = Programs(programs.nvme_perf, programs.nvme, f"user:{served.sockets[0]}")

    def end(self):
        """Its summary."""
        return self.served.end()


@contextlib.contextmanager
def controller(programs, *options, directory=None):
    """One that is served with these options."""
    with contextlib.ExitStack() as stack:
        if not directory:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
        served = stack.enter_context(soft.serving(programs, directory, *options, kind="nvme"))
        yield Controller(programs, served)


@contextlib.contextmanager
def on_memory_and_file(programs):
    """A controller with a namespace of memory and one that is a file."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "disk")
        with open(path, "wb") as disk:
            disk.truncate(16 * MIB)
        with controller(programs, "--ns", "ram:16M", "--ns", f"file:{path}",
                        directory=directory) as ctrl:
            yield ctrl


def is_listed(programs):
    """What the tool says of it."""
    with controller(programs, "--ns", "ram:64M", "--ns", "null:1G,block=4096") as ctrl:
        ctrl.on.tool("list").expect(0, "Pollux software NVMe", "131072 blocks of 512 bytes",
                                    "262144 blocks of 4096 bytes", "user")
        ctrl.on.tool("identify").expect(0, "Pollux software NVMe")
        ctrl.on.tool("identify", "-n", "2").expect(0)
        ctrl.on.tool("smart").expect(0, "27 C")
        totals = ctrl.end()
    tap.check_equal((totals["errors"], totals["unknown_registers"], totals["clients"]), (0, 0, 4),
                    "errors, unknown registers, clients")


def sizes(programs):
    """From one block to more than a command can move, at odd offsets in a page."""
    with controller(programs, "--ns", "ram:64M") as ctrl:
        for size, offset in (("512", "0"), ("4k", "0"), ("4k", "512"), ("12k", "4"),
                             ("127k", "2048"), ("1m", "0"), ("1536k", "1028"), ("3m", "0")):
            ctrl.on.verified("-w", "randrw", "-q", "8", "-o", size, "--offset", offset,
                             "--number-ios", "200", "-t", "20", "--range", "24m")
        ctrl.on.verified("-w", "randrw", "-o", "64k", *QUICK, keys=["sgl=off"])
        totals = ctrl.end()
    tap.check_equal(totals["errors"], 0, "errors")


def depths(programs):
    """From one command at a time to as many as the queue takes."""
    with controller(programs, "--ns", "ram:64M", "--entries", "1024") as ctrl:
        for depth in ("1", "2", "31", "32", "33", "1023"):
            ctrl.on.verified("-w", "randrw", "-o", "4k", "-q", depth, "--range", "8m", *SHORT)
        ctrl.on.perf("-q", "1024").expect(EXIT_USAGE, "commands in flight")


def many_of_all(programs):
    """Namespaces of every kind, with cores and queues of their own."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "disk")
        with open(path, "wb") as disk:
            disk.truncate(16 * MIB)
        with controller(programs, "--ns", "ram:16M", "--ns", "ram:16M,block=4096,meta=8", "--ns",
                        f"file:{path},block=4096", "--ns", "ram:16M,boundary=16",
                        directory=directory) as ctrl:
            report = ctrl.on.verified("-w", "randrw", "-o", "16k", "-c", CORES, "-P", "2",
                                      *QUICK)
            tap.check_equal(len(report["jobs"]), 4 * len(CPUS) * 2, "jobs")
            ctrl.on.verified("-w", "randrw", "--irq", "-c", CORES, *QUICK)
            ctrl.on.verified("-w", "randrw", *QUICK, keys=["dbbuf=on"])
            totals = ctrl.end()
    tap.check_equal(totals["errors"], 0, "errors")


def other_shapes(programs):
    """Doorbells that lie apart, a buffer for queues, small transfers, few queues."""
    with controller(programs, "--ns", "ram:16M", "--doorbell-stride", "4", "--cmb", "1M",
                    "--transfer", "16K", "--queues", "2") as ctrl:
        ctrl.on.verified("-w", "randrw", "-o", "64k", "-P", "2", *QUICK)
        ctrl.on.verified("-w", "randrw", *QUICK, keys=["dbbuf=on"])
        ctrl.on.perf("-P", "3").expect(EXIT_RUNTIME, "2 queue pairs")
    for entries in ("2", "9"):
        with controller(programs, "--ns", "ram:16M", "--entries", entries) as ctrl:
            ctrl.on.verified("-w", "randrw", "-q", "1", "--range", "1m", *QUICK)
    with controller(programs, "--ns", "null:1G") as ctrl:
        ctrl.on.perf("-w", "randrw", *SHORT).expect(0)


def read_file(path):
    """All of it."""
    with open(path, "rb") as file:
        return file.read()


def ends_of_options(programs):
    """The least and the most that the command line takes works."""
    for words in (("--queues", "1", "--entries", "32", "--transfer", "8K", "--cmb", "4K",
                   "--doorbell-stride", "0"),
                  ("--queues", "64", "--entries", "65536", "--transfer", "32M", "--cmb", "64M",
                   "--doorbell-stride", "4")):
        with controller(programs, "--ns", "ram:16M", *words) as ctrl:
            ctrl.on.verified("-w", "randrw", "-q", "4", "-o", "64k", *QUICK)
            totals = ctrl.end()
        tap.check_equal(totals["errors"], 0, f"{words}: errors")
    with controller(programs, "--ns", "ram:4096", "--entries", "2") as ctrl:
        ctrl.end()


def file_content(programs):
    """What is written is in the file, and what is in the file is read."""
    data = os.urandom(100000)
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "disk")
        with open(path, "wb") as disk:
            disk.truncate(8 * MIB)
        with controller(programs, "--ns", f"file:{path}", directory=directory) as ctrl:
            ctrl.on.tool("write", "-s", "100", data=data).expect(0)
            with open(path, "r+b") as disk:
                disk.seek(100 * 512)
                tap.check(disk.read(len(data)) == data, "the file has something else")
                disk.seek(1000 * 512)
                disk.write(data[:512])
            run = ctrl.on.tool("read", "-s", "1000", "-c", "1").expect(0)
            tap.check(run.data == data[:512], "something else was read")
            ctrl.on.verified("-w", "randrw", "-o", "8k", "-q", "300", "--range", "8m", *SHORT)
            # The data of another run is never that of this one, so it can't be taken for it.
            before = read_file(path)
            ctrl.on.verified("-w", "randrw", "-o", "8k", "-q", "300", "--range", "8m", *SHORT)
            after = read_file(path)
            same = [at for at in range(0, 8 * MIB, 512)
                    if before[at:at + 512] == after[at:at + 512]]
            tap.check(not same, f"{len(same)} blocks are as the run before left them")
            totals = ctrl.end()
        tap.check_equal(os.path.getsize(path), 8 * MIB, "the file's size")
    tap.check_equal(totals["errors"], 0, "errors")


def all_or_nothing(programs):
    """What can't fit is refused while both ends are as they were."""
    whole = 16 * MIB
    with tempfile.TemporaryDirectory() as directory, \
            controller(programs, "--ns", "ram:16M", directory=directory) as ctrl:
        tool, last = ctrl.on.tool, whole // 512 - 4096
        path = os.path.join(directory, "file")
        tool("write", "-s", str(last), data=b"x" * 4096 * 512).expect(0)
        with open(path, "wb") as file:
            file.write(b"y" * (4096 * 512 + 1))
        said = "has 32768 blocks, which don't include 4097 from block 28672 on"
        for command in ("write", "compare"):
            tool(command, "-s", str(last), "-f", path).expect(EXIT_RUNTIME, said)
            with open(path, "rb") as file:
                file.seek(512)
                run = Run([ctrl.on.tool_path, command, *ctrl.on.bus(None, ()), "-s",
                           str(last + 1)], stdin=file)
            run.expect(EXIT_RUNTIME, "don't include 4096 from block 28673 on")
            tool(command, "-s", str(last), "-c", "4097", "-f", path).expect(EXIT_RUNTIME, said)
            tool(command, "-s", "32768", data=b"y").expect(EXIT_RUNTIME, "don't include 1 from")
        for command in ("zero", "trim", "verify"):
            tool(command, "-s", str(last), "-c", "4097").expect(EXIT_RUNTIME, said)
        found = tool("read", "-s", str(last), "-c", "4096").expect(0).data
        tap.check(found == b"x" * 4096 * 512, "blocks were written all the same")
        # Reading spares the file that was there
        for words in (("-s", "28672", "-c", "4097"), ("-s", "32768"),
                      ("-s", str(2**64 - 1), "-c", "2")):
            tool("read", *words, "-f", path).expect(EXIT_RUNTIME, "has 32768 blocks, which don't")
            tap.check_equal(os.path.getsize(path), 4096 * 512 + 1, f"{words}: the file's size")
        # As much as fits
        tool("write", "-s", str(last), "-c", "4096", "-f", path).expect(0)
        tool("read", "-s", str(last), "-c", "4096", "-f", path).expect(0)
        tap.check(read_file(path) == b"y" * 4096 * 512, "something else was read")
        # Nobody knows how much a pipe has
        tool("write", "-s", str(last), data=b"z" * 4097 * 512).expect(
            EXIT_RUNTIME, "goes on beyond the namespace's 32768 blocks: written up to block 32768")
        tool("compare", "-s", str(last), data=b"z" * 4096 * 512).expect(0)


def ends_of_input(programs):
    """Zeroes fill up what is written; only what there is is compared; nothing isn't enough."""
    with controller(programs, "--ns", "ram:16M", "--ns", "ram:16M,block=4096,meta=8") as ctrl:
        for nsid, unit in (("1", 512), ("2", 4096)):
            on = ctrl.on.tool
            there, data = ("-n", nsid, "-s", "3"), os.urandom(2 * unit)
            if nsid == "2":
                ctrl.on.tool("format", "-n", "2", "--lbaf", "1", "--yes").expect(0)
            on("write", *there, data=data).expect(0)
            for size in (1, unit - 1, unit, unit + 1, 2 * unit - 1, 2 * unit):
                on("compare", *there, data=data[:size]).expect(0)
                other = data[:size - 1] + bytes([data[size - 1] ^ 1])
                on("compare", *there, data=other).expect(EXIT_DIFFERS, "Compare Failure")
            for command in ("write", "compare"):
                on(command, *there, data=b"").expect(EXIT_RUNTIME, "the input is empty")
                on(command, *there, "-f", "/dev/null").expect(EXIT_RUNTIME, "the input is empty")
            on("write", *there, data=b"x" * (unit + 1)).expect(0)
            tap.check_equal(on("read", *there, "-c", "2").data, b"x" * (unit + 1) + bytes(unit - 1),
                            "blocks that were filled up")


def formats(programs):
    """Other blocks, with metadata and without; what was there is gone."""
    with controller(programs, "--ns", "ram:16M", "--ns", "ram:16M") as ctrl:
        ctrl.on.tool("write", "-n", "1", data=b"x" * 512).expect(0)
        ctrl.on.tool("write", "-n", "2", data=b"y" * 512).expect(0)
        ctrl.on.tool("format", "-n", "1", "--lbaf", "3", "--extended", "--yes").expect(0)
        ctrl.on.tool("list").expect(0, "4096 blocks of 4096 bytes", "8 of metadata behind each")
        ctrl.on.verified("--ns", "1", "-w", "randrw", "-o", "8k", "--range", "4m", *QUICK)
        # Without a shape, it keeps its own; without --yes, all
        ctrl.on.tool("write", "-n", "1", data=b"x" * 4104).expect(0)
        ctrl.on.tool("format", "-n", "1", "--lbaf", "0").expect(EXIT_USAGE, "say --yes")
        tap.check_equal(ctrl.on.tool("read", "-n", "1").data, b"x" * 4104, "what is left of it")
        ctrl.on.tool("format", "-n", "1", "--yes").expect(0)
        ctrl.on.tool("list").expect(0, "4096 blocks of 4096 bytes", "8 of metadata behind each")
        tap.check("x" not in ctrl.on.tool("read", "-n", "1").expect(0).out, "data is left")
        ctrl.on.tool("format", "-n", "1", "--lbaf", "4", "--yes").expect(
            EXIT_RUNTIME, "Invalid Format", "identify -n lists")
        ctrl.on.tool("format", "-n", "1", "--lbaf", "1", "--yes").expect(0)
        run = ctrl.on.tool("read", "-n", "1").expect(0)
        tap.check(run.data == bytes(4096), "it isn't empty")
        run = ctrl.on.tool("read", "-n", "2").expect(0)
        tap.check(run.data == b"y" * 512, "the other namespace isn't as it was")


def resets(programs):
    """Nothing is lost or damaged while the controller is reset under load."""
    with on_memory_and_file(programs) as ctrl:
        report = ctrl.on.verified("-w", "randrw", "-o", "16k", "-c", CORES, "--range", "4m",
                                  "-t", "2", "--reset-ms", "100")
        totals = ctrl.end()
    tap.check(report["resets"] >= 3, f"{report['resets']} resets in 2 s")
    tap.check(totals["resets"] > report["resets"], f"the controller saw {totals['resets']}")


# Mishaps


def statuses(programs):
    """What may be retried is; what may not is told, by its name."""
    with controller(programs, "--ns", "ram:16M", "--inject", "status=0x81:2,rate=1/50") as ctrl:
        report = ctrl.on.verified("-w", "randrw", "-q", "8", "--range", "4m", *SHORT)
        totals = ctrl.end()
    tap.check(sum(job["retries"] for job in report["jobs"]) >= 20, f"too few retries: {report}")
    tap.check(totals["injected"] >= 20, f"injected {totals['injected']}")
    with controller(programs, "--ns", "ram:16M", "--inject",
                    "status=0x81:2,rate=1/50,opcode=2,dnr") as ctrl:
        run = ctrl.on.perf("-w", "randread", *SHORT).expect(EXIT_RUNTIME,
                                                            "Unrecovered Read Error")
        total = json.loads(run.out)["total"]
        tap.check_equal((total["requests"], total["errors"]), (1470, 30), "requests, errors")
        ctrl.on.perf("-w", "randwrite", *SHORT).expect(0)


def told(programs):
    """What the driver did about trouble is in the table and in the total, and resets aren't it."""
    work = ("-w", "randrw", "-q", "4", "-P", "2", "--number-ios", "600", "-t", "30")
    for inject, code, nonzero in (
            ("status=0x81:2,rate=1/50", 0, {"retries"}),
            ("fatal=200", 0, {"retries", "recoveries"}),
            ("stuck=400", EXIT_RUNTIME, {"timeouts"}),
            (None, 0, set())):
        with controller(programs, "--ns", "ram:16M",
                        *(("--inject", inject) if inject else ())) as ctrl, \
                tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "page")
            run = ctrl.on.perf(*work, "--timeout-ms", LATE_MS, "--html", path).expect(code)
            page_text = read_file(path).decode()
            ctrl.end()
        report = json.loads(run.out)
        sums = {key: sum(job[key] for job in report["jobs"])
                for key in ("retries", "timeouts", "recoveries")}
        tap.check_equal({key: report["total"][key] for key in sums}, sums, f"{inject}: total")
        tap.check_equal({key for key, count in sums.items() if count}, nonzero, f"{run}; not 0")
        tap.check_equal(report["resets"], 0, f"{inject}: resets that nobody asked for")
        line = ", ".join(f"{key}: {count}" for key, count in sums.items()).capitalize()
        for text in (run.err, page_text):
            tap.check_equal((text.count(line), "etries: " in text), (bool(inject),) * 2,
                            f"{inject}: '{line}' in {text}")


def waited_for(programs):
    """A run whose last requests take long says what it waits for."""
    with controller(programs, "--ns", "ram:16M", "--inject", "stuck=20") as ctrl:
        run = Run([ctrl.on.perf_path, *ctrl.on.bus(None, ()), "-w", "randread", "-q", "1", "-t",
                   "1", "--timeout-ms", "5000"]).expect(EXIT_RUNTIME, "Abort Requested")
        ctrl.end()
    tap.check("\nwaiting for 1 request\n" in run.err, run.err)


def late(programs, inject, *expected):
    """Commands that aren't answered: the driver does something, and nothing is lost."""
    with controller(programs, "--ns", "ram:16M", "--inject", inject) as ctrl:
        report = ctrl.on.verified("-w", "randrw", "-q", "4", "--range", "512k", "--number-ios",
                                  "600", "-t", "30", "--timeout-ms", LATE_MS)
        totals = ctrl.end()
    tap.check(totals["injected"] >= 1, "nothing was injected")
    for what in expected:
        tap.check(sum(job[what] for job in report["jobs"]) >= 1, f"no {what}: {report}")


def looked_after(programs):
    """The controller hears of its client while all is read back, too."""
    with controller(programs, "--ns", "ram:16M", "--inject", "stuck=200") as ctrl:
        run = ctrl.on.perf("--verify", "-w", "randread", "-q", "4", "--range", "512k",
                           "--number-ios", "50", "-t", "30", "--timeout-ms", "1500",
                           keys=["keep-alive=400"]).expect(EXIT_RUNTIME, "Abort Requested")
        ctrl.end()
    job = json.loads(run.out)["jobs"][0]
    tap.check_equal((job["errors"], job["recoveries"]), (1, 0), "errors, recoveries")


def stuck(programs):
    """Commands that stay with the controller are aborted, which is told; all others are right."""
    with controller(programs, "--ns", "ram:16M", "--inject", "stuck=200") as ctrl:
        run = ctrl.on.perf("--verify", "-w", "randrw", "-q", "4", "--range", "512k",
                           "--number-ios", "600", "-t", "30", "--timeout-ms", LATE_MS)
        run.expect(EXIT_RUNTIME, "is late: aborting it", "Command Abort Requested", ", 0 wrong")
        totals = ctrl.end()
    tap.check_equal(totals["resets"], 1, "resets, with the one at the end")


def late_by_interrupts(programs):
    """A command is late after its time, not after so many naps of who waits for an interrupt."""
    with controller(programs, "--ns", "ram:16M", "--inject", "stuck=20") as ctrl:
        run = ctrl.on.perf("--irq", "-w", "randread", "-q", "1", "--number-ios", "50", "-t", "60",
                           "--timeout-ms", LATE_MS).expect(EXIT_RUNTIME, "Abort Requested")
        ctrl.end()
    total = json.loads(run.out)["total"]
    tap.check_equal((total["requests"], total["errors"]), (48, 2), "requests, errors")
    tap.check(total["latency_us"]["max"] < 20e6, f"{total}")


def warm_up(programs):
    """Not counted, and nothing of what is asked for is used up by it."""
    with controller(programs, "--ns", "ram:16M") as ctrl:
        run = ctrl.on.perf("-q", "4", "--warmup-time", "1", "--number-ios", "500", "-t", "30")
        total = json.loads(run.expect(0).out)["total"]
        tap.check_equal(total["requests"], 500, "requests")
        tap.check(total["seconds"] < 20 and total["iops"] < 1e8, f"{total}")
        ctrl.end()


def interrupted(programs):
    """A run that is ended early says so everywhere, and isn't taken for a whole one."""
    with controller(programs, "--ns", "ram:16M") as ctrl:
        for number, words, text in ((signal.SIGINT, (), "s of 60\n"),
                                    (signal.SIGTERM, ("--verify",), "not everything was read back")):
            with perf_running(ctrl, "--json", *words, stdout=subprocess.PIPE) as process:
                process.send_signal(number)
                out, err = process.communicate(timeout=PATIENCE)
            report = json.loads(out)
            tap.check_equal(process.returncode, 128 + number, f"{err}; exit code")
            tap.check("Interrupted after " in err and text in err, err)
            tap.check(report["interrupted"] is True and report["total"]["requests"] > 0 and
                      report["total"]["seconds"] < 60, f"{report}")
        ctrl.end()
    with controller(programs, "--ns", "ram:16M", "--inject", "status=0x81:2,dnr,rate=1/9") as ctrl, \
            perf_running(ctrl) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        tap.check_equal(process.returncode, EXIT_RUNTIME, "exit code where requests failed")


def nowhere_to_write(programs):
    """A report that can't be written is a failure, and a page is missed before the run."""
    with controller(programs, "--ns", "ram:16M") as ctrl:
        for words in ([ctrl.on.perf_path, *ctrl.on.bus(None, ()), "--quiet", "--number-ios", "9"],
                      [ctrl.on.perf_path, *ctrl.on.bus(None, ()), "--json", "--number-ios", "9"],
                      [ctrl.on.tool_path, "list", *ctrl.on.bus(None, ())]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=PATIENCE, check=False)
            tap.check(done.returncode == EXIT_RUNTIME and "No space left" in done.stderr,
                      f"{words}: {done.returncode}, {done.stderr}")
        ctrl.on.perf("--html", "/nonexistent/page", "-t", "600").expect(EXIT_RUNTIME,
                                                                         "/nonexistent/page: No")
        ctrl.end()


def page(programs):
    """Two pictures, all of whose lines and marks are inside, also of a run in which nothing went well."""
    for inject, texts in ((), ("99.999", "class=\"line\"")), \
                         (("--inject", "status=0x81:2,dnr"), ("no request was completed",)):
        with tempfile.TemporaryDirectory() as directory, \
                controller(programs, "--ns", "ram:16M", *inject, directory=directory) as ctrl:
            path = os.path.join(directory, "page")
            ctrl.on.perf("-t", "1", "--html", path).expect(EXIT_RUNTIME if inject else 0)
            text = read_file(path).decode()
            ctrl.end()
        pictures = [ElementTree.fromstring(svg) for svg in re.findall("<svg.*?</svg>", text, re.S)]
        tap.check_equal(len(pictures), 2, "pictures")
        tap.check(all(t in text for t in texts) and "http" not in text, text)
        for path in (p.get("d") for svg in pictures for p in svg.iter("path")):
            for x, y in re.findall(r"[ML](\S+) ([^LHV]+)", path):
                tap.check(80 <= float(x) <= 720 and 0 <= float(y) <= 260, path)
        for mark in (t for svg in pictures for t in svg.iter("text")):
            tap.check(float(mark.get("x")) + 4 * len(mark.text) <= 720, mark.text)


def wrong_ids(programs):
    """A controller that completes what was never asked isn't believed any more."""
    with controller(programs, "--ns", "ram:16M", "--inject", "bad-cid=100") as ctrl:
        ctrl.on.perf("-w", "randread", *SHORT).expect(EXIT_RUNTIME, "which is not in flight",
                                                      ": 32 requests failed")


def raw(programs):
    """Commands by their dwords, both ways, and the parts of Identify by number."""
    data = os.urandom(4096)
    blocks = ("--cdw", "10=8", "--cdw", "12=7", "--len", "4096")
    with controller(programs, "--ns", "ram:16M", "--ns", "ram:16M,block=4096") as ctrl:
        tool = ctrl.on.tool
        tool("io", "--opcode", "1", "-n", "1", *blocks, "--yes", data=data).expect(
            0, "result        0")
        run = tool("io", "--opcode", "2", "--cdw", "1=1", *blocks).expect(0, "result        0")
        tap.check_equal(run.data, data, "what io read")
        tap.check_equal(tool("read", "-n", "1", "-s", "8", "-c", "8").data, data, "what read read")
        # A file called - is nobody's wish
        there = ("-n", "1", "-s", "16", "-f", "-")
        tool("write", *there, data=data).expect(0)
        tap.check_equal(tool("read", *there, "-c", "8").expect(0).data, data, "what came from -")
        run = tool("io", "--opcode", "2", "--cdw", "1=1", "-f", "-", *blocks).expect(0)
        tap.check_equal((run.data, os.path.exists("-")), (data, False), "what io read, a file -")
        tool("io", "--opcode", "0", "-n", "1").expect(0, "result        0")
        run = tool("admin", "--opcode", "6", "--cdw", "10=1", "--len", "4096").expect(0)
        tap.check(len(run.data) == 4096 and run.data[24:].startswith(b"Pollux software NVMe"),
                  f"Identify: {run.data[:64]}")
        # Number of Queues: what was asked for at the start, 0's based
        tool("admin", "--opcode", "0x0a", "--cdw", "10=7").expect(0, "result        003f003f\n")
        tool("admin", "--opcode", "0x7f").expect(EXIT_RUNTIME, "Invalid Command Opcode")
        tool("io", "--opcode", "1", "--yes", *blocks, data=data[:-1]).expect(EXIT_RUNTIME,
                                                                             "4095 bytes")
        # Eight blocks move, of which one is asked for: what is behind the buffer is a page's rest
        run = tool("io", "--opcode", "2", "-n", "1", *blocks[:-1], "512").expect(0)
        tap.check_equal(run.data, data[:512], "what io read of it")
        tool("io", "--opcode", "2", *blocks).expect(EXIT_RUNTIME, "Invalid Namespace")
        for words, text in ((("admin",), "--opcode says"),
                            (("admin", "--opcode", "0x0c"), "opcode 0x0c isn't answered"),
                            (("admin", "--opcode", "256"), "from 0 to 255"),
                            (("io", "--opcode", "0", "--len", "8"), "moves no data"),
                            (("io", "--opcode", "3", "--len", "8"), "0x03 moves data both ways"),
                            (("io", "--opcode", "1", "--len", "0"), "from 1"),
                            (("io", "--opcode", "1", "--cdw", "6=1"), "N one of"),
                            (("io", "--opcode", "1", "--cdw", "10"), "N=VALUE"),
                            (("list", "-n", "1"), "--ns doesn't go with list"),
                            (("smart", "--hex"), "--hex doesn't go with smart"),
                            (("read", "-x"), "option '-x' is unknown"),
                            (("read", "-c"), "option '-c' wants a value"),
                            (("read", "--hexx"), "option '--hexx' is unknown"),
                            (("read", "--count"), "option '--count' wants a value"),
                            (("reed",), "'reed' is no command"),
                            (("read", "write"), "one command at a time"),
                            (("io", "--opcode", "1", "--cdw", "10=4294967296"), "N=VALUE")):
            tool(*words).expect(EXIT_USAGE, text)
        for words in (("io", "--opcode", "2", "-n", "1", "--len", "2097152"),
                      ("admin", "--opcode", "2", "--len", "1048576")):
            tool(*words).expect(EXIT_RUNTIME, f"opcode 0x0{words[2]}",
                                "more than one command moves here")
        tap.check_equal(tool("identify", "--cns", "2").expect(0).out.split()[1::2], ["1", "2"],
                        "namespaces")
        tap.check_equal(tool("identify", "--cns", "0x10", "-n", "1").expect(0).out.split()[1::2],
                        ["2"], "namespaces after the first")
        tool("identify", "--cns", "3", "-n", "1").expect(0, "EUI64", "command set   00")
        tool("identify", "--cns", "0x1c").expect(0, "0: 0000000000000001")
        tool("identify", "--cns", "1").expect(0, "0000: ")
        tool("identify", "--cns", "0x77").expect(EXIT_RUNTIME, "CNS 0x77: Invalid Field")


def asked_twice(programs):
    """Raw commands that can destroy something want a yes, and so do those that nobody knows."""
    data = os.urandom(512)
    with controller(programs, "--ns", "ram:16M") as ctrl:
        tool = ctrl.on.tool
        tool("write", data=data).expect(0)
        for command, opcode, name in (
                ("admin", "0x0d", "Namespace Management"), ("admin", "0x10", "Firmware Commit"),
                ("admin", "0x11", "Firmware Image"), ("admin", "0x80", "Format NVM"),
                ("admin", "0x84", "Sanitize"), ("admin", "0xc0", "opcode 0xc0 isn't known"),
                ("admin", "0xff", "isn't known"), ("admin", "0x22", "isn't known"),
                ("io", "0x01", "Write"), ("io", "0x04", "Write Uncorrectable"),
                ("io", "0x08", "Write Zeroes"), ("io", "0x09", "Dataset Management"),
                ("io", "0x19", "Copy"), ("io", "0x79", "Zone Management Send"),
                ("io", "0x7d", "Zone Append"), ("io", "0x80", "isn't known")):
            tool(command, "--opcode", opcode, "-n", "1").expect(EXIT_USAGE, name, opcode,
                                                                "destroy data: say --yes")
        tap.check_equal(tool("read").expect(0).data, data, "what is left")
        for command, opcode in (("admin", "2"), ("admin", "0x0a"), ("io", "0"), ("io", "5"),
                                ("io", "0x0c")):
            run = tool(command, "--opcode", opcode, "-n", "1")
            tap.check("--yes" not in run.err and run.code != EXIT_USAGE, f"{run}")
        tool("admin", "--opcode", "0xc0", "--yes").expect(EXIT_RUNTIME,
                                                          "opcode 0xc0: Invalid Command Opcode")
        tool("io", "--opcode", "8", "-n", "1", "--yes").expect(0)
        tap.check_equal(tool("read").expect(0).data, bytes(512), "what was zeroed")
        lines = tool("effects").expect(0).out.splitlines()
        for line in ("admin 0x06 Identify", "admin 0x80 Format NVM: changes data, changes namespaces",
                     "io 0x01 Write: changes data", "io 0x02 Read"):
            tap.check(line in lines, f"no '{line}' in {lines}")


def example(programs):
    """The guide's program reads what is there, and says so where there is nothing."""
    with controller(programs, "--ns", "ram:16M") as ctrl:
        data = os.urandom(512)
        ctrl.on.tool("write", data=data).expect(0)
        run = Run([programs.read_block, *ctrl.on.bus(None, ())]).expect(0)
        tap.check_equal(run.out.strip(), data[:16].hex(" "), "the first bytes")
    Run([programs.read_block, *ctrl.on.bus(None, ())]).expect(1, "does not exist")
    for word in "junk", "--help":
        Run([programs.read_block, word]).expect(1, "usage: ")
    with controller(programs, "--ns", "ram:16M", "--inject", "status=0x81:2,dnr") as ctrl:
        Run([programs.read_block, *ctrl.on.bus(None, ())]).expect(
            1, "reading: Unrecovered Read Error")


# What can't be


def refusals(programs):
    """Clear words and the right exit codes."""
    with controller(programs, "--ns", "ram:16M", "--ns", "ram:16M,block=4096") as ctrl:
        ctrl.on.tool("io", "--opcode", "2", "-n", "1", "--cdw", "10=32768", "--len", "512").expect(
            EXIT_RUNTIME, "LBA Out of Range")
        ctrl.on.tool("read", "-n", "9").expect(EXIT_RUNTIME, "no namespace 9")
        ctrl.on.perf("-o", "512").expect(EXIT_USAGE, "no whole number of blocks of 4096 bytes")
        ctrl.on.perf("--ns", "3").expect(EXIT_RUNTIME, "no namespace 3")
        ctrl.on.perf("-c", "[1023]").expect(EXIT_USAGE, "there is no core 1023")
        # A second client waits for its turn
        ctrl.on.tool("list").expect(0)
    with tempfile.TemporaryDirectory() as directory, \
            soft.serving(programs, directory, "--wire", cards=2) as served:
        card = Programs(programs.nvme_perf, programs.nvme, f"user:{served.sockets[0]}")
        card.perf("-t", "1").expect(EXIT_RUNTIME)
        card.tool("list").expect(EXIT_RUNTIME)


def usage(programs):
    """plx-softdev's own command line."""
    for words, text in (((), "no --socket"),
                        (("--socket", "/tmp/x"), "no --ns"),
                        (("--socket", "/tmp/x", "--ns", "ram:1"), "ram:SIZE"),
                        (("--socket", "/tmp/x", "--ns", "disk:1G"), "ram:SIZE"),
                        (("--socket", "/tmp/x", "--ns", "ram:1G,block=1024"), "block=512"),
                        (("--socket", "/tmp/x", "--ns", "file:/x,meta=8"), "ram:SIZE"),
                        (("--queues", "65"), "1 to 64"),
                        (("--queues", "0"), "1 to 64"),
                        (("--entries", "1"), "2 to 65536"),
                        (("--entries", "65537"), "2 to 65536"),
                        (("--doorbell-stride", "5"), "0 to 4"),
                        (("--transfer", "4K"), "from 8K"),
                        (("--transfer", "64M"), "to 32M"),
                        (("--transfer", "12K"), "power of two"),
                        (("--cmb", "5"), "multiple of 4K"),
                        (("--cmb", "0"), "multiple of 4K"),
                        (("--cmb", "65M"), "up to 64M"),
                        (("--inject", "drop=0"), "drop=N"),
                        (("--frobnicate",), "frobnicate"),
                        (("x",), "'x' is no option")):
        done = soft.run(programs.softdev, "nvme", *words)
        tap.check(done.returncode == EXIT_USAGE and text in done.stderr and
                  len(done.stderr.strip().splitlines()) == 1,
                  f"{words}: {done.returncode}, {done.stderr}")
    tap.check_equal(soft.run(programs.softdev, "nvme", "--help").returncode, 0, "--help")
    version = re.search(r"\n    version: '(.*)'", read_file(MESON).decode())[1]
    for program in (programs.softdev, programs.testpmd, programs.nvme, programs.nvme_perf):
        done = soft.run(program, "--version")
        tap.check_equal((done.returncode, done.stdout),
                        (0, f"{os.path.basename(program)} (Pollux) {version}\n"), "--version")
        tap.check("--version" in soft.run(program, "--help").stdout, "--help says nothing of it")
    done = soft.run(programs.softdev, "nvme", "--socket", "/tmp/x", "--ns", "file:/nonexistent")
    tap.check(done.returncode == EXIT_RUNTIME and "/nonexistent: can't be opened" in done.stderr,
              f"{done.returncode}, {done.stderr}")


def helps(programs):
    """Of each command what it does, and just those options that it takes."""
    def tool(*words):
        return Run([programs.nvme, *words])

    whole = tool("--help").expect(0).out
    tap.check_equal((tool("help").expect(0).out, tool("-h").out), (whole, whole), "help, -h")
    part = re.search(r"^COMMANDS\n(.*?)^$", whole, re.S | re.M)[1]
    commands = set(re.findall(r"^  ([a-z]+) ", part, re.M)) - {"help"}
    part = re.search(r"^OPTIONS\n(.*?)^$", whole, re.S | re.M)[1]
    options = set(re.findall(r"^  (?:-., )?(--[a-z-]+)", part, re.M)) - {"--version"}
    tap.check(len(commands) == 16 and len(options) == 17, f"{commands}, {options}")
    value = {"--cdw": ["1=1"], "--extended": [], "--pi-first": [], "--yes": [], "--hex": []}
    for command in sorted(commands):
        said = tool("help", command).expect(0).out
        tap.check(said.startswith(f"usage: plx-nvme {command} ") and f"\n  {command} " in said, said)
        tap.check_equal(tool(command, "--help", "-a", "x").expect(0).out, said, "its --help")
        named = set(re.findall(r"^  (?:-., )?(--[a-z-]+)", said, re.M))
        # Beside those that are named, each other one is what is wrong
        words = [word for option in sorted(named) for word in (option, *value.get(option, ["1"]))]
        for option in sorted(options - named):
            tool(command, *words, option, *value.get(option, ["1"])).expect(
                EXIT_USAGE, f"{option} doesn't go with {command}\n")
    tool("help", "reed").expect(EXIT_USAGE, "'reed' is no command")
    tool("help", "read", "write").expect(EXIT_USAGE, "'write' is too much")


# Ends


def perf_running(ctrl, *options, stdout=subprocess.DEVNULL):
    """plx-nvme-perf, once it is at work."""
    process = subprocess.Popen(
        [ctrl.on.perf_path, *ctrl.on.bus(None, ()), "-w", "randrw", "-t", "60", *options],
        stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "s of 60" in line:
            return process
    raise tap.Failure(f"it ended with {process.wait()}")


def no_system_calls(programs):
    """Traced while it reads, the thread that polls calls nothing; the other one does."""
    with tempfile.TemporaryDirectory() as directory, \
            controller(programs, "--ns", "ram:16M", directory=directory) as ctrl, \
            perf_running(ctrl) as process:
        trace = os.path.join(directory, "trace")
        threads = os.listdir(f"/proc/{process.pid}/task")
        polling = [thread for thread in threads if thread != str(process.pid)]
        tap.check_equal(len(polling), 1, "threads but the first")
        try:
            strace = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-p", str(process.pid)],
                                      stderr=subprocess.DEVNULL)
        except OSError:
            process.kill()
            raise tap.Skip("no strace here: apt-get install strace") from None
        lines = 0
        for line in process.stderr:
            lines += "s of 60" in line
            if lines == 4:
                break
        strace.send_signal(signal.SIGINT)
        strace.wait(PATIENCE)
        process.kill()
        process.communicate()
        calls = read_file(trace).decode(errors="replace").splitlines()
    mine = [call for call in calls if call.split()[0] in polling]
    print(f"# system calls in four seconds: {len(mine)} of the thread that polls, "
          f"{len(calls) - len(mine)} of the other")
    tap.check(len(calls) > len(mine), "strace saw no thread")
    tap.check_equal(mine, [], "system calls of the thread that polls")


def client_dies(programs):
    """The server lives through all of it, and serves the last client as the first."""
    with on_memory_and_file(programs) as ctrl:
        before = ctrl.served.descriptors()
        free = soft.free_hugepages()
        for number in range(1, programs.kills + 1):
            with perf_running(ctrl) as process:
                process.kill()
            ctrl.served.wait_for(lambda: ctrl.served.descriptors() == before,
                                 f"after kill {number}: {before} descriptors")
        deadline = time.monotonic() + PATIENCE
        while soft.free_hugepages() < min(free, soft.NEEDED):
            tap.check(time.monotonic() < deadline, "hugepages are lost")
            time.sleep(0.01)
        ctrl.on.verified("-w", "randrw", *QUICK)
        totals = ctrl.end()
    tap.check_equal(totals["clients"], programs.kills + 1, "clients")


def server_dies(programs):
    """The client says so and ends; the next server replaces the socket that was left."""
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(programs.kills):
            with controller(programs, "--ns", "ram:16M", directory=directory) as ctrl, \
                    perf_running(ctrl) as process:
                ctrl.served.process.kill()
                ctrl.served.process.wait()
                _, err = process.communicate(timeout=PATIENCE)
                tap.check(process.returncode == EXIT_RUNTIME and "lost" in err,
                          f"it ended with {process.returncode} and said: {err}")
        tap.check_equal(os.listdir(directory), ["nvme0"], "files left")
        with controller(programs, "--ns", "ram:16M", directory=directory) as ctrl:
            ctrl.on.verified("-w", "randrw", *QUICK)
            ctrl.end()


def cases(programs):
    """The test."""
    for name, function in (("it is listed", is_listed),
                           ("requests of all sizes", sizes),
                           ("depths from 1 to 1023", depths),
                           ("namespaces, queues and cores", many_of_all),
                           ("other shapes of controllers", other_shapes),
                           ("the ends of options", ends_of_options),
                           ("a file's content", file_content),
                           ("all or nothing", all_or_nothing),
                           ("ends of input", ends_of_input),
                           ("formats", formats),
                           ("resets under load", resets),
                           ("statuses are injected", statuses),
                           ("trouble is told", told),
                           ("the last requests", waited_for),
                           ("stuck commands", stuck),
                           ("completions of wrong ids", wrong_ids),
                           ("late, by interrupts", late_by_interrupts),
                           ("warming up", warm_up),
                           ("interrupted", interrupted),
                           ("reports to nowhere", nowhere_to_write),
                           ("a page", page),
                           ("no system calls", no_system_calls),
                           ("raw commands", raw),
                           ("commands that want a yes", asked_twice),
                           ("the example", example),
                           ("refusals", refusals),
                           ("plx-nvme's help", helps),
                           ("plx-softdev's usage", usage)):
        yield name, functools.partial(function, programs)
    yield "reading back with keep alive", functools.partial(looked_after, programs)
    yield "lost completions", functools.partial(late, programs, "drop=200", "timeouts",
                                                "recoveries")
    yield "a controller that fails", functools.partial(late, programs, "fatal=200", "recoveries")
    yield f"{programs.kills} clients are killed", functools.partial(client_dies, programs)
    yield f"{programs.kills} servers are killed", functools.partial(server_dies, programs)


if __name__ == "__main__":
    soft.main(cases)
