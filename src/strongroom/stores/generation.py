"""Freshness at the price of a memory read: a counter that all processes of a machine share, beside the database.

The file `<database>-gen` holds two 64-bit numbers, mapped into the memory of every process: how many commits have
begun, and which was the last to end. A writer raises the first before its commit can be seen, under the database's
write lock, and sets the second after it. What a reader read while both were equal is what the database holds for as
long as the first has not moved. A writer that dies in between leaves them different, which makes readers slower
until the next commit, never stale.

The file holds no secret. A careless `rm` of it, or of the database, could keep readers from seeing a commit; therefore
they look every `LOOK_EVERY` seconds whether the file is still at its path and the store at the revision that it had.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from time import monotonic

from strongroom.errors import StoreError, StoreExistsError
from strongroom.stores.placing import copy_owner_and_mode, make_new, os_error
from strongroom.stores.sqlite_connection import Place

LOOK_EVERY = 1.0
"""Seconds after which the file is looked for at its path."""
MOST_BYTES = 64 * 1024 * 1024
LARGEST = 64 * 1024
_cells = struct.Struct("=QQ")
NEVER_CLEAN = memoryview(_cells.pack(0, 1)).cast("Q")


class Generation:
    """The counter of one database, and what was read while it stood still. Usable from many threads."""

    __slots__ = ("_ahead", "_inode", "_path", "_place", "_room", "cells", "kept", "look_at")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = place.path + "-gen"
        self._inode = (0, 0)
        self._ahead = 0
        self.cells = NEVER_CLEAN
        self.look_at = 0.0
        self.kept: dict[str, tuple[int, bytes | None]] = {}
        """Path → commits begun when it was read, and the bytes. Valid while `cells[0]` is that number."""
        self._room = MOST_BYTES

    def keep(self, path: str, begun: int, value: bytes | None) -> None:
        """Remember what was read after both numbers were `begun`."""
        size = 200 + (0 if value is None else len(value))
        if size > LARGEST:
            return
        self._room -= size
        if self._room < 0:
            self._forget()
        self.kept[path] = (begun, value)

    def look(self, revision: int) -> None:
        """Follow the file to where it is now; without one nothing is kept.

        Forgets everything when it is another file, or when the counter and the store's `revision` have not grown by
        the same number: then somebody has changed the store without the counter.
        """
        before = self._inode, self._ahead
        with suppress(StoreError, OSError):
            self._attach()
        self._ahead = self.cells[0] - revision
        if before != (self._inode, self._ahead):
            self._forget()
        self.look_at = monotonic() + LOOK_EVERY

    def begin(self) -> int:
        """Say that a commit begins; to be called under the write lock. Raises `StoreError` when it cannot be said."""
        try:
            self._attach(writing=True)
            number = (self.cells[0] + 1) % (1 << 64)
            self.cells[0] = number
        except (OSError, TypeError) as error:
            reason = error if isinstance(error, OSError) else PermissionError(13, "read-only")
            raise os_error(reason, f"{self._place.url}-gen") from None
        return number

    def end(self, number: int) -> None:
        """Say that the commit has ended, well or not."""
        self.cells[1] = number

    def close(self) -> None:
        """Keep nothing more; the next look would begin again."""
        self._forget()
        self.cells, self._inode, self.look_at = NEVER_CLEAN, (0, 0), 0.0

    def _forget(self) -> None:
        # A new dict and not `clear()`: another thread may be about to keep something that is out of date.
        self.kept = {}
        self._room = MOST_BYTES

    def _attach(self, *, writing: bool = False) -> None:
        """Map the file at the path, unless that is done; make it if there is none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            with suppress(StoreExistsError):
                make_new(self._path, f"{self._place.url}-gen", self._write_new)
            found = os.stat(self._path)
        if (found.st_dev, found.st_ino) == self._inode and not (writing and self.cells.readonly):
            return
        import mmap

        descriptor = os.open(self._path, os.O_CLOEXEC | (os.O_RDWR if writing or os.access(self._path, os.W_OK) else 0))
        try:
            opened = os.fstat(descriptor)
            if not stat.S_ISREG(opened.st_mode) or opened.st_size != _cells.size:
                raise StoreError(f"{self._place.url}-gen is not what strongroom made; stop all its users and remove it")
            writable = writing or os.access(self._path, os.W_OK)
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self.cells = memoryview(mmap.mmap(descriptor, _cells.size, access=access)).cast("Q")
            self._inode = (opened.st_dev, opened.st_ino)
        finally:
            os.close(descriptor)

    def _write_new(self, draft: str) -> None:
        # It starts at random, so that what was kept under an earlier file is never taken for valid under this one.
        start = int.from_bytes(os.urandom(7), "big")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, _cells.pack(start, start))
            copy_owner_and_mode(os.stat(self._place.path), descriptor)
        finally:
            os.close(descriptor)
