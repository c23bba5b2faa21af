#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-devbind's completion for bash and zsh as a person at the keyboard has it, and whether the man
page and --help know of the same commands and options. Prints TAP.

    test_devbind_completion.py PLX-DEVBIND
"""

import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BASH, ZSH = TOP / "app/devbind/plx-devbind.bash", TOP / "app/devbind/_plx-devbind"
LIBRARY = "/usr/share/bash-completion/bash_completion"
COMMANDS = {"status", "bind", "unbind", "restore", "why", "doctor", "grant", "broker", "help"}
OLD = {"--status", "--status-dev", "--bind", "--unbind", "--uid", "--gid"}     # dpdk-devbind.py's
PATIENCE = 60


class Skip(Exception):
    """Raised by a case that can't run here; the text says why."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def environment():
    """Where the program is found by its name."""
    folder = pathlib.Path(sys.argv[1]).resolve().parent
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def bash(line, before=""):
    """What bash offers for the last word of a line, after a script of the test's own."""
    if not os.path.exists(LIBRARY):
        raise Skip("no bash-completion on this machine")
    script = f"""
        source {LIBRARY}; source '{BASH}'; {before}
        COMP_LINE=$1; COMP_POINT=${{#COMP_LINE}}
        # As readline takes it apart: at blanks, and at colons.
        read -ra COMP_WORDS <<<"${{COMP_LINE//:/ : }}"
        [[ $COMP_LINE != *' ' ]] || COMP_WORDS+=('')
        COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
        _plx_devbind; printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script, "bash", line], capture_output=True,
                          text=True, timeout=PATIENCE, check=False, env=environment())
    check(done.returncode == 0 and not done.stderr, f"bash: {done.stderr}")
    return set(done.stdout.split())


class Zsh:
    """A shell at a terminal, with nothing of the user's."""

    def __init__(self):
        if not shutil.which("zsh"):
            raise Skip("no zsh on this machine")
        self.said = ""
        self.pid, self.terminal = pty.fork()
        if not self.pid:
            os.environ.update(environment(), TERM="dumb", PS1="", RPS1="")
            os.execvp("zsh", ["zsh", "-f", "-i", "+o", "promptsp"])
        self.type(f"fpath=('{ZSH.parent}' $fpath); autoload -Uz compinit; compinit -u -D\n"
                  "PS1= RPS1= LISTMAX=0; print read''y\n", "ready\r\n")

    def type(self, keys, wanted):
        """Press keys, until what is wanted stands there."""
        self.said = ""
        os.write(self.terminal, keys.encode())
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.said:
            left = max(0, deadline - time.monotonic())
            check(left and select.select([self.terminal], [], [], left)[0],
                  f"{keys!r}: no {wanted!r} in {self.said!r}")
            self.said += os.read(self.terminal, 4096).decode(errors="replace")

    def completes(self, line, wanted):
        """A tabulator makes this of a line; it is given up then."""
        self.type(line + "\t", wanted)
        self.type("\x15print don''e\n", "done\r\n")

    def becomes(self, line, wanted):
        """After a tabulator the line is this, and nothing more."""
        self.type(f"{line}\t\x01print -r -- 'i''t is \x05'\n", f"it is {wanted}\r\n")

    def offers(self, line, wanted):
        """Of what is listed for a line the options are these."""
        self.type(line + "\t", "--help")        # lists what could stand here
        listed = self.said
        self.type("\x15print don''e\n", "done\r\n")
        offered = set(re.findall(r"(--[a-z-]+) +--", listed + self.said))
        check(offered == wanted, f"{line}: {offered}; {self.said!r}")

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def help_of(*command):
    """What there is to say of a command, or of all; and the options in it."""
    done = subprocess.run([sys.argv[1], "help", *command], capture_output=True, text=True,
                          timeout=PATIENCE, check=True)
    return done.stdout, set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", done.stdout, re.M))


def names(text, word):
    """Whether a word is there by itself: unbind and --bind don't name bind."""
    return re.search(rf"(?<![\w-]){word}(?![\w-])", text)


def same_everywhere():
    """What --help names is in the man page, and the other way round."""
    text, options = help_of()
    man = (TOP / "doc/man/plx-devbind.8").read_text(encoding="utf-8").replace("\\-", "-")
    check(COMMANDS == set(re.findall(r"^  ([a-z]+) ", text, re.M)), f"commands: {text}")
    theirs = set(re.findall(r"--[a-z][a-z-]*", man))
    check(theirs == options, f"the man page and --help: {theirs ^ options}")
    missing = {command for command in COMMANDS if not names(man, command)}
    check(not missing, f"the man page lacks {missing}")
    for kind in re.search(r" one kind of devices: (.*?)\n  -b", text, re.S)[1].split(","):
        check(names(man, kind.strip()), f"the man page lacks the kind {kind.strip()}")
    # How the shells know where a value ends.
    for option in re.findall(r"(--[a-z-]+) [A-Z]+ ", text):
        for script in BASH, ZSH:
            check(names(script.read_text(encoding="utf-8"), option), f"{script} lacks {option}")


