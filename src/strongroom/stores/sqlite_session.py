"""One `with` block on a SQLite store: a view or a transaction, on a connection of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import TYPE_CHECKING

from strongroom.errors import StoreError, StrongroomError, TamperedError
from strongroom.stores.sqlite_results import (
    SQLITE_ERRORS,
    check_bytes,
    check_path,
    check_revision,
    read_page,
    sqlite_error,
)

if TYPE_CHECKING:
    from strongroom.stores.sqlite_connection import Connection
    from strongroom.stores.sqlite_database import Database

REBUILD_SECONDS = 1.0
"""How long `rebuild` waits for others; it keeps writers out meanwhile."""
_PROBE = "DELETE FROM store WHERE 0"
"""Changes nothing, and fails where SQLite has opened the database to read only, which BEGIN does not tell."""


class Session:
    """A `Transaction`, or a `View` that nobody writes to, on a connection that nobody else uses meanwhile."""

    __slots__ = ("_connection", "_database", "_url", "changed", "has_failed", "revision", "thread")

    def __init__(self, connection: Connection, database: Database) -> None:
        self._connection: Connection | None = connection
        self._database = database
        self._url = database.url
        self.changed: set[str] = set()
        """The paths that were written or removed."""
        self.has_failed = False
        """Whether SQLite has refused something; its connection is not used again then."""
        self.revision = 0
        self.thread = get_ident()

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None."""
        try:
            row = self._usable().execute("SELECT value FROM entries WHERE path = ?", (path,)).fetchone()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None
        return None if row is None else check_bytes(row[0], self._url)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        return read_page(self._usable().execute, self._database, prefix, after, limit)

    def put(self, path: str, value: bytes) -> None:
        """Write `value` at `path`, replacing what was there."""
        check_path(path, self._url)
        if not isinstance(value, bytes | bytearray | memoryview):
            raise StoreError(f"{self._url} takes bytes, not {type(value).__name__}")
        count = self._write("INSERT OR REPLACE INTO entries (path, value) VALUES (?, ?)", (path, bytes(value)))
        self.changed.add(path)
        self._expect(count == 1)

    def delete(self, path: str) -> None:
        """Remove `path`; no error when there is nothing."""
        if count := self._write("DELETE FROM entries WHERE path = ?", (path,)):
            self.changed.add(path)
        self._expect(count == 1 or (count == 0 and self.get(path) is None))

    def begin(self) -> None:
        """Start to read; reading the revision is what fixes the snapshot."""
        self._run("BEGIN")
        self.revision = self.stored_revision()

    def begin_to_write(self, seconds: float) -> None:
        """Take the write lock, and see that the database is what it shall be.

        Raises `StoreBusyError` when the lock is not free within so many seconds, and `ReadOnlyError` too.
        """
        with self._patient_for(seconds):
            self._run("BEGIN IMMEDIATE")
        connection = self._usable()
        if not connection.can_write:
            self._run(_PROBE)
            connection.can_write = True
        connection.check_files()
        try:
            connection.check_schema()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None
        self.revision = self.stored_revision() + 1

    def stored_revision(self) -> int:
        """Return the revision as this session sees it, first when it begins. Raises `RollbackError`."""
        before = self._database.at_least
        revision = check_revision(self._run("SELECT revision FROM store"), self._url)
        self._database.see(revision, before)
        return revision

    def commit(self) -> None:
        """Make the changes durable, or end quietly if there are none.

        Raises `StoreError` when the files turn out not to be at their paths any more: nobody will see the changes.
        """
        if self.changed:
            self._expect(self._write("UPDATE store SET revision = ?", (self.revision,)) == 1)
        self._run("COMMIT")
        if self.changed:
            self._usable().check_files()
            self._database.see(self.revision, 0)

    def rebuild(self) -> bool:
        """Write the database anew and empty the -wal file; False when that was not possible now.

        `secure_delete` alone is not enough: when SQLite moves an entry to another page, to balance its tree, a copy
        stays in the free space of the old one, and deleting the entry later does not reach that copy.
        """
        self._usable().check_files()
        with self._patient_for(REBUILD_SECONDS):
            try:
                self._run("VACUUM")
                return self._run("PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
            except StoreError:
                return False  # a reader, a writer or a full disk

    @contextmanager
    def _patient_for(self, seconds: float) -> Iterator[None]:
        """Wait for locks no longer than that in the block."""
        if seconds == self._database.timeout:
            yield
            return
        self._run(f"PRAGMA busy_timeout={int(seconds * 1000)}")
        try:
            yield
        finally:
            self._run(f"PRAGMA busy_timeout={int(self._database.timeout * 1000)}")

    def roll_back(self) -> None:
        """Undo everything since `begin`. Where SQLite cannot, closing the connection will."""
        connection = self._connection
        if connection is not None and connection.in_transaction:
            with suppress(*SQLITE_ERRORS):
                connection.execute("ROLLBACK")

    def detach(self) -> Connection | None:
        """Refuse everything from now on, and return the connection unless that was done before."""
        connection, self._connection = self._connection, None
        return connection

    def _usable(self) -> Connection:
        if self._connection is None:
            raise StoreError(
                f"{self._url}: this view or transaction has ended, or was begun before a fork; begin another"
            )
        return self._connection

    def _expect(self, is_so: bool) -> None:
        if not is_so:
            raise TamperedError(
                f"{self._url} did not take a change as it must: something defined in it stands in the way; restore it"
                " from a backup"
            )

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        """Return how many rows were changed."""
        try:
            return self._usable().execute(sql, values).rowcount
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None

    def _run(self, sql: str) -> list[tuple[object, ...]]:
        try:
            return self._usable().execute(sql).fetchall()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None

    def _failed(self, error: Exception) -> StrongroomError:
        self.has_failed = True
        return sqlite_error(error, self._database)
