"""Opening a database where others can make files: nothing that they put there in the meantime reaches SQLite.

Between our look at the files beside a database and SQLite's own look, somebody else could put others there. Locks on
the database keep that from doing harm. SQLite ignores a `-journal` while a process holds the RESERVED lock, for then it
belongs to a transaction that is under way. And it removes no `-wal` while somebody holds a SHARED lock. So when we make
the `-wal` and the `-shm` first, under both locks, their names are taken, and in a directory with the sticky bit only we
could free them again.

These locks belong to an open file ("OFD", fcntl(2)) and not to the process, so that SQLite's own in this process
conflict with them like those of another one. https://www.sqlite.org/src/doc/trunk/src/os.h has the bytes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from strongroom.errors import StoreBusyError
from strongroom.stores.placing import copy_owner_and_mode
from strongroom.stores.sqlite_database import VERSIONS, WAL, Database
from strongroom.stores.sqlite_holders import busy

_PENDING, _RESERVED, _END = 0x40000000, 0x40000001, 0x40000200
"""The bytes of SQLite's locks in a database file; those of SHARED lie between the last two."""
_LONGEST = 60.0
"""Seconds to wait for another thread, which itself may wait for another process meanwhile."""
_PAUSE = 0.005

# Two threads share one open file, and the first to let go would let go for both.
_one_opening = Lock()


@contextmanager
def guarded(database: Database, found: os.stat_result) -> Iterator[None]:
    """Let SQLite in the block replay no `-journal`, and find no side files but those that are there at its begin.

    `found` is what the database is like. Where the file system knows no such locks this does what it can.
    """
    with _hold(database, fcntl.F_RDLCK, _RESERVED):
        if os.access(database.path, os.W_OK):
            _make_side_files(database, found)
        yield


def enter_wal_mode(database: Database) -> bool:
    """Say in the header of the database that it is in WAL mode; False where that is left to SQLite.

    SQLite would do it by way of a `-journal`. For a database that nobody writes to it is two bytes.
    """
    with _hold(database, fcntl.F_WRLCK, _PENDING) as holds:
        descriptor = database.pinned.for_locks()
        header = bytearray(os.pread(descriptor, 100, 0))
        if not holds or len(header) < 100 or header[VERSIONS] != b"\1\1":
            return False
        header[VERSIONS] = WAL
        # Who has read the header before sees by this counter (it is there twice) that it is another one.
        counter = (int.from_bytes(header[24:28], "big") + 1) & 0xFFFFFFFF
        header[24:28] = header[92:96] = counter.to_bytes(4, "big")
        os.pwrite(descriptor, header, 0)
        os.fsync(descriptor)
    return True


@contextmanager
def _hold(database: Database, kind: int, start: int) -> Iterator[bool]:
    """Hold a lock up to the last byte in the block; gives False where the file system knows no such locks."""
    deadline = time.monotonic() + database.timeout
    one_opening = _one_opening
    if not one_opening.acquire(timeout=max(database.timeout, _LONGEST)):
        raise StoreBusyError(f"{database.url}: another thread is opening it for too long; look for a stuck process")
    try:
        descriptor = database.pinned.for_locks()
        while not (held := _lock(descriptor, kind, start)):
            if held is None:
                break
            if time.monotonic() > deadline:
                raise busy(database.path, database.url)
            time.sleep(_PAUSE)
        try:
            yield held is True
        finally:
            _lock(descriptor, fcntl.F_UNLCK, start)
    finally:
        one_opening.release()


def _lock(descriptor: int, kind: int, start: int) -> bool | None:
    """Return whether the lock was free; None where there are no such locks."""
    lock = struct.pack("hhqqi4x", kind, os.SEEK_SET, start, _END - start, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except BlockingIOError:
        return False
    except (OSError, AttributeError):
        return None
    return True


def _make_side_files(database: Database, found: os.stat_result) -> None:
    """Make an empty -wal and -shm file unless they are there, as SQLite would; it takes them for none."""
    for ending in ("-wal", "-shm"):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with suppress(FileExistsError, PermissionError):
            descriptor = os.open(database.path + ending, flags, 0o600)
            try:
                copy_owner_and_mode(found, descriptor)
            finally:
                os.close(descriptor)


def _in_child() -> None:
    global _one_opening
    _one_opening = Lock()


os.register_at_fork(after_in_child=_in_child)
