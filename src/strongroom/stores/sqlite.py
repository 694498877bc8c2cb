"""The embedded default: a SQLite database in WAL mode, for many threads and processes of one machine.

Point reads have one connection, behind a lock: SQLite keeps a read snapshot for as long as any statement of a
connection is active, so reads that overlap on it could return a state older than their own start. Views and
transactions have connections of their own, so that nobody sees what is not committed. A point read that was done
already is not done again while `strongroom.stores.generation` says that nobody has begun to change that path since.

While a process has the store open, nothing in it may open and close the database file by other means: closing any
descriptor of a file drops the POSIX locks that SQLite holds on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Lock, RLock, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any

from strongroom.errors import StoreBusyError, StoreError, StrongroomError
from strongroom.stores import forking
from strongroom.stores.generation import LOOK_EVERY, NEVER_CLEAN, Generation, place_of_mark
from strongroom.stores.placing import absolute
from strongroom.stores.sqlite_connection import create_database, open_database
from strongroom.stores.sqlite_database import Database, real_path
from strongroom.stores.sqlite_inheritance import INHERITED, abandon, check_usable
from strongroom.stores.sqlite_results import SQLITE_ERRORS, check_bytes, check_revision, read_page, sqlite_error

if TYPE_CHECKING:
    import sqlite3

    from strongroom.protocols import Reports
    from strongroom.stores.sqlite_connection import Connection
    from strongroom.stores.sqlite_pool import Pool
    from strongroom.stores.sqlite_session import Session

_GET = "SELECT value FROM entries WHERE path = ?"
_REVISION = "SELECT revision FROM store"
_FEW = 16
"""Reads of the store before the counter is looked for: a process that ends sooner would gain nothing by it."""

_LONGEST = 60.0
"""Seconds to wait for another thread that reads, which itself may wait for another process meanwhile."""


class SqliteStore:
    """Implements `strongroom.protocols.Store` on the database file `path`; `timeout` (seconds) is for its locks.

    With `create` the file is made (mode 0600), never overwritten.

    Raises `StoreNotFoundError`, `StoreExistsError`, `NewerFormatError`, and `StoreError` when it is no store.
    """

    def __init__(self, path: str, *, create: bool = False, timeout: float = 30.0) -> None:
        self.url = f"sqlite:{path}"
        self._database = Database(real_path(absolute(path, self.url), self.url, create=create), self.url, timeout)
        if create:
            create_database(self._database)
        self._database.pin()
        self._reading = RLock()  # reentrant: a signal handler may read while its thread does
        self._writing = Lock()
        self._pool: Pool | None = None
        self._generation = Generation(self._database)
        self._reads = 0
        self._check_at = 0.0
        self._writer = (0, 0.0)
        self._reader: Connection | None = None
        self._execute: Callable[[str, tuple[Any, ...]], sqlite3.Cursor] = self._open_and_execute
        self._at_rest = self._closed = False
        forking.watch(self)
        try:
            self.revision()
        except BaseException:
            self.close()
            raise

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None. Raises `StoreError` and `TamperedError`."""
        generation = self._generation
        kept = generation.kept.get(path)
        try:
            # In this order: numbers that were not looked at for a second may be gone, and to read them would be SIGBUS.
            if kept is not None and monotonic() < generation.look_at and kept[1] == generation.cells[kept[0]]:
                return kept[2]
        except IndexError:
            pass  # closed by another thread just now
        return self._read(path)

    def _read(self, path: str) -> bytes | None:
        generation = self._generation
        if monotonic() >= generation.look_at:
            self._reads += 1
            self._look() if self._reads > _FEW else self._check_now_and_then()
        cells = generation.cells
        try:
            place = 0 if cells is NEVER_CLEAN else place_of_mark(path)
            mark = cells[place]
            begun, ended = cells[:2]
            reading = self._lock_to_read()
            try:
                row = self._execute(_GET, (path,)).fetchone()
            finally:
                reading.release()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None
        value = None if row is None else check_bytes(row[0], self.url)
        if begun == ended:
            generation.keep(path, place, mark, value)
        return value

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        self._check_now_and_then()
        reading = self._lock_to_read()
        try:
            return read_page(self._execute, self._database, prefix, after, limit)
        finally:
            reading.release()

    def revision(self) -> int:
        """Return the number of commits so far."""
        self._check_now_and_then()
        return self._revision()

    def _revision(self) -> int:
        before = self._database.at_least
        try:
            reading = self._lock_to_read()
            try:
                rows = self._execute(_REVISION, ()).fetchmany(2)
            finally:
                reading.release()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None
        revision = check_revision(rows, self.url)
        self._database.see(revision, before)
        return revision

    def commits(self) -> Sequence[int] | None:
        """Return the shared counter; see `strongroom.protocols.SharedCounters`."""
        generation = self._generation
        if monotonic() >= generation.look_at:
            self._look()
        return None if generation.cells is NEVER_CLEAN else generation.commits

    def mark(self, path: str) -> Sequence[int] | None:
        """Return the shared counter of some paths; see `strongroom.protocols.SharedCounters`."""
        place, cells = place_of_mark(path), self._generation.cells
        return None if cells is NEVER_CLEAN else cells[place : place + 1]

    @contextmanager
    def view(self) -> Iterator[Session]:
        """Return a consistent snapshot of the store as it is now."""
        self._check_now_and_then()
        with self._connections().lend() as session:
            try:
                session.begin()
                yield session
            finally:
                session.roll_back()

    def transaction(self) -> AbstractContextManager[Session]:
        """Hold the write lock; commit durably at a clean exit, roll back when the block raises."""
        return self.transaction_within(self._database.timeout)

    @contextmanager
    def transaction_within(self, seconds: float) -> Iterator[Session]:
        """Like `transaction`; raises `StoreBusyError` when the write lock is not free within so many seconds."""
        writing = self._writing  # the child of a fork in here gets another one, and must not release that
        if not writing.acquire(timeout=seconds):
            raise self._busy()
        try:
            self._writer = get_ident(), monotonic()
            with self._connections().lend_to_write(seconds) as session:
                yield session
                self._commit(session)
        finally:
            writing.release()

    def _commit(self, session: Session) -> None:
        if not session.changed:
            session.commit()
            return
        number = self._generation.begin(session.changed)
        try:
            session.commit()
        finally:
            self._generation.end(number)

    def scrub(self) -> bool:
        """Remove from the files what was deleted or replaced: after True no old bytes are left in them.

        Writes all entries anew, in well under a second for 100,000 of them. False when a reader or a writer was in
        the way for a second, or the disk is full: call again later.
        """
        with self._connections().lend() as session:
            return session.rebuild()

    @property
    def reports(self) -> Reports:
        """What running processes report; see `strongroom.protocols.Reporting`."""
        from strongroom.stores.reports import DirectoryReports

        return DirectoryReports(self._database.path, self.url)

    def close(self) -> None:
        """Close all connections; closing twice is no error. Views and transactions that are under way end well."""
        with self._reading:
            self._closed = True
            self._generation.close()
            self._close_reader()
            self._execute = self._refuse
            pool = self._pool
        if pool is None:
            self._database.close()
        else:
            pool.close()

    def before_fork(self) -> None:
        """Close all connections; those of views and transactions of other threads once these have ended."""
        # First, because a thread in a view may need the lock below to go on; and made if there is none, or another
        # thread could make it and borrow from it before that lock is taken.
        self._connections().before_fork()
        self._at_rest = self._reading.acquire(timeout=self._database.timeout)
        if self._at_rest:
            self._close_reader()

    def after_fork_in_parent(self) -> None:
        """Let the next call open a connection again."""
        if self._at_rest:
            self._at_rest = False
            self._reading.release()
        if self._pool is not None:
            self._pool.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start with new locks, and with new connections unless some were inherited."""
        self._reading, self._writing, self._at_rest = RLock(), Lock(), False
        inherited: list[sqlite3.Connection] = []
        inherited += [] if self._pool is None else self._pool.after_fork_in_child()
        if self._reader is not None:
            inherited.append(self._reader)
            self._reader = None
        if inherited:
            abandon(self._database.inode, inherited, INHERITED)
        if not self._closed:
            self._execute = self._open_and_execute

    def _look(self) -> None:
        self._check()
        self._generation.look(self._revision)

    def _check_now_and_then(self) -> None:
        if monotonic() >= self._check_at:
            self._check()

    def _check(self) -> None:
        """Raise `StoreError` unless all files are those that were opened, and define what they did."""
        self._check_at = 0.0
        reader = self._reader
        try:
            if reader is None:
                if not self._closed:
                    self._database.check()
                    check_usable(self._database)
            else:
                reader.check_files()
                self._check_tables()
        except StrongroomError:
            self._drop_reader()
            raise
        self._check_at = monotonic() + LOOK_EVERY

    def _check_tables(self) -> None:
        try:
            reading = self._lock_to_read()
            try:
                if self._reader is not None:
                    self._reader.check_schema()
            finally:
                reading.release()
        except SQLITE_ERRORS as error:
            raise self._failed(error) from None

    def _connections(self) -> Pool:
        """Return the pool; a process that reads one secret never needs it."""
        if self._pool is None:
            from strongroom.stores.sqlite_pool import Pool

            with self._reading:
                self._pool = self._pool or Pool(self._database)
                if self._closed:
                    self._pool.close()
        return self._pool

    def _open_and_execute(self, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        self._close_reader()
        self._reader, follows = open_database(self._database)
        if follows:
            self._execute = self._reader.execute
        return self._reader.execute(sql, values)

    def _lock_to_read(self) -> RLock:
        reading = self._reading
        if not reading.acquire(timeout=_LONGEST):
            raise StoreBusyError(
                f"{self.url}: another thread reads for too long; look for a stuck disk, or for a stuck process"
            )
        return reading

    def _busy(self) -> StoreBusyError:
        import threading

        thread, since = self._writer
        name = next((each.name for each in threading.enumerate() if each.ident == thread), "one that has ended")
        return StoreBusyError(
            f"{self.url}: another thread of this process ({name!a}) holds the lock since {monotonic() - since:.0f} s;"
            " look what it waits for"
        )

    def _failed(self, error: Exception) -> StrongroomError:
        """Return what to raise; the connection is not used again, in case it was opened in a bad moment."""
        failed = sqlite_error(error, self._database)
        if not isinstance(failed, StoreBusyError):
            self._drop_reader()
        return failed

    def _drop_reader(self) -> None:
        reading = self._lock_to_read()
        try:
            self._close_reader()
        finally:
            reading.release()

    def _refuse(self, sql: str, values: tuple[Any, ...]) -> sqlite3.Cursor:
        raise StoreError(f"{self.url} is closed; open it again")

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if not self._closed:
            self._execute = self._open_and_execute


def connect(rest: str, *, create: bool) -> SqliteStore:
    """Return the store at the address `sqlite:` + `rest`."""
    return SqliteStore(rest, create=create)
