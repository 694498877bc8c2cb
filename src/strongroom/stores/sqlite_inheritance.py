"""What a child process does with SQLite connections that it inherited through `fork`: nothing, for good.

SQLite keeps a table of open files in memory. It is copied by `fork`, the locks that it stands for are not. So a
connection made before the fork would work without locks in the child, and so would each new one on the same file
("How To Corrupt An SQLite Database File", section 2.6). Stores therefore close their connections before a fork; this
module is for those that could not be closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.errors import StoreError

if TYPE_CHECKING:
    import sqlite3

_kept: list[sqlite3.Connection] = []
_unusable: set[str] = set()


def abandon(path: str, connections: list[sqlite3.Connection]) -> None:
    """Never use nor close `connections` in this process, and open no others on the file at `path`."""
    _unusable.add(path)
    _kept.extend(connections)
    import ctypes

    for connection in connections:
        # Closing could roll back what the parent is writing. With one reference too many it never happens.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def check_not_inherited(path: str, url: str) -> None:
    """Raise `StoreError` when this process inherited the file at `path` with connections open."""
    if path in _unusable:
        raise StoreError(
            f"{url} was in use by the thread that forked this process, or forked without notice to Python;"
            " fork outside of views and transactions, or open the store only after the fork"
        )