def same_of_each():
    """So it is for each command: the man page's synopsis has them by command."""
    man = (TOP / "doc/man/plx-devbind.8").read_text(encoding="utf-8").replace("\\-", "-")
    synopsis = re.search(r"^.SH SYNOPSIS\n(.*?)^.SH", man, re.S | re.M)[1]
    for command in COMMANDS - {"help"}:
        text, options = help_of(command)
        check(text.startswith(f"usage: plx-devbind {command} "), text)
        lines = re.search(rf"^.B plx-devbind {command}\n(.*?)^.br", synopsis, re.S | re.M)[1]
        theirs = set(re.findall(r"--[a-z-]+", lines))
        check(theirs == options - OLD - {"--help"}, f"{command}: {theirs ^ options}")
    check(subprocess.run([sys.argv[1], "bind", "--persist", "-h"], capture_output=True,
                         text=True, timeout=PATIENCE, check=True).stdout == help_of("bind")[0],
          "bind -h")


def version():
    """What --help names it for, whatever else is said."""
    project = re.search(r"\n    version: '(.*)'", (TOP / "meson.build").read_text("utf-8"))[1]
    done = subprocess.run([sys.argv[1], "--frob", "--version"], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)
    check((done.returncode, done.stdout) == (0, f"plx-devbind (Pollux) {project}\n"), f"{done}")


def bash_commands():
    check(bash("plx-devbind ") == COMMANDS, "commands")
    check(bash("plx-devbind st") == {"status"}, "st")
    check(bash("plx-devbind --json un") == {"unbind"}, "after an option")
    check(bash("plx-devbind doctor ") == set(), "doctor takes no word")
    check(bash("plx-devbind help ") == COMMANDS, "help")
    check(bash("plx-devbind help bind ") == set(), "one at a time")


def bash_options():
    check(bash("plx-devbind bind --wh") == {"--whole-group"}, "--wh")
    # Those that the command takes.
    for command in COMMANDS:
        check(bash(f"plx-devbind {command} --") == help_of(command)[1], command)
    check(bash("plx-devbind doctor -") == {"--json", "--memory", "--help"}, "doctor -")
    check(bash("plx-devbind unbind lo --") == {"--force", "--whole-group", "--help", "--status",
                                               "--status-dev"}, "unbind")
    check(bash("plx-devbind -b vfio-pci --") == bash("plx-devbind bind --"), "-b")
    check(bash("plx-devbind -u lo --") == bash("plx-devbind unbind --"), "-u")
    check(bash("plx-devbind --") == help_of()[1], "before a command")
    check(bash("plx-devbind warp --") == set(), "no command")
    check(bash("plx-devbind --status-dev ne") == {"net"}, "--status-dev")
    check(bash("plx-devbind --status-dev n") == {"net", "nvme"}, "--status-dev")
    check("root" in bash("plx-devbind -b vfio-pci -U ro"), "-U")
    check("root" in bash("plx-devbind -b vfio-pci -G ro"), "-G")
    check(bash("plx-devbind why --memory ") == set(), "--memory")


def nodes():
    """Interfaces, disks and nodes of the machine that a PCI function is behind; and the others."""
    behind, others = set(), set()
    for folder in "class/net", "class/nvme", "block":
        for node in pathlib.Path("/sys", folder).glob("*"):
            path = str(node.resolve().parent) + "/"
            (behind if re.search(r"/[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]/", path)
             else others).add(node.name)
    return behind, others


def bash_words():
    drivers = set(os.listdir("/sys/bus/pci/drivers"))
    behind, others = nodes()
    devices = set(os.listdir("/sys/bus/pci/devices")) | behind
    check("lo" in others and not devices & others, f"{others}")
    check(bash("plx-devbind bind ") == drivers, "drivers")
    check(bash("plx-devbind bind --force ") == drivers, "drivers after an option")
    check(bash("plx-devbind -b ") == drivers | {"none"}, "drivers of -b")
    check(bash("plx-devbind bind vfio-pci ") == devices, "devices")
    check(bash("plx-devbind bind vfio-pci lo ") == devices, "more devices")
    check(bash("plx-devbind -b vfio-pci ") == devices, "devices of -b")
    check(bash("plx-devbind -u ") == devices, "devices of -u")
    check(bash("plx-devbind why lo") == set(), "no device's interface")
    check("root" in bash("plx-devbind grant ro"), "users")
    check("root" in bash("plx-devbind broker --socket /run/x ro"), "users of the broker")
    check(bash("plx-devbind grant root ") == devices, "devices of grant")


