"""SQLite as the store uses it: the functions below the standard library's `sqlite3`."""

from __future__ import annotations

# `sqlite3` itself adds only adapters for dates, which nothing here uses, and loads `datetime` for them.
import _sqlite3 as sqlite3

__all__ = ["sqlite3"]
