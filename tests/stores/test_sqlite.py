from __future__ import annotations

from pathlib import Path

from strongroom.stores.sqlite import SqliteStore
from strongroom.testing.stores import StoreConformance


class TestSqliteStore(StoreConformance):
    def create(self, place: Path) -> SqliteStore:
        return SqliteStore(str(place / "secrets.db"), create=True, timeout=5)

    def open(self, place: Path) -> SqliteStore:
        return SqliteStore(str(place / "secrets.db"), timeout=5)
