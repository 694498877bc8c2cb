"""Connections that nobody may use or close any more, because SQLite believes of them what is not so.

SQLite keeps a table of open files in memory. It is copied by `fork`, the locks that it stands for are not. So a
connection made before the fork would work without locks in the child, and so would each new one on the same file
("How To Corrupt An SQLite Database File", section 2.6). Stores therefore close their connections before a fork; this
module is for those that could not be closed, and for those whose files were removed or replaced (section 2.4).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from strongroom.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

    from strongroom.stores.sqlite_database import Database, Inode

_kept: list[sqlite3.Connection] = []
_unusable: dict[Inode, str] = {}
INHERITED = (
    "was in use by the thread that forked this process, or forked without notice to Python;"
    " fork outside of views and transactions, or open the store only after the fork"
)


def abandon(inode: Inode, connections: list[sqlite3.Connection], why: str | None) -> None:
    """Never use nor close `connections` in this process; for a reason `why`, open no others on this file either."""
    if why is not None:
        _unusable[inode] = why
    _kept.extend(connections)
    with suppress(ImportError, OSError):  # without a free descriptor; then they are open until the process ends
        import ctypes

        for connection in connections:
            # Closing could roll back what the parent is writing. With one reference too many it never happens.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def check_usable(database: Database) -> None:
    """Raise `StoreError` when connections on this file were abandoned in this process."""
    if _unusable and (why := _unusable.get(database.inode)):
        raise StoreError(f"{database.url} {why}")
