# SPDX-License-Identifier: BSD-3-Clause
"""The command line of the lab."""

import argparse
import os
import re
import sys

from . import cache, debian, devices, guest, initrd, kernel, matrix, qemu
from .errors import EXIT_FAILURE, EXIT_UNAVAILABLE, LabError, UsageError

SYSTEM_MEBIBYTES = 192      # what a guest needs besides its hugepages

# A device of each QEMU beside the system's
QEMUS = {"qemu": "igb", "qemu-newest": "vfio-user=/socket"}

ABOUT = """\
Boots small virtual machines with every VFIO flavour and runs programs of this
machine in them. A guest sees the host's files read-only at the same paths, so
nothing is copied; it needs neither KVM nor root.
"""

EXAMPLES = """\
examples:
  lab build                                   build all that guests need
  lab run -- ls /dev/vfio/devices             one command, kernel a, an IOMMU
  lab run --device e1000e,e1000e -- build/tests/loop
  lab run --kernel c --iommu none --device nvme -- sh -c 'ls /dev/vfio/*'
  lab run --device e1000e,virtio:kernel -- build/tests/talk-to-the-kernel
  lab shell --device e1000e/g1,e1000e/g1      look around in a guest
  lab matrix --probe build/tests/probe        device x access mode x IOMMU

exit codes:
  of the command, for `lab run`; otherwise 0 success, 1 failure, 2 usage,
  77 this machine lacks something (one line says what), 124 the time is over,
  125 the lab failed, 130 and 143 ended by a signal
"""

RUN_ABOUT = """\
Boot a guest, run COMMAND in it and end with its exit code. Standard output
and standard error arrive as they are written; standard input is empty.

devices: MODEL[=SOCKET][@HUB][/GROUP][:DRIVER], separated by commas
{models}
  =SOCKET  where a program of the host serves a vfio-user device
  @HUB     the wire a NIC is on (default 1); all on one hub hear each other
  /GROUP   devices of one group share a slot and so an IOMMU group
  :DRIVER  vfio (default: bound to vfio-pci), kernel (keeps its own) or none

in the guest:
  LAB_PCI      addresses of the devices, in order: "0000:01:00.0 0000:02:00.0"
  LAB_MODELS   their models; LAB_DRIVERS: vfio, kernel or none for each
  LAB_KERNEL   a, b, c or stock; LAB_IOMMU: intel, virtio or none
  LAB_OUT      a directory to write to, which --out keeps; core dumps go there
  /tmp, /run, /var/tmp and /dev/shm are empty and writable, except that
  host paths below them which the command line names are there, read-only

kernels:
{kernels}
  stock  Debian's own kernel and modules: type1 only
"""


