"""Whether something was piped in that no option reads: a value would be lost, and another one stored in its place."""

from __future__ import annotations

import os
import stat
import sys
from io import UnsupportedOperation

from strongroom.errors import InvalidInputError

PATIENCE = 0.5
"""Seconds for which a pipe without an end may say what it has."""
NOTHING, SOMETHING, OPEN = "nothing", "something", "open"


def refuse_unread(what: str, instead: str, *, patient: bool = False) -> None:
    """Raise `InvalidInputError` when standard input holds something that `what` does not read.

    With `patient` a pipe that is empty so far is refused too: its writer may be slow.
    """
    state = _state(PATIENCE if patient else 0.0)
    if state == SOMETHING:
        raise InvalidInputError(
            f"standard input holds something that {what} does not read, so nothing was changed: {instead}, "
            "`< /dev/null` leaves it out"
        )
    if state == OPEN and patient:
        raise InvalidInputError(
            f"standard input is a pipe that may still bring a value, which {what} does not read, so nothing was "
            f"changed: {instead}, `< /dev/null` says that none is meant"
        )


def _state(seconds: float) -> str:
    """Look without reading: in a loop of a shell, what is there belongs to the loop."""
    if sys.stdin is None or sys.stdin.isatty():
        return NOTHING
    try:
        descriptor = sys.stdin.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return SOMETHING if status.st_size > os.lseek(descriptor, 0, os.SEEK_CUR) else NOTHING
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            return NOTHING
        return _state_of_pipe(descriptor, seconds)
    except UnsupportedOperation:
        return _state_in_memory()
    except (OSError, ValueError):
        return NOTHING


def _state_of_pipe(descriptor: int, seconds: float) -> str:
    import select
    from fcntl import ioctl
    from termios import FIONREAD

    if not select.select([descriptor], [], [], seconds)[0]:
        return OPEN
    # Readable without a byte: its other end is closed.
    count = int.from_bytes(ioctl(descriptor, FIONREAD, bytes(4)), sys.byteorder)
    return SOMETHING if count else NOTHING


def _state_in_memory() -> str:
    """Where a program has put its own object in the place of standard input."""
    buffer = sys.stdin.buffer
    if not buffer.seekable():
        return NOTHING
    before = buffer.tell()
    found = buffer.read(1)
    buffer.seek(before)
    return SOMETHING if found else NOTHING
