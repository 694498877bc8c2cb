"""Opening a SQLite database as a store, making one, and saying what SQLite has against it."""

from __future__ import annotations

import os
from contextlib import closing, suppress

from strongroom.errors import StoreError, StoreExistsError
from strongroom.stores.placing import make_new, os_error
from strongroom.stores.sqlite_binding import sqlite3
from strongroom.stores.sqlite_database import Database, OtherFileError
from strongroom.stores.sqlite_inheritance import abandon, check_usable
from strongroom.stores.sqlite_results import SQLITE_ERRORS, sqlite_error
from strongroom.stores.sqlite_schema import CREATE, check_format, check_schema
from strongroom.stores.sqlite_side_files import SideFiles, check_side_files, have_moved, others_can_write

_SETTINGS = (
    # A hostile file may define views and triggers: they must not reach functions with side effects.
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA temp_store=MEMORY",
    # 64 MiB hold the pages of 100,000 entries. Not mmap: a truncated file would kill the process with SIGBUS.
    "PRAGMA cache_size=-65536",
    "PRAGMA mmap_size=0",
)
_LARGEST_ROW = 128 << 20
"""Bytes. A value has at most 16 MiB, of which a hostile file could make a gigabyte."""
_LENGTH = sqlite3.SQLITE_LIMIT_LENGTH
_PLAIN = frozenset(b"/-_.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_OVERWRITTEN = (
    "was overwritten while it was in use, and nothing more is read from it or written to it; stop all processes that"
    " use the store, and restore it from a backup"
)
_LOST_SIDE_FILES = (
    "is used by this process with a -wal or -shm file that was removed or replaced meanwhile, and what was written"
    " since may be lost; stop all processes that use the store, then start them again"
)


class Connection(sqlite3.Connection):
    """A connection that is never closed once its files are others.

    To close the last one of a process, SQLite writes the journal into the database and removes both side files by their
    names. If somebody has put another database there meanwhile, these are the other one's.
    """

    database: Database | None = None
    side_files: SideFiles = (None, None)
    writes = False
    """Whether it was opened to write too. SQLite may have opened it to read only all the same."""
    is_in_wal_mode = False
    can_write = False
    """Whether SQLite has been seen to write: it never opens the files again, so that stays so."""
    _is_open = True
    _schema = -1

    def check_schema(self) -> None:
        """Raise `TamperedError` when the database defines something that no store does."""
        assert self.database is not None, "set when it was opened"
        self._schema = check_schema(self, self.database.url, self._schema)

    def check_files(self) -> None:
        """Raise `StoreError` unless the database and its side files are those that were opened."""
        database = self.database
        assert database is not None, "set when it was opened"
        try:
            database.check()
            if self._is_open and self.is_in_wal_mode and not database.is_in_wal_mode():
                self.abandon(_OVERWRITTEN)
            if self._is_open and have_moved(database, self.side_files):
                self.abandon(_LOST_SIDE_FILES)
        except OtherFileError:
            self.abandon()
            raise
        except OSError as error:
            raise os_error(error, database.url) from None
        check_usable(database)

    def is_at_rest(self) -> bool:
        """True for a connection that can be used again."""
        return self._is_open and not self.in_transaction

    def close(self) -> None:
        """Close the connection, or leave it open for good when its files are others; closing twice is no error."""
        if self._is_open and self.database is not None:
            with suppress(StoreError):
                self.check_files()
        if self._is_open:
            super().close()
            self._is_open = False

    def __del__(self) -> None:
        with suppress(Exception):  # at the end of the process, when half of it is gone
            self.close()

    def abandon(self, why: str | None = None) -> None:
        """Leave the connection open for good; `why` nothing in this process may use this file any more."""
        if self._is_open and self.database is not None:
            self._is_open = False
            abandon(self.database.inode, [self], why)


