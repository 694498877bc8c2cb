"""The files of a ring: what one process has read and answered, on its way into the log. Any process can drain it.

`<id>.ring` holds a page of counters and two halves of records, `<id>.names` what the records mean. A record is two
unsigned numbers of 8 bytes: the time in nanoseconds since 1970, and that time XOR the *token* of what was read. A
token is the beginning of a MAC over the line of `<id>.names` that says who read which version of which name:

    ring key = BLAKE2b-256(audit key, "audit ring", the first line, which says whose ring this is)
    token    = the first 8 bytes of BLAKE2b-128(ring key, "audit read", the line)

So a changed byte anywhere makes a record that means nothing, and nobody without the audit key can invent a read of a
name that this process did not read. Records carry no MAC of their own, which would double the price of a read: who can
write to the file can repeat or remove records until they are drained (docs/threat-model.md).
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from json.encoder import encode_basestring_ascii as quote
from typing import Any

from strongroom.crypto.mac import Mac
from strongroom.errors import AuditError

RECORD = struct.Struct("=QQ")
PAGE = mmap.PAGESIZE
MAGIC = int.from_bytes(b"strring\1", "little")
LOCK_TIMEOUT = 5.0
"""Seconds to wait for whoever drains the same ring; a full one takes a quarter of a second."""
_cells = struct.Struct("=9Q")
_cell = struct.Struct("=Q")
_LOW = 0xFFFF_FFFF
MAGIC_CELL, CAPACITY, FIRST, DRAINED, SEGMENT, OFFSET, PENDING = 0, 1, 2, 3, 6, 7, 8
"""Where the counters lie. `FIRST` and `DRAINED` are those of the first half; those of the second follow after two."""


def place_of(half: int, capacity: int) -> int:
    """Return where a half begins, and for the half 2 where the file ends: each has whole pages."""
    return PAGE + half * -(-capacity * RECORD.size // PAGE) * PAGE


def counted(records: int) -> int:
    """Return a number of records with its complement above it, so that a changed bit shows."""
    return (records ^ _LOW) << 32 | records


class State:
    """The counters of a ring."""

    __slots__ = ("after", "capacity", "drained", "first", "good", "pending")

    def __init__(self, stored: bytes) -> None:
        cells: tuple[int, ...] = _cells.unpack(stored)
        magic, self.capacity, first, count, first2, count2, segment, offset, self.pending = cells
        drained, drained2 = count & _LOW, count2 & _LOW
        self.first: list[int] = [first, first2]
        """The number of the record that each half begins with; the records of a ring are numbered from 1."""
        self.drained: list[int] = [drained, drained2]
        """How many records of each half are in the log."""
        self.after = (segment, offset)
        """Where in the log the lines of the newest batch lie, or later."""
        self.good = (magic, count, count2) == (MAGIC, counted(drained), counted(drained2)) and abs(
            first - first2
        ) == self.capacity >= max(drained, drained2)
        """False when somebody else has changed one of these numbers, or the size of the file."""


class Table:
    """What the records of one ring mean: token → parts of the event."""

    def __init__(self, audit_key: bytes, owner: bytes) -> None:
        """`owner` is the first line of `<id>.names`; raises `ValueError` and `KeyError` when it is not one."""
        self.owner: dict[str, Any] = json.loads(owner)
        self._mac = Mac(Mac(audit_key, b"audit ring").digest(owner), b"audit read", 16)
        process = {field: self.owner[field] for field in ("service", "pid", "host", "source", "store")}
        self._process = "," + json.dumps(process, separators=(",", ":"))[1:-1]
        self.parts: dict[int, tuple[str, str]] = {}
        """Token → what was read, and by whom, as they stand in the line of the event."""

    def add(self, line: bytes) -> int:
        """Add a line of `<id>.names` and return its token; raises `ValueError` and `KeyError`."""
        entry = json.loads(line)
        what = f'"GET","name":{quote(entry["name"])},"version":{int(entry["version"])},"outcome":"ok"'
        token = int.from_bytes(self._mac.digest(line)[:8], "little")
        self.parts[token] = (what, f',"actor":{quote(entry["actor"])}{self._process}')
        return token


DAMAGED = "ring_damaged"
"""The reason of an event that stands for records which mean nothing: somebody has changed the ring."""


class RingFile:
    """One ring, opened. Counters are read and written by system calls, so that a cut file is an error, no signal."""

    def __init__(self, base: str, names: int, records: int) -> None:
        self.base = base
        self.id = os.path.basename(base)
        self.names = names
        self.records = records
        self._lock = threading.Lock()

    @classmethod
    def open(cls, base: str) -> RingFile:
        """Open the ring at the path `base`, without the endings; raises `OSError`."""
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        names = os.open(base + ".names", flags)
        try:
            return cls(base, names, os.open(base + ".ring", flags))
        except OSError:
            os.close(names)
            raise

    def owner_is_gone(self) -> bool:
        """True when no process holds this ring any more; then it is held by this object until it is closed.

        The lock is the kernel's, which frees it whichever way a process ends, and takes no later one for it.
        """
        try:
            fcntl.flock(self.names, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @contextmanager
    def locked(self, timeout: float | None = None) -> Iterator[None]:
        """Let no other thread or process drain this ring meanwhile; raises `AuditError` when one does for too long.

        `timeout` is in seconds; None for `LOCK_TIMEOUT`.
        """
        timeout = LOCK_TIMEOUT if timeout is None else timeout
        deadline = time.monotonic() + timeout
        if not self._lock.acquire(timeout=timeout):
            raise AuditError(f"{self.base}.ring: another thread drains it for too long")
        try:
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(self.records, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise AuditError(f"{self.base}.ring: another process drains it too long; look for a stopped one")
                time.sleep(0.001)
            try:
                yield
            finally:
                if self.records >= 0:
                    fcntl.flock(self.records, fcntl.LOCK_UN)
        finally:
            self._lock.release()

    def state(self) -> State:
        """Return the counters; see `State.good`."""
        state = State(os.pread(self.records, _cells.size, 0).ljust(_cells.size, b"\0"))
        size = os.fstat(self.records).st_size
        state.good = state.good and size == place_of(2, state.capacity)
        return state

    def put(self, cell: int, *values: int) -> None:
        """Write counters that lie side by side."""
        os.pwrite(self.records, b"".join(map(_cell.pack, values)), 8 * cell)

    def read(self, half: int, capacity: int, start: int, stop: int) -> bytes:
        """Return the records `start` to `stop` of a half."""
        place = place_of(half, capacity) + start * RECORD.size
        return os.pread(self.records, (stop - start) * RECORD.size, place)

    def clear(self, half: int, capacity: int) -> None:
        """Overwrite a half with zeros."""
        os.pwrite(self.records, bytes(capacity * RECORD.size), place_of(half, capacity))

    def lines(self) -> list[bytes]:
        """Return the whole lines of `<id>.names`."""
        size = os.fstat(self.names).st_size
        return os.pread(self.names, size, 0).split(b"\n")[:-1]

    def remove(self) -> None:
        """Delete the files: first they become unfinished ones, so that no half of a ring is ever left."""
        os.rename(self.base + ".names", self.base + ".names.new")
        self.remove_unfinished()

    def remove_unfinished(self) -> None:
        """Delete the files of a ring that is not there yet, or no more."""
        with suppress(FileNotFoundError):
            os.unlink(self.base + ".ring")
        with suppress(FileNotFoundError):
            os.unlink(self.base + ".names.new")

    def put_aside(self) -> None:
        """Rename a damaged ring, which is evidence, and nothing that could be drained."""
        os.rename(self.base + ".ring", self.base + ".ring.damaged")
        os.rename(self.base + ".names", self.base + ".names.damaged")

    def close(self) -> None:
        """Release the files and the locks; closing twice is no error."""
        # A child of fork shares the locks: closing leaves them to the parent, unlocking would not.
        names, records, self.names, self.records = self.names, self.records, -1, -1
        for descriptor in (names, records):
            if descriptor >= 0:
                os.close(descriptor)
