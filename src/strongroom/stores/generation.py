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
Whose file it must be is said in `sqlite_side_files`: who can write it can tell readers that nothing has changed, and
end their processes by shortening it (SIGBUS), as with SQLite's own `-shm`. One that is too short is left alone by
readers, and mended in its place by the next writer: those who have it mapped go on with the same file.
"""

from __future__ import annotations

import errno
import os
import struct
from binascii import crc32
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import monotonic

from strongroom.errors import StoreError, StoreExistsError, StrongroomError
from strongroom.stores.placing import copy_owner_and_mode, make_new, os_error
from strongroom.stores.sqlite_database import Database
from strongroom.stores.sqlite_side_files import owners
from strongroom.system import files

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

    __slots__ = ("_ahead", "_database", "_inode", "_path", "_room", "_settle_by", "cells", "commits", "kept", "look_at")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._path = database.path + "-gen"
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
        self._try_to_attach()
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
            self._try_to_attach()
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
        except OSError as error:
            raise os_error(error, f"{self._database.url}-gen") from None
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

    def _try_to_attach(self) -> None:
        """Map the file at the path; without one that can be trusted, believe that everything has changed."""
        try:
            self._attach()
        except (StrongroomError, OSError):
            self._map(NEVER_CLEAN)
            self._inode = (0, 0)

    def _attach(self, *, writing: bool = False) -> None:
        """Map the file at the path, unless that is done; make it if there is none, and mend it if `writing`."""
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            self._make(writing)
            found = os.lstat(self._path)
        same = (found.st_dev, found.st_ino) == self._inode and found.st_size == _SIZE
        if same and not (writing and self.cells.readonly):
            return
        self._disown(found)
        descriptor, writable = self._open(writing)
        try:
            import mmap

            opened = os.fstat(descriptor)
            if opened.st_size != _SIZE:
                if not writing:
                    raise StoreError(f"{self._path} is damaged; the next write to the store mends it")
                _fill(descriptor)
            access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
            self._map(memoryview(mmap.mmap(descriptor, _SIZE, access=access)).cast("Q"))
            self._inode = (opened.st_dev, opened.st_ino)
        except ValueError:
            raise StoreError(f"{self._path} was shortened just now; the next write to the store mends it") from None
        finally:
            os.close(descriptor)

    def _make(self, writing: bool) -> None:
        # Who may not write the store makes no file beside it: its owner would be a stranger to those who may.
        if not writing and not os.access(self._database.path, os.W_OK):
            raise StoreError(f"{self._path} is not there; the next write to the store makes it")
        with suppress(StoreExistsError):
            make_new(self._path, f"{self._database.url}-gen", self._write_new)

    def _open(self, writing: bool) -> tuple[int, bool]:
        """Return a descriptor of the file at the path, and whether it can be written."""
        trusted = owners(self._database, os.lstat(self._database.path))
        try:
            descriptor, writable = files.open_file(self._path, os.O_RDWR, owners=trusted), True
        except OSError as error:
            if writing or error.errno not in (errno.EACCES, errno.EROFS):
                raise
            descriptor, writable = files.open_file(self._path, owners=trusted), False
        try:
            if os.fstat(descriptor).st_nlink > 1 and not files.has_only_name(self._path):
                raise files.UnsafeFileError(self._path, "it has several names (hard links); remove it")
            if writable:
                self._keep_open_to_writers(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, writable

    def _keep_open_to_writers(self, descriptor: int) -> None:
        """Let whoever may write the database write the file, when that was given another group or mode meanwhile."""
        file, database = os.fstat(descriptor), os.stat(self._database.path)
        if os.geteuid() in (0, file.st_uid) and (
            file.st_gid != database.st_gid or database.st_mode & ~file.st_mode & 0o666
        ):
            with suppress(OSError):
                copy_owner_and_mode(database, descriptor)

    def _disown(self, found: os.stat_result) -> None:
        """Make those look for the file at the path who still have mapped the one that was there before."""
        if self._inode not in ((0, 0), (found.st_dev, found.st_ino)) and not self.cells.readonly:
            numbers = memoryview(_numbers()).cast("Q")
            self.cells[0] = numbers[0]
            self.cells[2:] = numbers[2:]

    def _write_new(self, draft: str) -> None:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            copy_owner_and_mode(os.stat(self._database.path), descriptor)
            _fill(descriptor)
        finally:
            os.close(descriptor)


def _numbers() -> bytes:
    # They start at random, so that what was kept under an earlier file is never taken for valid under this one.
    return struct.pack("=Q", int.from_bytes(os.urandom(7), "big")) * (2 + MARKS)


def _fill(descriptor: int) -> None:
    """Make the file whole and durable. All its blocks are written: a hole would end the process on a full disk."""
    files.write_all(descriptor, _numbers())
    os.ftruncate(descriptor, _SIZE)
    os.fsync(descriptor)


def place_of_mark(path: str) -> int:
    """Return where among the cells the mark of `path` lies: the same in every process."""
    return 2 + crc32(path.encode()) % MARKS
