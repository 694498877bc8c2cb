"""Freshness at the price of a memory read: counters that all processes of a machine share, beside the database.

The file `<database>-gen` holds 64-bit numbers, mapped into the memory of every process: how many commits have begun,
which was the last to end, and then `MARKS` numbers, of which each path has one: the last commit that changed a path
with that mark. A writer raises the first, then the marks, before its commit can be seen, under the database's write
lock, and sets the second after it. What a reader read from a path while the first two were equal is what the database
holds there for as long as the path's mark has not moved. A writer that dies in between leaves them different, which
makes readers slower until the next commit, never stale.

Paths share marks by chance, which costs a read now and then. "Striped" versions of this kind are those of TL2 (Dice,
Shalev, Shavit: Transactional Locking II, 2006).

The file holds no secret. A careless `rm` of it, or of the database, could keep readers from seeing a commit; therefore
they look every `LOOK_EVERY` seconds whether the file is still at its path and the store at the revision that it had.
"""

from __future__ import annotations

import os
import stat
import struct
from binascii import crc32
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

from strongroom.errors import StoreError, StoreExistsError
from strongroom.stores.placing import copy_owner_and_mode, make_new, os_error
from strongroom.stores.sqlite_connection import Place

LOOK_EVERY = 1.0
"""Seconds after which the file is looked for at its path."""
MOST_BYTES = 64 * 1024 * 1024
LARGEST = 64 * 1024
MARKS = 16_384
_SIZE = 8 * (2 + MARKS)
NEVER_CLEAN = memoryview(struct.pack("=QQ", 0, 1)).cast("Q")
"""Stands in where there is no counter: it never says that nothing has changed, and has no marks."""


class Generation:
    """The counters of one database, and what was read while they stood still. Usable from many threads."""

    __slots__ = ("_ahead", "_inode", "_path", "_place", "_room", "_settle_by", "cells", "commits", "kept", "look_at")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._path = place.path + "-gen"
        self._inode = (0, 0)
        self._ahead = 0
        self._map(NEVER_CLEAN)
        self.look_at = self._settle_by = 0.0
        self.kept: dict[str, tuple[int, int, bytes | None]] = {}
        """Path → where its mark lies, the mark when it was read, and the bytes. Valid while the mark is the same."""
        self._room = MOST_BYTES

    def keep(self, path: str, place: int, mark: int, value: bytes | None) -> None:
        """Remember what was read after commits begun and ended were equal, and the mark at `place` was `mark`."""
        size = 200 + (0 if value is None else len(value))
        if size > LARGEST:
            return
        self._room -= size
        if self._room < 0:
            self._forget()
        self.kept[path] = (place, mark, value)

    def look(self, revision: Callable[[], int]) -> None:
        """Follow the file to where it is now; without one nothing is kept.

        Forgets everything, and maps the file anew, when it is another file, or when the counter and the store's
        `revision` have not grown by the same number: then somebody has changed the store without the counter.
        """
        before = self._inode
        with suppress(StoreError, OSError):
            self._attach()
        begun, ended = self.commits
        ahead, now = begun - revision(), monotonic()
        settled = begun == ended == self.commits[0]
        if before != self._inode:
            self._forget()
        elif ahead != self._ahead:
            if not settled and now < self._settle_by:
                return  # a commit is under way: the next call looks again
            self._forget()
            self._inode = (0, 0)
            with suppress(StoreError, OSError):
                self._attach()
        self._ahead = ahead
        self.look_at = now + LOOK_EVERY
        self._settle_by = self.look_at + LOOK_EVERY

    def begin(self, paths: Iterable[str]) -> int:
        """Say that a commit of `paths` begins; to be called under the write lock.

        Raises `StoreError` when it cannot be said.
        """
        try:
            self._attach(writing=True)
            number = (self.cells[0] + 1) % (1 << 64)
            self.cells[0] = number
            for path in paths:
                self.cells[place_of_mark(path)] = number
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
        self._map(NEVER_CLEAN)
        self._inode, self.look_at = (0, 0), 0.0

    def _map(self, cells: memoryview) -> None:
        self.cells = cells
        self.commits = cells[:2]

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
            if not stat.S_ISREG(opened.st_mode) or opened.st_size != _SIZE:
                raise StoreError(f"{self._place.url}-gen is not what strongroom made; stop all its users and remove it")
            writable = writing or os.access(self._path, os.W_OK)
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map(memoryview(mmap.mmap(descriptor, _SIZE, access=access)).cast("Q"))
            self._inode = (opened.st_dev, opened.st_ino)
        finally:
            os.close(descriptor)

    def _write_new(self, draft: str) -> None:
        # It starts at random, so that what was kept under an earlier file is never taken for valid under this one.
        start = int.from_bytes(os.urandom(7), "big")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, struct.pack("=Q", start) * (2 + MARKS))
            copy_owner_and_mode(os.stat(self._place.path), descriptor)
        finally:
            os.close(descriptor)


def place_of_mark(path: str) -> int:
    """Return where among the cells the mark of `path` lies: the same in every process."""
    return 2 + crc32(path.encode()) % MARKS
