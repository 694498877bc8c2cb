"""A file in memory that only its owner can read, for as long as an editor needs it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from strongroom.errors import StrongroomError

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
        "written), and it shall not touch a disk. Mount a tmpfs on /dev/shm, or use `strongroom set`"
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
    """Overwrite and remove every file below the directory, and the directory."""
    for place, directories, files in os.walk(directory, topdown=False):
        for name in files:
            path = os.path.join(place, name)
            with suppress(OSError):
                descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                os.write(descriptor, bytes(os.fstat(descriptor).st_size))
                os.close(descriptor)
            os.unlink(path)
        for name in directories:
            os.rmdir(os.path.join(place, name))
    with suppress(FileNotFoundError):
        os.rmdir(directory)


def _stop(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)
