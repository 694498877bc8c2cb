"""What comes back from a SQLite database: rows that are checked, or an error that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from strongroom.errors import StoreError, StrongroomError, TamperedError
from strongroom.model import MAX_PATH_BYTES
from strongroom.stores.sqlite_binding import sqlite3

if TYPE_CHECKING:
    from strongroom.stores.sqlite_database import Database

SQLITE_ERRORS = (sqlite3.Error, UnicodeError, OverflowError, MemoryError)
"""What the Python module raises; `UnicodeDecodeError` when SQLite's message quotes damaged text that is not UTF-8."""


class ReadOnlyError(StoreError):
    """SQLite has opened the database to read only."""


def sqlite_error(error: Exception, database: Database) -> StrongroomError:
    """Return what to raise for `error`. SQLite's own words are left out, for they can quote what is stored."""
    url = database.url
    if isinstance(error, UnicodeEncodeError | OverflowError | sqlite3.ProgrammingError):
        return StoreError(f"{url} cannot take this path or value, or was closed meanwhile: check its type and size")
    if isinstance(error, MemoryError):
        return StoreError(f"{url}: this process is out of memory; try again when there is more")
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, UnicodeDecodeError):
        code = sqlite3.SQLITE_CORRUPT
    if code is None and isinstance(error, sqlite3.OperationalError):
        # The Python module's own: text that is not UTF-8. A store never writes such, and the message would quote it.
        return TamperedError(f"{url} holds text that is not UTF-8; restore it from a backup")
    if code in _NO_SHARED_MEMORY:
        return StoreError(f"{url}: its -shm file cannot be made; the disk is probably full: free some space")
    kind = (code or 0) & 0xFF  # the rest of the code tells variants apart
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        from strongroom.stores.sqlite_holders import busy

        return busy(database.path, url)
    if kind == sqlite3.SQLITE_READONLY:
        return ReadOnlyError(f"{url} is read-only for this process; check the mode and owner of it and its directory")
    return StoreError(f"{url} {_REASONS.get(kind, f'refused to work (SQLite error {kind}); check the file')}")


_MOST_ROWS = 1 << 62
"""SQLite's whole numbers have 64 bits."""
_NO_SHARED_MEMORY = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN)
_REASONS = {
    sqlite3.SQLITE_PERM: "may not be read; check the owner and the mode of the file",
    sqlite3.SQLITE_IOERR: "hit a disk input/output error; check the disk, then restore the store from a backup",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore it from a backup",
    sqlite3.SQLITE_FULL: "is on a full disk and nothing was changed; free some space and try again",
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened; check that this user may read and write the file and its directory"
        " (SQLite keeps -wal and -shm files there)"
    ),
    sqlite3.SQLITE_NOTADB: "is not a strongroom store; check the path",
    sqlite3.SQLITE_ERROR: "lacks the tables of a strongroom store; check the path, or restore it from a backup",
    sqlite3.SQLITE_TOOBIG: "cannot take a value of this size",
}


def check_path(path: str, url: str) -> None:
    """Raise `StoreError` for a path that no store takes."""
    try:
        if 0 < len(path.encode()) <= MAX_PATH_BYTES:
            return
    except UnicodeEncodeError:
        pass
    raise StoreError(f"{url} takes paths of 1 to {MAX_PATH_BYTES:,} bytes of UTF-8; this one is not such a path")


def check_bytes(value: object, url: str) -> bytes:
    """Return `value` as SQLite gave it, if it is what this store writes. Raises `TamperedError`."""
    if type(value) is bytes:
        return value
    raise TamperedError(f"{url}: an entry holds a {type(value).__name__} where bytes were written; restore a backup")


def check_revision(rows: list[tuple[object, ...]], url: str) -> int:
    """Return the revision in the one row of the table `store`. Raises `TamperedError` when it is not that."""
    if len(rows) == 1 and type(rows[0][0]) is int and rows[0][0] >= 0:
        return rows[0][0]
    raise TamperedError(f"{url}: the table of the revision does not hold one whole number; restore a backup")


def read_page(
    execute: Callable[[str, tuple[str, int]], sqlite3.Cursor], database: Database, prefix: str, after: str, limit: int
) -> list[tuple[str, bytes]]:
    """Return a page of entries as `strongroom.protocols.Reader.scan` describes it, in one statement."""
    if after >= prefix:
        sql, start = "SELECT path, value FROM entries WHERE path > ? ORDER BY path LIMIT ?", after
    else:
        sql, start = "SELECT path, value FROM entries WHERE path >= ? ORDER BY path LIMIT ?", prefix
    pairs, url = [], database.url
    try:
        # Closed whatever happens: a statement that is left open keeps its connection in the past.
        with closing(execute(sql, (start, min(max(limit, 0), _MOST_ROWS)))) as cursor:
            for path, value in cursor:
                if type(path) is not str:
                    raise TamperedError(f"{url}: a path is a {type(path).__name__}, not text; restore a backup")
                if not path.startswith(prefix):
                    break
                if len(path) > MAX_PATH_BYTES:
                    raise TamperedError(f"{url}: a path has {len(path):,} characters; restore a backup")
                pairs.append((path, check_bytes(value, url)))
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, database) from None
    return pairs
