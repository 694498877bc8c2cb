"""The tables of a store, which are exactly these.

SQLite runs what a database defines. A trigger or a view of somebody who can write the file would let changes succeed
that do nothing; an index, a collation or a constraint could answer for the table.
"""

from __future__ import annotations

from strongroom.errors import NewerFormatError, StoreError, TamperedError
from strongroom.stores.sqlite_binding import sqlite3

APPLICATION_ID = 0x53545247
"""`STRG` in the header of the database file; `file` and SQLite show it."""
FORMAT = 1
"""The tables below; in the header as `user_version`."""
# SQLite compares TEXT byte by byte (BINARY), and the text is UTF-8: that is the order that a scan promises.
_ENTRIES = "CREATE TABLE entries (path TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID"
_STORE = "CREATE TABLE store (revision INTEGER NOT NULL)"
CREATE = (
    "PRAGMA auto_vacuum=NONE",
    "PRAGMA encoding='UTF-8'",
    "PRAGMA journal_mode=WAL",
    "BEGIN",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={FORMAT}",
    _ENTRIES,
    _STORE,
    "INSERT INTO store VALUES (0)",
    "COMMIT",
)
"""The statements that make an empty store."""
_SCHEMA = [("table", "entries", "entries", _ENTRIES), ("table", "store", "store", _STORE)]
_READ_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name LIMIT 9"


def check_format(connection: sqlite3.Connection, url: str) -> int:
    """Return the number of the schema, which grows with each change of it.

    Raises `StoreError` for a database of another program, `NewerFormatError`, and what `check_schema` raises."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID or version < 1:
        raise StoreError(f"{url} is not a strongroom store; check the path")
    if version > FORMAT:
        raise NewerFormatError(
            f"{url} has format {version}, this release of strongroom knows up to {FORMAT}; upgrade strongroom"
        )
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise TamperedError(f"{url} has the encoding {encoding}, where a store has UTF-8; restore it from a backup")
    return check_schema(connection, url, -1)


def check_schema(connection: sqlite3.Connection, url: str, known: int) -> int:
    """Return the number of the schema. Raises `TamperedError` for anything but the two tables of a store.

    They are not looked at again while the number is `known`: then SQLite uses what it has read of them before.
    """
    (number,) = connection.execute("PRAGMA schema_version").fetchone()
    if number == known:
        return known
    found = connection.execute(_READ_SCHEMA).fetchall()
    if found == _SCHEMA:
        return int(number)
    more = [row for row in found if row not in _SCHEMA]
    if not more:
        raise StoreError(f"{url} lacks the tables of a strongroom store; check the path, or restore it from a backup")
    kind, name = (str(word)[:60] for word in more[0][:2])
    if kind == "table" and name in ("entries", "store"):
        what = f"its table {name!a} is not defined as in a store"
    else:
        what = f"it holds the {kind!a} {name!a}, which no store has"
    raise TamperedError(
        f"{url} was changed from outside: {what}. Another definition could make changes that do nothing; restore it"
        " from a backup, or remove what was added if you added it"
    )
