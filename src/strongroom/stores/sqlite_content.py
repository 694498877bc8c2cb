"""Whether the content of a database file is still the one that SQLite has written: not a copy put over it (`cp`).

Such a copy is the same file to the operating system, and SQLite would go on and mix both. Only check-points may write
to the file of a database in WAL mode. They leave the header at WAL mode, which a copy made by VACUUM INTO is not in;
and they move the revision in the file forwards, up to what the journal holds.
"""

from __future__ import annotations

import _sqlite3 as sqlite3
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

from strongroom.errors import RollbackError, StoreError

if TYPE_CHECKING:
    from strongroom.stores.sqlite_database import Database

VERSIONS = slice(18, 20)
"""Where in the header of a database it says whether it is in WAL mode."""
WAL = b"\2\2"
_HEADER = b"SQLite format 3\0"
_A_MOMENT = 0.05
"""Seconds until a file that looks overwritten is looked at once more: a check-point may be writing it."""


class Content:
    """What was seen of a file's content. Shared by the threads of a process."""

    __slots__ = ("_revision", "_stamp")

    def __init__(self) -> None:
        self._stamp: tuple[int, int] | None = None
        self._revision = 0

    def check(self, database: Database, found: os.stat_result, name: str) -> None:
        """Raise `StoreError` when somebody else has written to the file since the last call.

        `found` is what the file is like now, and `name` what SQLite is to open. Costs nothing while nobody has written.
        """
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp == self._stamp:
            return
        for last in (False, True):
            try:
                revision = _revision(database, name)
            except OSError:
                return  # it cannot be seen now; the next call looks again
            if revision >= self._revision:
                break
            if last:
                raise StoreError(f"{database.url} was overwritten")
            time.sleep(_A_MOMENT)
        self._revision, self._stamp = revision, stamp
        database.see(revision)


def check_no_older(database: Database, before: int, revision: int) -> None:
    """Raise `RollbackError` for a revision older than one seen `before`."""
    if revision < before:
        raise RollbackError(
            f"{database.url} is at revision {revision}, and this process has seen revision {before}: an older copy was"
            " put in its place while it was in use; stop all processes that use the store, and if you restored it, run"
            " `strongroom verify --accept`"
        )


def _revision(database: Database, name: str) -> int:
    """Return the revision in the file, leaving out the journal; -1 when it is not a store in WAL mode.

    Raises `OSError` when the file cannot be read now.
    """
    header = os.pread(database.pinned.descriptor, 20, 0)
    if not header.startswith(_HEADER) or header[VERSIONS] != WAL:
        return -1
    try:
        with closing(sqlite3.connect(f"{name}?immutable=1", uri=True)) as connection:
            rows = connection.execute("SELECT revision FROM store").fetchall()
    except (sqlite3.Error, UnicodeError, MemoryError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return -1
        raise OSError from None
    return rows[0][0] if len(rows) == 1 and type(rows[0][0]) is int else -1
