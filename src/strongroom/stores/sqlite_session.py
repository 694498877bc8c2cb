"""One `with` block on a SQLite store: a view or a transaction, on a connection of its own."""

from __future__ import annotations

from _thread import get_ident
from contextlib import suppress
from typing import TYPE_CHECKING

from strongroom.errors import StoreError
from strongroom.stores.sqlite_results import SQLITE_ERRORS, check_bytes, check_revision, read_page, sqlite_error

if TYPE_CHECKING:
    import sqlite3

REBUILD_MILLISECONDS = 1000
"""How long `rebuild` waits for others; it keeps writers out meanwhile."""


class Session:
    """A `Transaction` (a view uses it as a `Reader` only) on a connection that nobody else uses meanwhile."""

    __slots__ = ("_connection", "_url", "changed", "revision", "thread")

    def __init__(self, connection: sqlite3.Connection, url: str) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._url = url
        self.changed: set[str] = set()
        """The paths that were written or removed."""
        self.revision = 0
        self.thread = get_ident()

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None."""
        try:
            row = self._usable().execute("SELECT value FROM entries WHERE path = ?", (path,)).fetchone()
        except SQLITE_ERRORS as error:
            raise sqlite_error(error, self._url) from None
        return None if row is None else check_bytes(row[0], self._url)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        return read_page(self._usable().execute, self._url, prefix, after, limit)

    def put(self, path: str, value: bytes) -> None:
        """Write `value` at `path`, replacing what was there."""
        self._write("INSERT OR REPLACE INTO entries (path, value) VALUES (?, ?)", (path, bytes(value)))
        self.changed.add(path)

    def delete(self, path: str) -> None:
        """Remove `path`; no error when there is nothing."""
        if self._write("DELETE FROM entries WHERE path = ?", (path,)):
            self.changed.add(path)

    def begin(self, statement: str) -> int:
        """Start with `statement` (a kind of BEGIN) and return the revision; reading it is what fixes the snapshot."""
        self._run(statement)
        return self.stored_revision()

    def stored_revision(self) -> int:
        """Return the revision as this session sees it."""
        return check_revision(self._run("SELECT revision FROM store"), self._url)

    def commit(self) -> None:
        """Make the changes durable, or end quietly if there are none."""
        if self.changed:
            self._run("UPDATE store SET revision = ?", (self.revision,))
        self._run("COMMIT")

    def rebuild(self) -> bool:
        """Write the database anew and empty the -wal file; False when that was not possible now.

        `secure_delete` alone is not enough: when SQLite moves an entry to another page, to balance its tree, a copy
        stays in the free space of the old one, and deleting the entry later does not reach that copy.
        """
        ((timeout,),) = self._run("PRAGMA busy_timeout")
        self._run(f"PRAGMA busy_timeout={REBUILD_MILLISECONDS}")
        try:
            self._run("VACUUM")
            return self._run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
        except StoreError:
            return False  # a reader, a writer or a full disk
        finally:
            self._run(f"PRAGMA busy_timeout={timeout}")

    def roll_back(self) -> None:
        """Undo everything since `begin`. Where SQLite cannot, closing the connection will."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            with suppress(*SQLITE_ERRORS):
                connection.execute("ROLLBACK")

    def detach(self) -> sqlite3.Connection | None:
        """Refuse everything from now on, and return the connection unless that was done before."""
        connection, self._connection = self._connection, None
        return connection

    def _usable(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(
                f"{self._url}: this view or transaction has ended, or was begun before a fork; begin another"
            )
        return self._connection

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        """Return how many rows were changed."""
        try:
            return self._usable().execute(sql, values).rowcount
        except SQLITE_ERRORS as error:
            raise sqlite_error(error, self._url) from None

    def _run(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        try:
            return self._usable().execute(sql, values).fetchall()
        except SQLITE_ERRORS as error:
            raise sqlite_error(error, self._url) from None