def bash_colons():
    """A colon is where bash takes words apart: what is before it isn't offered again."""
    addresses = os.listdir("/sys/bus/pci/devices")
    if not addresses:
        raise Skip("no PCI devices on this machine")
    offered = bash(f"plx-devbind why {addresses[0][:5]}")
    check(addresses[0][5:] in offered, f"{addresses[0]}: {offered}")


def bash_runs_no_name():
    """A name that is a command stays a name: whoever may name interfaces must not get root so."""
    names = ["$(echo${IFS}RUN>&2)", "`echo\tRUN>&2`", "*", "a;b", "eth0"]
    listed = "".join(name + "\n" for name in names)
    links = "".join(f"../../devices/pci0000:00/0000:00:01.0/net/{name}\n" for name in names)
    ls = f"command() {{ case $1 in ls) printf %s {shlex.quote(listed)} ;; " \
        f"*) printf %s {shlex.quote(links)} ;; esac; }}"
    for line in ("plx-devbind why ", "plx-devbind -u ", "plx-devbind bind ", "plx-devbind -b ",
                 "plx-devbind bind vfio-pci --force "):
        offered = bash(line, ls)  # nothing on stderr, too
        check("eth0" in offered, f"{line}: {offered}")
        check("RUN" not in offered and not offered & {names[0], "*", "a;b"},
              f"{line}: not quoted: {offered}")
    check(bash("plx-devbind why et", ls) == {"eth0"}, "et")
    check(bash("plx-devbind why et", ls.replace("ls)", "ls) return ;; no)")) == {"eth0"}, "a link")


def bash_wants_a_function():
    """What the program would refuse isn't offered."""
    links = {"virtual/net/lo": "", "virtual/block/loop0": "", "pci0000:00/0000:00:01.0/net/e0": "e0",
             "pci0000:00/10000:e1:1f.7/virtio2/block/vda": "vda",
             "platform/soc/0000:zz:00.0/net/e1": "", "pci0000:00/usb1/net/e2": ""}
    text = shlex.quote("".join(f"../../devices/{link}\n" for link in links))
    only = f"command() {{ case $1 in find) printf %s {text} ;; esac; }}"
    check(bash("plx-devbind why ", only) == set(filter(None, links.values())), "devices")


def zsh_keys():
    shell = Zsh()
    try:
        shell.completes("plx-devbind stat", "plx-devbind status ")
        shell.completes("plx-devbind doc", "plx-devbind doctor ")
        shell.completes("plx-devbind bind --whol", "bind --whole-group ")
        # Those that the command takes.
        shell.completes("plx-devbind why --m", "why --memory ")
        shell.completes("plx-devbind doctor --js", "doctor --json ")
        shell.offers("plx-devbind unbind --", {"--force", "--whole-group", "--help", "--status",
                                               "--status-dev"})
        shell.offers("plx-devbind doctor --", {"--json", "--memory", "--help"})
        shell.completes("plx-devbind --status-dev ba", "--status-dev baseband ")
        shell.completes("plx-devbind help unb", "help unbind ")
        shell.completes("plx-devbind grant roo", "grant root")
        behind, others = nodes()
        for word in ("lo", *behind):    # but for those that others begin as
            start = f"plx-devbind why {word[:-1]}"
            if [name for name in behind if name.startswith(word[:-1])] in ([], [word]):
                shell.becomes(start, start if word in others else f"plx-devbind why {word}")
        drivers = sorted(os.listdir("/sys/bus/pci/drivers"))
        for driver in drivers[:1]:
            shell.completes(f"plx-devbind bind {driver[:-1]}", f"bind {driver}")
            shell.completes(f"plx-devbind bind --force {driver[:-1]}", f"--force {driver}")
        for word in sorted(behind)[:1]:
            shell.completes(f"plx-devbind bind xyz --force {word[:-1]}", f"--force {word}")
            shell.completes(f"plx-devbind -u {word[:-1]}", f"-u {word}")
    finally:
        shell.close()


CASES = (same_everywhere, same_of_each, version, bash_commands, bash_options, bash_words, bash_colons,
         bash_runs_no_name, bash_wants_a_function, zsh_keys)


def main():
    """Run all cases."""
    failed = 0
    print(f"1..{len(CASES)}")
    for number, case in enumerate(CASES, 1):
        try:
            case()
            print(f"ok {number} - {case.__name__}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {case.__name__} # SKIP {reason}", flush=True)
        except (AssertionError, OSError, subprocess.SubprocessError) as reason:
            print(f"not ok {number} - {case.__name__}")
            print("# " + str(reason).replace("\n", "\n# "), flush=True)
            failed += 1
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