def create_database(database: Database) -> None:
    """Make an empty store. Raises `StoreExistsError`, also for a journal left behind by an earlier one."""
    for ending in ("-wal", "-journal"):
        # SQLite would replay it into the new database.
        if os.path.lexists(database.path + ending) and not os.path.lexists(database.path):
            raise StoreExistsError(f"{database.url}{ending} is left of an earlier store; move it away first")
    make_new(database.path, database.url, lambda draft: _write_tables(draft, database.url))


def open_database(database: Database) -> tuple[Connection, bool]:
    """Open the store; the second is whether the connection sees later commits of others.

    It does not for a database on read-only media, which is to be opened anew for each read.

    Raises `NewerFormatError`, `TamperedError`, `StoreBusyError`, and `StoreError` when it is not a store, cannot be
    read, or is another file than at first.
    """
    check_usable(database)
    found = database.check()
    try:
        connection, follows = _open(database, found)
        if connection.writes and not connection.is_in_wal_mode:
            # Already so, unless somebody put a copy made by VACUUM INTO in its place.
            connection.close()
            _enter_wal_mode(database)
            connection, follows = _open(database, database.check())
        return connection, follows
    except OSError as error:
        raise os_error(error, database.url) from None
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, database) from None


def _open(database: Database, found: os.stat_result) -> tuple[Connection, bool]:
    if not others_can_write(database):
        check_side_files(database, found)
        return _open_as_allowed(database, found)
    from strongroom.stores.sqlite_guard import guarded

    with guarded(database, found):
        check_side_files(database, found)
        return _open_as_allowed(database, found)


def _open_as_allowed(database: Database, found: os.stat_result) -> tuple[Connection, bool]:
    if os.access(database.path, os.W_OK):
        return _connect(database, found, "mode=rw"), True
    # Who may not write the store makes no files beside it: their owner would be a stranger to those who may.
    if _is_at_rest(database):
        return _connect(database, found, "immutable=1"), False
    return _connect(database, found, "mode=ro&readonly_shm=1"), True


def _is_at_rest(database: Database) -> bool:
    """True when nobody has the database open to write: to read it without locks cannot meet a writer then."""
    try:
        return os.lstat(database.path + "-wal").st_size == 0 and not os.path.lexists(database.path + "-shm")
    except FileNotFoundError:
        return True


def _connect(database: Database, found: os.stat_result, how: str) -> Connection:
    # Three slashes: a path that starts with two would otherwise be taken for a host. Bytes that are not UTF-8 stay.
    path = _quoted(os.fsencode(database.path))
    connection = sqlite3.connect(
        f"file://{path}?{how}",
        uri=True,
        timeout=database.timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    try:
        connection.database, connection.writes = database, how == "mode=rw"
        connection.setlimit(_LENGTH, _LARGEST_ROW)
        connection.execute("BEGIN")  # one lock for all that is asked
        connection._schema = check_format(connection, database.url)
        connection.execute("COMMIT")
        for setting in _SETTINGS:
            connection.execute(setting)
        if how != "immutable=1":
            # Looked at again, as by now they are there for certain. While a connection is open they stay.
            connection.side_files = check_side_files(database, found)
            connection.is_in_wal_mode = database.is_in_wal_mode()
        database.check()
    except BaseException:
        connection.close()
        raise
    return connection


def _quoted(path: bytes) -> str:
    if _PLAIN.issuperset(path):
        return path.decode()
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in path)


def _enter_wal_mode(database: Database) -> None:
    from strongroom.stores.sqlite_guard import enter_wal_mode

    if not enter_wal_mode(database):
        with closing(_connect(database, database.check(), "mode=rw")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _write_tables(draft: str, url: str) -> None:
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            for statement in CREATE:
                connection.execute(statement)
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, Database(draft, url, 0)) from None
    finally:
        # SQLite has removed them, unless it failed half-way.
        for ending in ("-wal", "-shm", "-journal"):
            with suppress(FileNotFoundError):
                os.unlink(draft + ending)
