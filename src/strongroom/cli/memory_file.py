"""A file in memory that only its owner can read, for as long as an editor needs it."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from strongroom.errors import StrongroomError
from strongroom.system.files import write_all

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
IN_MEMORY = ("tmpfs", "ramfs")
STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@contextmanager
def private_file(name: str) -> Iterator[str]:
    """Yield the path of a file that does not exist yet, in a directory of mode 0700 in memory.

    Whatever ends the block, a signal too (save SIGKILL), everything in the directory is overwritten and removed: also
    what an editor left beside the file. Raises `StrongroomError` when there is no file system in memory.
    """
    directory = os.path.join(memory_directory(), f"strongroom-{os.urandom(8).hex()}")
    previous: dict[int, Any] = {number: signal.signal(number, _stop) for number in STOPPING}
    try:
        os.mkdir(directory, 0o700)
        yield os.path.join(directory, name)
    finally:
        for ending in (*STOPPING, signal.SIGINT):
            previous.setdefault(ending, signal.getsignal(ending))
            signal.signal(ending, signal.SIG_IGN)
        wipe(directory)
        for number, handler in previous.items():
            signal.signal(number, handler)


def memory_directory() -> str:
    """Return a directory that lies in memory and can be written."""
    for directory in (os.environ.get("XDG_RUNTIME_DIR") or "/dev/shm", "/dev/shm"):  # noqa: S108
        usable = os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK)
        if usable and file_system_of(directory) in IN_MEMORY:
            return directory
    raise StrongroomError(
        "there is no place in memory for the plaintext (neither $XDG_RUNTIME_DIR nor /dev/shm is a tmpfs that can be "
        "written), and it must not touch a disk. Mount a tmpfs on /dev/shm, or use `strongroom set`"
    )


def file_system_of(path: str, mounts: str = "/proc/self/mounts") -> str | None:
    """Return the type of the file system that holds `path`, None where the system does not say."""
    path = os.path.realpath(path)
    best, found = "", None
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                _, point, kind, *_ = line.split(" ")
                point = point.replace("\\040", " ")
                if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
                    best, found = point, kind
    except OSError:
        return None
    return found


def wipe(directory: str) -> None:
    """Overwrite and remove every file below the directory, and the directory; links are not followed."""
    with suppress(FileNotFoundError):
        at = os.open(directory, _DIRECTORY)
        try:
            _wipe_below(at)
        finally:
            os.close(at)
        os.rmdir(directory)


def _wipe_below(at: int) -> None:
    # An editor may have taken rights away.
    os.fchmod(at, 0o700)
    for name in os.listdir(at):
        mode = os.stat(name, dir_fd=at, follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            os.chmod(name, 0o700, dir_fd=at)
            inner = os.open(name, _DIRECTORY, dir_fd=at)
            try:
                _wipe_below(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=at)
            continue
        if stat.S_ISREG(mode):
            with suppress(OSError):
                _overwrite(at, name)
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=at)


def _overwrite(at: int, name: str) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    try:
        write_all(descriptor, bytes(os.fstat(descriptor).st_size))
    finally:
        os.close(descriptor)


def _stop(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
