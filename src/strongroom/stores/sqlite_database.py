"""One database file: its one name, and whether it still is the file that was opened.

SQLite finds the journal of a database by the name of the database. Whoever uses a second name (a hard link, a mount of
the file alone) has a second journal, and writes past the first one. Whoever keeps a file open that was moved,
replaced or deleted writes where nobody reads. SQLite notices neither.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from strongroom.errors import StoreError
from strongroom.stores.placing import not_found, os_error

Inode = tuple[int, int]
"""Device and inode number: a file's identity for as long as somebody has it open."""
_A_DRAFT_LASTS = 0.2
"""Seconds that a new store may have its second name, that of its draft, for users who may not remove that."""


class Database:
    """Where a database is, which file that was when it was opened, and how long to wait for its locks."""

    __slots__ = ("_descriptor", "inode", "path", "timeout", "url")

    def __init__(self, path: str, url: str, timeout: float) -> None:
        self.path = path
        """Absolute, without symbolic links."""
        self.url = url
        """As the user wrote it, for messages."""
        self.timeout = timeout
        """Seconds."""
        self.inode: Inode = (0, 0)
        self._descriptor = -1

    def __del__(self) -> None:
        self.close()

    def pin(self) -> None:
        """Take the file at the path for this database from now on. Raises `StoreNotFoundError` and `StoreError`."""
        try:
            # O_PATH reads nothing, waits for no FIFO, and closing it leaves SQLite's locks alone. While it is open the
            # inode's number is not given to another file.
            self._descriptor = os.open(self.path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
            found = os.fstat(self._descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{self.url} cannot be opened: it is not a regular file; check the path")
            _check_names(self)
            _check_mount(self, self._descriptor)
        except FileNotFoundError:
            raise not_found(self.url) from None
        except OSError as error:
            raise os_error(error, self.url) from None
        self.inode = (found.st_dev, found.st_ino)

    def check(self) -> os.stat_result:
        """Return what the file is like now. Raises `StoreError` when the path does not lead to it any more."""
        if self._descriptor < 0:
            raise StoreError(f"{self.url} is closed; open it again")
        try:
            found = os.lstat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(
                f"{self.url} was deleted or moved away while it was in use, and nothing more is read from it or written"
                " to it; put it back, or restore it and restart this process"
            ) from None
        except OSError as error:
            raise os_error(error, self.url) from None
        # An overlay file system may give a file another number when it is first written to; then both are new.
        if (found.st_dev, found.st_ino) != self.inode and not os.path.samestat(found, os.fstat(self._descriptor)):
            raise StoreError(
                f"{self.url} was replaced by another file while it was in use, and nothing more is read from it or"
                " written to it; restart this process to use the new one"
            )
        return found

    def close(self) -> None:
        """Let go of the file; closing twice is no error."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def resolve(path: str, *, create: bool) -> str:
    """Return the absolute `path` without symbolic links: the one name under which all processes know the store.

    A new store is never made where a link leads, so its last part stays as it is.
    """
    directory, name = os.path.split(path)
    return os.path.join(os.path.realpath(directory), name) if create else os.path.realpath(path)


def only_name(path: str) -> bool:
    """True when the file at `path` has no other name, after removing the draft's name of a maker that was killed."""
    found = os.lstat(path)
    if found.st_nlink <= 1:
        return True
    directory, name = os.path.split(path)
    with suppress(OSError):
        for other in os.listdir(directory):
            if other.startswith(f"{name}.") and other.endswith(".new"):
                draft = os.path.join(directory, other)
                # It is another name of this very file, so nothing is lost with it.
                if os.path.samestat(os.lstat(draft), found):
                    os.unlink(draft)
    return os.lstat(path).st_nlink <= 1


def _check_names(database: Database) -> None:
    deadline = time.monotonic() + _A_DRAFT_LASTS
    while not only_name(database.path):
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
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as file:
            return next((line for line in file if line.startswith(b"mnt_id:")), b"")
    except OSError:
        return b""
