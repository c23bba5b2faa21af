# SPDX-License-Identifier: BSD-3-Clause
"""What the lab builds, kept under ${XDG_CACHE_HOME:-~/.cache}/pollux/lab.

An entry is a directory named NAME-HASH. It is filled under a temporary name
and renamed when complete, so an aborted build is never taken for a good one.
A file lock for each name keeps two runs from building the same thing twice.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import time

from .errors import LabError

LOCK_WAIT = 50 * 60         # seconds: longer than any build is allowed to take
TEMPORARY = "tmp-"
SWEEP_AGE = 3600            # seconds after which an unlocked one is an orphan


def root():
    """The cache directory, made if it does not exist."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(base).absolute() / "pollux" / "lab"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"cannot make the cache directory {path}: {error.strerror}; "
                       "set XDG_CACHE_HOME to a place that can be written") from error
    return path


def digest(*parts):
    """A short hash of some strings, for the name of an entry."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(str(part).encode() + b"\0")
    return sha.hexdigest()[:16]


@contextlib.contextmanager
def lock(name):
    """Hold the lock called `name`; waits, within bounds, for another run."""
    path = root() / f"lock-{name}"
    with open(path, "w", encoding="ascii") as handle:
        deadline = time.monotonic() + LOCK_WAIT
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if time.monotonic() > deadline:
                raise LabError(f"waited {LOCK_WAIT} s for the lock {path}; "
                               "another run of the lab holds it")
            if not told:
                print(f"lab: another run is building {name}; waiting for it",
                      file=sys.stderr, flush=True)
                told = True
            time.sleep(0.2)
        yield


@contextlib.contextmanager
def scratch(name):
    """A temporary directory inside the cache, removed at the end.

    It is locked while in use: what an aborted run left behind is not, and
    goes with the next run.
    """
    _sweep()
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{name}-", dir=root()))
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


def _sweep():
    """Delete the temporary directories that no run uses."""
    for path in root().glob(TEMPORARY + "*"):
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            continue            # its run has just removed it
        try:
            # A moment passes between making a directory and locking it
            if time.time() - os.fstat(handle).st_mtime > SWEEP_AGE:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(handle)


def entry(name, key, fill):
    """The directory of entry `name` with hash `key`.

    If there is none, `fill(directory)` makes its contents. The hit is a
    single stat: nothing is locked, nothing is read.
    """
    path = root() / f"{name}-{key}"
    if path.is_dir():
        _touch(path)
        return path
    with lock(name):
        if path.is_dir():       # the run that we waited for has made it
            return path
        with scratch(name) as work:
            result = work / "entry"
            result.mkdir()
            fill(result)
            result.rename(path)
    return path


def prune(keep, max_age_days):
    """Delete every entry that is not in `keep` and was not used lately.

    `keep` holds paths. Returns the names deleted and the bytes freed.
    """
    _sweep()
    now = time.time()
    gone, freed = [], 0
    for path in sorted(root().iterdir()):
        if path in keep or path.name.startswith(TEMPORARY) or not path.is_dir():
            continue
        try:
            if now - path.stat().st_mtime < max_age_days * 86400:
                continue
            freed += sum(f.lstat().st_size for f in path.rglob("*") if f.is_file())
        except OSError:
            continue            # another run has just deleted it
        shutil.rmtree(path, ignore_errors=True)
        gone.append(path.name)
    return gone, freed


def _touch(path):
    """Remember that an entry is in use; a read-only cache is good enough."""
    with contextlib.suppress(OSError):
        os.utime(path)
