"""What comes back from a SQLite database: rows that are checked, or an error that says what is wrong."""

from __future__ import annotations

import _sqlite3 as sqlite3
from collections.abc import Callable
from contextlib import closing

from strongroom.errors import StoreBusyError, StoreError, StrongroomError, TamperedError

SQLITE_ERRORS = (sqlite3.Error, UnicodeDecodeError)
"""What the Python module raises; the second when SQLite's message quotes damaged text that is not UTF-8."""


def sqlite_error(error: Exception, url: str) -> StrongroomError:
    """Return what to raise for `error`. SQLite's own words are left out, for they can quote what is stored."""
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
        return StoreBusyError(f"{url}: another process holds the lock for too long; try again, or look for a stuck one")
    return StoreError(f"{url} {_REASONS.get(kind, f'refused to work (SQLite error {kind}); check the file')}")


_NO_SHARED_MEMORY = (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMOPEN)
_REASONS = {
    sqlite3.SQLITE_PERM: "may not be read; check the owner and the mode of the file",
    sqlite3.SQLITE_READONLY: "is read-only for this process; check the mode and owner of it and its directory",
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
    execute: Callable[[str, tuple[str, int]], sqlite3.Cursor], url: str, prefix: str, after: str, limit: int
) -> list[tuple[str, bytes]]:
    """Return a page of entries as `strongroom.protocols.Reader.scan` describes it, in one statement."""
    if after >= prefix:
        sql, start = "SELECT path, value FROM entries WHERE path > ? ORDER BY path LIMIT ?", after
    else:
        sql, start = "SELECT path, value FROM entries WHERE path >= ? ORDER BY path LIMIT ?", prefix
    pairs = []
    try:
        # Closed whatever happens: a statement that is left open keeps its connection in the past.
        with closing(execute(sql, (start, max(limit, 0)))) as cursor:
            for path, value in cursor:
                if type(path) is not str:
                    raise TamperedError(f"{url}: a path is a {type(path).__name__}, not text; restore a backup")
                if not path.startswith(prefix):
                    break
                pairs.append((path, check_bytes(value, url)))
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, url) from None
    return pairs
