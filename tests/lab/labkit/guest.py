# SPDX-License-Identifier: BSD-3-Clause
"""One guest: started, listened to, and ended in time, whatever happens."""

import contextlib
import dataclasses
import os
import pathlib
import re
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

from . import initrd, kernel, modules, qemu
from .errors import EXIT_LAB, EXIT_TIMEOUT, LabError, UsageError
from .run import die_with_parent

DUMP_SECONDS = 4        # for the guest to say where its processes are
STOP_SECONDS = 5        # for QEMU to end when asked
COVERED = ("/tmp", "/run", "/var/tmp", "/dev/shm")     # writable in the guest, so not the host's


@dataclasses.dataclass
class Options:
    """What a guest is like. The fields are the options of `lab run`."""

    command: list
    iommu: str = "intel"
    intremap: bool = True
    kernel: str = "a"
    devices: list = dataclasses.field(default_factory=list)
    mem: str = "1G"
    cpus: int = 2
    hugepages: int = 128
    timeout: float = 120
    icount: bool = False
    out: str = None
    log: str = None
    append: list = dataclasses.field(default_factory=list)
    aw_bits: int = 48
    numa: bool = False
    env: list = dataclasses.field(default_factory=list)
    unsafe: bool = True
    qmp: str = None
    qemu: list = dataclasses.field(default_factory=list)
    verbose: bool = False


@dataclasses.dataclass
class Result:
    """How a run ended."""

    code: int
    why: str = ""           # empty if the command ran and its exit code is `code`
    booted: float = 0.0     # seconds from starting QEMU to starting the command
    seconds: float = 0.0


