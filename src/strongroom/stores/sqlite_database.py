"""One database file: its one name, and whether it still is the file that was opened.

SQLite finds the journal of a database by the name of the database. Whoever uses a second name (a hard link, a mount of
the file alone) has a second journal, and writes past the first one. Whoever keeps a file open that was moved,
replaced or deleted writes where nobody reads. SQLite notices neither.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from weakref import ref

from strongroom.errors import RollbackError, StoreError
from strongroom.stores.placing import not_found, os_error, os_errors
from strongroom.system.files import has_only_name
from strongroom.system.ways import resolve

Inode = tuple[int, int]
"""Device and inode number: a file's identity for as long as somebody has it open."""
_MAGIC = b"SQLite format 3\0"
VERSIONS = slice(18, 20)
"""Where the header of a database says whether it is in WAL mode."""
WAL = b"\2\2"
_A_DRAFT_LASTS = 0.2
"""Seconds that a new store may have its second name, that of its draft, for users who may not remove that."""


class OtherFileError(StoreError):
    """The path does not lead to the file any more that was opened."""


class Pin:
    """A database file that this process has open besides SQLite, shared by all who use the file in it.

    Closing it drops the locks that SQLite holds on the file for this process, so it stays open until nobody uses the
    file any more. While it is open the inode's number is not given to another file.
    """

    __slots__ = ("__weakref__", "_all", "_path", "_pid", "descriptor", "inode")

    def __init__(self, path: str) -> None:
        self._path = path
        self._all: list[int] = []
        self.descriptor = self._open()
        found = os.fstat(self.descriptor)
        self.inode: Inode = (found.st_dev, found.st_ino)

    def __del__(self) -> None:
        for descriptor in self._all:
            os.close(descriptor)

    def for_locks(self) -> int:
        """Return a descriptor whose locks are not shared with a parent or a child."""
        if self._pid != os.getpid():
            self.descriptor = self._open()
        return self.descriptor

    def _open(self) -> int:
        self._pid = os.getpid()
        flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self._path, flags | os.O_RDWR)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            descriptor = os.open(self._path, flags | os.O_RDONLY)
        self._all.append(descriptor)
        return descriptor


_pins: dict[Inode, ref[Pin]] = {}


class Database:
    """Where a database is, which file that was when it was opened, and how long to wait for its locks."""

    __slots__ = ("_pin", "at_least", "path", "timeout", "url")

    def __init__(self, path: str, url: str, timeout: float) -> None:
        self.path = path
        """Absolute, without symbolic links."""
        self.url = url
        """As the user wrote it, for messages."""
        self.timeout = timeout
        """Seconds."""
        self.at_least = 0
        """A revision that was seen: no later look may find an earlier one."""
        self._pin: Pin | None = None

    def pin(self) -> None:
        """Take the file at the path for this database from now on. Raises `StoreNotFoundError` and `StoreError`."""
        try:
            found = os.lstat(self.path)
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{self.url} cannot be opened: it is not a regular file; check the path")
            known = _pins.get((found.st_dev, found.st_ino))
            pin = known() if known else None
            if pin is None:
                pin = Pin(self.path)
                _pins[pin.inode] = ref(pin)
            self._pin = pin
            if found.st_nlink > 1:
                _check_names(self)
            _check_mount(self, pin.descriptor)
        except FileNotFoundError:
            raise not_found(self.url) from None
        except PermissionError:
            raise StoreError(
                f"{self.url} cannot be opened; check that this user may read and write the file and its directory"
                " (SQLite keeps -wal and -shm files there)"
            ) from None
        except OSError as error:
            raise os_error(error, self.url) from None

    @property
    def inode(self) -> Inode:
        """The identity of the file."""
        return self.pinned.inode

    @property
    def pinned(self) -> Pin:
        """The file as this process has it open. Raises `StoreError` once it is closed."""
        if self._pin is None:
            raise StoreError(f"{self.url} is closed; open it again")
        return self._pin

    def check(self) -> os.stat_result:
        """Return what the file is like now. Raises `StoreError` when the path does not lead to it any more."""
        pin = self.pinned
        try:
            found = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise OtherFileError(
                f"{self.url} was deleted or moved away while it was in use, and nothing more is read from it or written"
                " to it; put it back, or restore it and restart this process"
            ) from None
        except OSError as error:
            raise os_error(error, self.url) from None
        # An overlay file system may give a file another number when it is first written to; then both are new.
        if (found.st_dev, found.st_ino) != pin.inode and not os.path.samestat(found, os.fstat(pin.descriptor)):
            raise OtherFileError(
                f"{self.url} was replaced by another file while it was in use, and nothing more is read from it or"
                " written to it; restart this process to use the new one"
            )
        return found

    def is_in_wal_mode(self) -> bool:
        """True for a database as a store is; not so one that `cp` has put a copy made by VACUUM INTO over.

        Only check-points write to the file of a database in WAL mode, and they leave its header so. Raises `StoreError`
        when the header cannot be read now.
        """
        with os_errors(self.url):
            header = os.pread(self.pinned.descriptor, 20, 0)
        return header.startswith(_MAGIC) and header[VERSIONS] == WAL

    def see(self, revision: int, before: int) -> None:
        """Remember a revision that was found. Raises `RollbackError` when it is older than `before`.

        `before` is `at_least` as it was before the database was asked: other threads may have seen a later one since.
        """
        if revision < before:
            raise RollbackError(
                f"{self.url} is at revision {revision}, and this process has seen revision {before}: an older copy was"
                " put in its place while it was in use; stop all processes that use the store, and if you restored it,"
                " run `strongroom verify --accept`"
            )
        self.at_least = max(self.at_least, revision)

    def close(self) -> None:
        """Let go of the file, once all connections are closed; closing twice is no error."""
        self._pin = None


def real_path(path: str, url: str, *, create: bool) -> str:
    """Return the absolute `path` without symbolic links: the one name under which all processes know the store.

    A new store is never made where a link leads, so its last part stays as it is. Raises `StoreError`.
    """
    directory, name = os.path.split(path)
    with os_errors(url):
        return os.path.join(resolve(directory), name) if create else resolve(path)


def _check_names(database: Database) -> None:
    deadline = time.monotonic() + _A_DRAFT_LASTS
    while not has_only_name(database.path):
        if time.monotonic() > deadline:
            count = os.lstat(database.path).st_nlink
            raise StoreError(
                f"{database.url} has {count} names (hard links), and processes that use different ones overwrite each"
                f" other; remove the others (find them with `find -inum {os.lstat(database.path).st_ino}`)"
            )
        time.sleep(0.01)


def _check_mount(database: Database, descriptor: int) -> None:
    directory = os.open(os.path.dirname(database.path), os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        if _mount(descriptor) != _mount(directory):
            raise StoreError(
                f"{database.url} is mounted as a single file, so its journal would lie somewhere else for each"
                " mount; mount the directory that it is in"
            )
    finally:
        os.close(directory)


def _mount(descriptor: int) -> bytes:
    """Return the id of the mount that an open file was reached through; empty where /proc does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as information:
            return next((line for line in information if line.startswith(b"mnt_id:")), b"")
    except OSError:
        return b""
