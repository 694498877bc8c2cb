"""Opening a SQLite database as a store, making one, and saying what SQLite has against it."""

from __future__ import annotations

# `sqlite3` itself would bring `datetime`, to adapt dates: a thirtieth of the start of a command.
import _sqlite3 as sqlite3
import os
from contextlib import closing, suppress

from strongroom.errors import NewerFormatError, StoreError, StoreExistsError
from strongroom.stores.placing import make_new, not_found, os_error
from strongroom.stores.sqlite_inheritance import check_not_inherited
from strongroom.stores.sqlite_results import SQLITE_ERRORS, sqlite_error

APPLICATION_ID = 0x53545247
"""`STRG` in the header of the database file; `file` and SQLite show it."""
FORMAT = 1
"""The tables below; in the header as `user_version`."""

_TABLES = (
    # SQLite compares TEXT byte by byte (BINARY), and the text is UTF-8: that is the order that a scan promises.
    "CREATE TABLE entries (path TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE store (revision INTEGER NOT NULL)",
    "INSERT INTO store VALUES (0)",
)
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


class Place:
    """Where a database is and how long to wait for its lock. Immutable."""

    __slots__ = ("path", "timeout", "url")

    def __init__(self, path: str, url: str, timeout: float) -> None:
        self.path = path
        """Absolute."""
        self.url = url
        """As the user wrote it, for messages."""
        self.timeout = timeout
        """Seconds."""


def create_database(place: Place) -> None:
    """Make an empty store. Raises `StoreExistsError`, also for a journal left behind by an earlier one."""
    for ending in ("-wal", "-journal"):
        # SQLite would replay it into the new database.
        if os.path.lexists(place.path + ending) and not os.path.lexists(place.path):
            raise StoreExistsError(f"{place.url}{ending} is left of an earlier store; move it away first")
    make_new(place.path, place.url, lambda draft: _write_tables(Place(draft, place.url, place.timeout)))


def open_database(place: Place) -> tuple[sqlite3.Connection, bool]:
    """Open the store at `place`; the second is whether the connection sees later commits of others.

    It does not for a database on read-only media, which is to be opened anew for each read.

    Raises `StoreNotFoundError`, `NewerFormatError`, and `StoreError` when it is not a store or cannot be read.
    """
    check_not_inherited(place.path, place.url)
    try:
        os.stat(place.path)
    except FileNotFoundError:
        raise not_found(place.url) from None
    except OSError as error:
        raise os_error(error, place.url) from None
    try:
        try:
            return _connect(place, "mode=rw"), True
        except sqlite3.OperationalError:
            if not _is_at_rest_and_read_only(place.path):
                raise
            return _connect(place, "immutable=1"), False
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, place.url) from None


def _connect(place: Place, how: str) -> sqlite3.Connection:
    # Three slashes: a path that starts with two would otherwise be taken for a host.
    name = place.path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(
        f"file://{name}?{how}", uri=True, timeout=place.timeout, isolation_level=None, check_same_thread=False
    )
    try:
        _check_format(connection, place.url)
        for setting in _SETTINGS:
            connection.execute(setting)
        if how == "mode=rw":
            # Already so, unless somebody put a copy made by VACUUM INTO in its place.
            connection.execute("PRAGMA journal_mode=WAL")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_format(connection: sqlite3.Connection, url: str) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreError(f"{url} is not a strongroom store; check the path")
    if version > FORMAT:
        raise NewerFormatError(
            f"{url} has format {version}, this release of strongroom knows up to {FORMAT}; upgrade strongroom"
        )


def _write_tables(place: Place) -> None:
    try:
        with closing(sqlite3.connect(place.path, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN")
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute("COMMIT")
    except SQLITE_ERRORS as error:
        raise sqlite_error(error, place.url) from None
    finally:
        # SQLite has removed them, unless it failed half-way.
        for ending in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(place.path + ending)


def _is_at_rest_and_read_only(path: str) -> bool:
    # Without a -wal file nobody has the database open, so reading it without locks cannot meet a writer.
    writable = os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK)
    return not writable and not os.path.exists(path + "-wal")