class Interrupted(Exception):
    """A signal that ends the run."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def run(options, stdout=None, stderr=None):
    """Boot a guest, run the command in it, return a Result.

    `stdout` and `stderr` are callables that take bytes as they arrive; by
    default they go to our own. Messages of the lab itself go to our stderr.
    """
    merge = stdout is None and _same_file(1, 2)
    sinks = {"lab.stdout": stdout or _writer(1), "lab.stderr": stderr or _writer(2)}
    with _Guest(options) as guest:
        guest.start(merge)
        return guest.listen(sinks)


def shell(options):
    """Boot a guest with a shell on our terminal; returns a Result."""
    if not os.isatty(0):
        raise UsageError("lab shell needs a terminal")
    size = os.get_terminal_size(0)
    with _Guest(options) as guest:
        guest.start(False, terminal=f"rows {size.lines} cols {size.columns}")
        saved = termios.tcgetattr(0)
        try:
            tty.setraw(0)
            return guest.listen({"lab.stdout": _writer(1), "lab.stderr": _writer(2)})
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


class _Guest:
    """A QEMU process, its run directory, and the sockets to its ports."""

    def __init__(self, options):
        self.options = options
        self.process = None
        self.stack = contextlib.ExitStack()
        self.ours = {}          # our ends of the ports, by name
        self.last_line = b""    # of the command's output
        self.control = b""      # of the control port, not yet a whole line

    def __enter__(self):
        self.stack.enter_context(signals_as_exceptions())
        self.folder = tempfile.mkdtemp(prefix="pollux-lab-")
        self.stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *exc):
        try:
            self.stop()
        finally:
            self.stack.__exit__(*exc)

    # Starting

    def start(self, merge, terminal=None):
        """Start QEMU; `terminal` (words for stty) asks for a shell."""
        options = self.options
        qemu.find(options.devices)      # before minutes go into a kernel
        initrd.busybox()
        image = kernel.get(options.kernel)
        out = self._out_directory()
        self.console = os.path.abspath(options.log or os.path.join(self.folder, "console.log"))
        pathlib.Path(self.console).write_bytes(b"")
        path = os.path.join(self.folder, "initrd")
        initrd.with_config(image, self._config(image, out, merge, terminal), path)

        names = [*qemu.PORTS] + (["tty"] if terminal else [])
        theirs = []
        for name in names:
            ours, their = socket.socketpair()
            self.ours[name] = self.stack.enter_context(ours)
            theirs.append(self.stack.enter_context(their))
        words = qemu.command(options, image, path, self.folder, self.console, out,
                             [their.fileno() for their in theirs])
        if options.verbose:
            print("lab:", shlex.join(words), file=sys.stderr, flush=True)
        self.errors = os.path.join(self.folder, "qemu.log")
        self.started = time.monotonic()
        with open(self.errors, "wb") as log:
            # A group of its own, so that a terminal's ^C reaches only us
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[their.fileno() for their in theirs], start_new_session=True,
                preexec_fn=die_with_parent)
        for their in theirs:
            their.close()

    def _out_directory(self):
        """The directory shared with the guest for reading and writing."""
        if not self.options.out:
            out = os.path.join(self.folder, "out")
            os.mkdir(out)
            return out
        try:
            os.makedirs(self.options.out, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot make {self.options.out}: {error.strerror}") from error
        return os.path.abspath(self.options.out)

    def _config(self, image, out, merge, terminal):
        """The text of the guest's /lab.conf."""
        options = self.options
        cwd = os.getcwd()
        models = [device.model.name for device in options.devices]
        load = modules.to_load(models) if image.modules else []
        env = {
            "PATH": os.environ.get("PATH") or "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "USER": "root",
            "TERM": os.environ.get("TERM", "dumb") if terminal else "dumb",
            "LAB_PCI": " ".join(device.address for device in options.devices),
            "LAB_MODELS": " ".join(models),
            "LAB_DRIVERS": " ".join(device.driver for device in options.devices),
            "LAB_KERNEL": options.kernel, "LAB_IOMMU": options.iommu, "LAB_OUT": out,
        }
        for setting in options.env:
            key, equals, value = setting.partition("=")
            if equals or key in os.environ:
                env[key] = value if equals else os.environ[key]
        unsafe = ""
        if options.iommu == "none":
            unsafe = "allow" if options.unsafe else "refuse"
        values = {
            "MODULES": " ".join(load), "HUGEPAGES": options.hugepages, "UNSAFE": unsafe,
            "BIND": " ".join(f"{d.address}={d.driver}" for d in options.devices),
            "KEEP": " ".join(_kept_paths(options.command, cwd, env)),
            "OUT": out, "TTY": terminal or "", "MERGE": "1" if merge else "",
        }
        lines = [f"{key}={shlex.quote(str(value))}" for key, value in values.items()]
        lines.append("lab_command() {")
        lines.append("\tunset " + " ".join(values))
        lines += [f"\texport {key}={shlex.quote(value)}" for key, value in env.items()]
        script = 'cd "$1" 2>/dev/null || cd /; shift; exec "$@"'
        words = ["/bin/busybox", "chroot", "/host", "/bin/sh", "-c", script, "lab", cwd,
                 *options.command]
        lines.append("\texec " + shlex.join(words))
        lines.append("}")
        return "\n".join(lines) + "\n"

    # Listening

    def listen(self, sinks):
        """Pass output on until the command ends or time runs out."""
        deadline = self.started + self.options.timeout
        booted = 0.0
        with selectors.DefaultSelector() as selector:
            for name, sock in self.ours.items():
                selector.register(sock, selectors.EVENT_READ, name)
            if "tty" in self.ours:
                selector.register(0, selectors.EVENT_READ, "keyboard")
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._timed_out(selector, sinks, booted)
                ready = selector.select(min(left, 1.0))
                if not ready and self.process.poll() is not None:
                    return self._died(booted)
                # Output first: what came before the exit code was sent before it
                for key, _ in sorted(ready, key=lambda item: item[0].data == "lab.ctl"):
                    for line in self._receive(selector, key, sinks):
                        word, _, rest = line.partition(" ")
                        if word == "ready":
                            booted = time.monotonic() - self.started
                            self._verbose(f"guest ready after {booted:.1f} s")
                        elif word == "error":
                            return self._result(EXIT_LAB, rest + self._console_tail(), booted)
                        elif word == "exit":
                            self._drain(selector, sinks)
                            return self._result(int(rest), "", booted)

    def _receive(self, selector, key, sinks):
        """Handle one readable port; returns whole lines of the control port."""
        name = key.data
        if name == "keyboard":
            self.ours["tty"].sendall(os.read(0, 4096))
            return []
        try:
            data = key.fileobj.recv(65536)
        except ConnectionError:
            data = b""
        if not data:                # QEMU has gone; the loop will find out
            selector.unregister(key.fileobj)
            return []
        if name == "tty":
            sinks["lab.stdout"](data)
        elif name != "lab.ctl":
            sinks[name](data)
            lines = [line for line in (self.last_line + data).split(b"\n")[-8:] if line.strip()]
            self.last_line = lines[-1][-500:] + (b"\n" if data.endswith(b"\n") else b"") \
                if lines else b""
        else:
            *lines, self.control = (self.control + data).split(b"\n")
            return [line.decode(errors="replace").strip() for line in lines]
        return []

    def _drain(self, selector, sinks):
        """Take what is still on its way, until the ports are silent."""
        end = time.monotonic() + 2
        while time.monotonic() < end:
            ready = [key for key, _ in selector.select(0.02) if key.data in sinks]
            if not ready:
                return
            for key in ready:
                self._receive(selector, key, sinks)

    def _timed_out(self, selector, sinks, booted):
        """Ask the guest where it hangs, and say it."""
        parts = [f"timed out after {self.options.timeout:g} s"]
        if booted:
            parts.append("the command's last output: "
                         + (self.last_line.decode(errors="replace").strip() or "(none)"))
            where = self._ask_where(selector, sinks)
            parts += [f"in the guest: {line}" for line in where]
        else:
            parts.append("the guest had not started the command")
        return self._result(EXIT_TIMEOUT, "\n".join(parts) + self._console_tail(), booted)

    def _ask_where(self, selector, sinks):
        """The guest's processes and what each is waiting in."""
        lines = []
        with contextlib.suppress(OSError):
            self.ours["lab.ctl"].sendall(b"where\n")
        end = time.monotonic() + DUMP_SECONDS
        while time.monotonic() < end and selector.get_map():
            for key, _ in selector.select(0.2):
                for line in self._receive(selector, key, sinks):
                    if line == "dumped":
                        return lines
                    if line.startswith("info "):
                        lines.append(line[5:].strip())
        return lines or ["it does not answer"]

    def _died(self, booted):
        """QEMU ended and the guest had not said goodbye."""
        code = self.process.returncode
        errors = pathlib.Path(self.errors).read_text(encoding="utf-8", errors="replace").strip()
        if errors or code:
            why = f"QEMU ended with {code}: {errors[-1000:] or 'no message'}"
        else:
            why = "the guest panicked or rebooted" + self._panic()
        if self.last_line.strip():
            why += "\nthe command's last output: " \
                   + self.last_line.decode(errors="replace").strip()
        return self._result(EXIT_LAB, why + self._console_tail(), booted)

    def _panic(self):
        """What the kernel gave as the reason of a panic."""
        text = pathlib.Path(self.console).read_bytes().decode(errors="replace")
        match = re.search(r"Kernel panic - not syncing: .*", text)
        return f": {match[0].strip()}" if match else ""

    def _console_tail(self, count=12):
        """The last lines of the guest's console, ready to append to a message."""
        try:
            text = pathlib.Path(self.console).read_bytes()[-6000:].decode(errors="replace")
        except OSError:
            return ""
        lines = [line.strip() for line in text.replace("\x1bc", "").splitlines()]
        # SeaBIOS writes escape sequences; they tell nothing
        lines = [line for line in lines if line and "\x1b" not in line][-count:]
        return "".join(f"\nconsole: {line}" for line in lines)

    def _result(self, code, why, booted):
        seconds = time.monotonic() - self.started
        self._verbose(f"guest ended after {seconds:.1f} s")
        return Result(code, why, booted, seconds)

    def _verbose(self, text):
        if self.options.verbose:
            print(f"lab: {text}", file=sys.stderr, flush=True)

    # Ending

    def stop(self):
        """End QEMU, by its own process id."""
        if not self.process:
            return
        for action in (self.process.terminate, self.process.kill):
            if self.process.poll() is not None:
                break
            action()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        if self.options.qmp:
            with contextlib.suppress(OSError):
                os.unlink(self.options.qmp)


def _kept_paths(command, cwd, env):
    """Host paths in use that the guest's own /tmp and the like would hide."""
    words = [cwd, *command, *env.values()]
    kept = set()
    for word in words:
        for path in word.replace("=", ":").replace(",", ":").split(":"):
            if not path.startswith("/"):
                path = os.path.join(cwd, path)
            path = os.path.normpath(path)
            for top in COVERED:
                if path.startswith(top + "/"):
                    first = top + "/" + path[len(top) + 1:].split("/")[0]
                    if os.path.exists(first) and not first.startswith("/tmp/pollux-lab-") \
                            and not any(c.isspace() for c in first):
                        kept.add(first)
    return sorted(kept)


def _same_file(one, other):
    """Whether two of our file descriptors lead to the same place."""
    try:
        return os.path.samestat(os.fstat(one), os.fstat(other))
    except OSError:
        return False


def _writer(fd):
    """A callable that writes all of its argument to a file descriptor."""
    def write(data):
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view):]
    return write


@contextlib.contextmanager
def signals_as_exceptions():
    """Turn the signals that end programs into Interrupted."""
    def interrupt(number, _frame):
        raise Interrupted(number)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    saved = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)
