"""The files that SQLite keeps beside a database: whose they may be, and when not to let SQLite see them.

SQLite believes what lies there under the right name. It replays a `-wal`, it maps a `-shm` into memory (which ends the
process if somebody shortens it), and a `-journal` can name a further file, which SQLite then deletes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from strongroom.errors import StoreError
from strongroom.stores.placing import os_error
from strongroom.stores.sqlite_database import Database, Inode
from strongroom.system import files

_LARGEST = {"-wal": 32 << 30, "-shm": 64 << 20}
"""Bytes. That much of the second describes as much of the first."""
SideFiles = tuple[Inode | None, Inode | None]
"""The -wal and the -shm file."""


def check_side_files(database: Database, found: os.stat_result) -> SideFiles:
    """Return which files lie beside the database. Raises `StoreError` for one that SQLite must not use.

    `found` is the status of the database.
    """
    journal = database.path + "-journal"
    if os.path.lexists(journal):
        # A store is in WAL mode from its first byte on; SQLite would take this for the remains of a crash.
        raise StoreError(
            f"{journal} is in the way: a store has no file of this name, and SQLite would change the store by it;"
            " remove it, or move it away if it is evidence"
        )
    try:
        return _check(database, found, "-wal"), _check(database, found, "-shm")
    except OSError as error:
        raise os_error(error, database.url) from None


def have_moved(database: Database, beside: SideFiles) -> bool:
    """True when one of these files is not at its path any more. Raises `StoreError` when that cannot be told now."""
    wal, shm = beside
    try:
        return (wal is not None and wal != _inode(database.path + "-wal")) or (
            shm is not None and shm != _inode(database.path + "-shm")
        )
    except OSError as error:
        raise os_error(error, database.url) from None


def owners(database: Database, found: os.stat_result) -> Collection[int]:
    """Return whose files beside the database are trusted, besides root's and ours.

    Several users may share a store through a group. Each of them makes side files, and SQLite gives these away only as
    root. So they are all trusted if nobody can make a file there who could not write the database itself.
    """
    directory = os.stat(os.path.dirname(database.path))
    everybody = found.st_mode & 0o002
    if directory.st_uid in (0, os.geteuid(), found.st_uid) and (everybody or _writers(directory) <= _writers(found)):
        return files.ANYBODY
    return (found.st_uid,)


def others_can_write(database: Database) -> bool:
    """True when anybody but root and us can make files beside the database."""
    directory = os.stat(os.path.dirname(database.path))
    return directory.st_uid not in (0, os.geteuid()) or bool(directory.st_mode & 0o022)


def _writers(found: os.stat_result) -> set[str | int]:
    """Return the group that can write this file besides its owner, and "all" if everybody can."""
    writers: set[str | int] = {found.st_gid} if found.st_mode & 0o020 else set()
    return writers | ({"all"} if found.st_mode & 0o002 else set())


def _check(database: Database, found: os.stat_result, ending: str) -> Inode | None:
    path = database.path + ending
    try:
        side = os.lstat(path)
    except FileNotFoundError:
        return None
    ours = (0, os.geteuid(), found.st_uid)
    if side.st_uid in ours and stat.S_ISREG(side.st_mode) and side.st_nlink <= 1 and side.st_size <= _LARGEST[ending]:
        return side.st_dev, side.st_ino
    # What stands in the way, if anything does.
    trusted = ours if side.st_uid in ours else owners(database, found)
    files.check_file(path, side, owners=trusted, largest=_LARGEST[ending])
    if side.st_nlink > 1:
        raise files.UnsafeFileError(path, f"it has {side.st_nlink} names (hard links); remove it")
    return side.st_dev, side.st_ino


def _inode(path: str) -> Inode | None:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