def main(arguments):
    """Run the lab; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.function(options)
    except guest.Interrupted as signal:
        print(f"lab: ended by {signal}", file=sys.stderr)
        return signal.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # nothing more to flush to
        return 141
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.exit_code


def _parser():
    models = "\n".join(f"  {m.name:9} {m.about}" for m in devices.MODELS.values())
    kernels = "\n".join(f"  {k.name:6} Linux {k.series}: {k.about}"
                        for k in kernel.KERNELS.values())
    about = RUN_ABOUT.format(models=models, kernels=kernels)
    parser = argparse.ArgumentParser(prog="lab", description=ABOUT, epilog=EXAMPLES,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="build kernels and the initrd into the cache",
                                description="Build what guests need, unless the cache has it.")
    build.add_argument("what", nargs="*", choices=[*kernel.NAMES, "initrd", *QEMUS, []],
                       metavar="WHAT",
                       help="a, b, c, stock, initrd, qemu (one that has igb) or qemu-newest "
                            "(vfio-user); default: all")
    build.add_argument("--refresh", action="store_true",
                       help="look for newer package versions first")
    build.set_defaults(function=_build)

    run = commands.add_parser("run", help="run a command in a guest", description=about,
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    _guest_options(run)
    run.add_argument("--timeout", type=_seconds, default=120, metavar="SECONDS",
                     help="for the whole life of the guest (default 120)")
    run.add_argument("command", nargs="+", metavar="COMMAND")
    run.set_defaults(function=_run)

    shell = commands.add_parser("shell", help="a shell in a guest", description=about,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    _guest_options(shell)
    shell.add_argument("--timeout", type=_seconds, default=8 * 3600, metavar="SECONDS",
                       help="for the whole life of the guest (default 8 hours)")
    shell.add_argument("command", nargs="*", metavar="COMMAND",
                       help="what to run on the terminal (default: bash)")
    shell.set_defaults(function=_shell)

    table = commands.add_parser("matrix", help="every device in every access mode",
                                description=matrix.__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    table.add_argument("--probe", metavar="PROGRAM",
                       help="the program that claims a device (default: lab-probe of a build "
                            "directory here)")
    form = table.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a list of cells as JSON")
    form.add_argument("--tap", action="store_true", help="each cell as a case of a TAP stream")
    table.add_argument("--kernel", type=_names(kernel.NAMES), metavar="NAME,...",
                       help="only guests with these kernels")
    table.add_argument("--iommu", type=_names(("intel", "virtio", "none")), metavar="KIND,...",
                       help="only guests with these IOMMUs")
    table.add_argument("--device", type=_names(matrix.DEVICES), metavar="MODEL,...",
                       help=f"only these devices (default {','.join(matrix.DEVICES)})")
    table.add_argument("--mode", type=_names(matrix.MODES), metavar="MODE,...",
                       help="only these access modes")
    table.add_argument("-v", "--verbose", action="store_true",
                       help="show the output of every cell on standard error")
    table.set_defaults(function=matrix.main)

    prune = commands.add_parser("prune", help="delete what the cache no longer needs")
    prune.add_argument("--days", type=_days, default=14,
                       help="keep what was used in the last DAYS days (default 14)")
    prune.set_defaults(function=_prune)
    return parser


def _guest_options(parser):
    add = parser.add_argument
    add("--iommu", choices=("intel", "none", "virtio"), default="intel",
        help="the guest's IOMMU (default intel)")
    add("--no-intremap", dest="intremap", action="store_false",
        help="an Intel IOMMU that does not isolate interrupts")
    add("--aw-bits", type=int, choices=(39, 48), default=48,
        help="address width of the Intel IOMMU (default 48)")
    add("--kernel", choices=kernel.NAMES, default="a", help="default a")
    add("--device", action="append", default=[], metavar="SPEC,...",
        help="devices under test, see above")
    add("--mem", type=_size, default="1G", help="default 1G")
    add("--cpus", type=int, choices=range(1, 9), default=2, metavar="N", help="default 2")
    add("--numa", action="store_true",
        help="two nodes: halves of memory and processors, devices on either in turn")
    add("--hugepages", type=_count, default=128, metavar="N",
        help="hugepages of 2 MiB (default 128)")
    add("--icount", action="store_true",
        help="the guest's TSC counts instructions: exact and repeatable, one CPU at a time")
    add("--out", metavar="DIR", help="the host's side of LAB_OUT (default: a temporary one)")
    add("--log", metavar="FILE", help="keep the guest's console here")
    add("--append", type=str.split, action="extend", default=[], metavar="ARGS",
        help="more words for the kernel command line, such as numa=fake=2")
    add("--env", action="append", default=[], metavar="K[=V]",
        help="set a variable, or pass it on, for the command; may be repeated")
    add("--no-unsafe", dest="unsafe", action="store_false",
        help="with --iommu none: do not set enable_unsafe_noiommu_mode")
    add("--qmp", metavar="PATH",
        help="a QMP server at this UNIX socket; devices are called dev0, dev1, ...")
    add("--qemu", action="append", default=[], metavar="ARG",
        help="one more word for QEMU's command line; may be repeated")
    add("-v", "--verbose", action="store_true", help="show QEMU's command line and times")


def _size(text):
    if not re.fullmatch(r"[1-9][0-9]*[MG]", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 512M or 4G")
    return text


def _number(text, kind, least, what):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not {what}")
    return value


def _seconds(text):
    return _number(text, float, 0.1, "a number of seconds")


def _days(text):
    return _number(text, float, 0, "a number of days")


def _count(text):
    return _number(text, int, 0, "a count")


def _names(known):
    def convert(text):
        names = text.split(",")
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"'{name}' is not one of {', '.join(known)}")
        return names
    return convert


def _options(parsed):
    """guest.Options from the parsed command line."""
    if parsed.hugepages * 2 + SYSTEM_MEBIBYTES > qemu.mebibytes(parsed.mem):
        raise UsageError(f"{parsed.hugepages} hugepages of 2 MiB do not fit into --mem "
                         f"{parsed.mem} beside {SYSTEM_MEBIBYTES} MiB for the guest's system")
    found = devices.parse(",".join(parsed.device))
    if parsed.numa:
        if parsed.cpus % 2 or any(device.socket for device in found):
            raise UsageError("--numa takes an even number of --cpus, and no vfio-user device")
        for device in found:
            device.numa = True
    return guest.Options(
        command=parsed.command, iommu=parsed.iommu, intremap=parsed.intremap,
        kernel=parsed.kernel, devices=found, mem=parsed.mem, cpus=parsed.cpus,
        numa=parsed.numa,
        hugepages=parsed.hugepages, timeout=parsed.timeout, icount=parsed.icount,
        out=parsed.out, log=parsed.log, append=parsed.append, aw_bits=parsed.aw_bits,
        env=parsed.env, unsafe=parsed.unsafe, qmp=parsed.qmp, qemu=parsed.qemu,
        verbose=parsed.verbose)


def _finish(result):
    if result.why:
        for line in result.why.splitlines():
            print(f"lab: {line}", file=sys.stderr)
    return result.code


def _run(parsed):
    return _finish(guest.run(_options(parsed)))


def _shell(parsed):
    parsed.command = parsed.command or ["bash", "-i"]
    return _finish(guest.shell(_options(parsed)))


def _build(parsed):
    if parsed.refresh:
        debian.forget_versions()
    what = parsed.what or [*kernel.NAMES, "initrd", *QEMUS]
    worst = 0
    with guest.signals_as_exceptions(), kernel.BuildSession() as session:
        for name in what:
            try:
                if name == "initrd":
                    path = initrd.base(None)
                elif name in QEMUS:
                    path = qemu.find(devices.parse(QEMUS[name]))[0]
                else:
                    image = session.get(name)
                    path = image.image
                    if image.modules:
                        initrd.base(image)
                print(f"{name}: {path}", flush=True)
            except LabError as error:
                # One kernel may be out of reach and the others still useful
                print(f"lab: {name}: {error}", file=sys.stderr, flush=True)
                if worst != EXIT_FAILURE:
                    missing = error.exit_code == EXIT_UNAVAILABLE
                    worst = EXIT_UNAVAILABLE if missing else EXIT_FAILURE
    return worst


def _prune(parsed):
    gone, freed = cache.prune(kernel.newest_entries(), parsed.days)
    for name in gone:
        print(name)
    print(f"{len(gone)} entries deleted, {freed >> 20} MiB")
    return 0
