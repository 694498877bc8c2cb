from __future__ import annotations

from pathlib import Path

from strongroom.stores.file import FileStore
from strongroom.testing.stores import StoreConformance


class TestFileStore(StoreConformance):
    def create(self, place: Path) -> FileStore:
        return FileStore(str(place / "secrets.enc"), create=True, timeout=5)

    def open(self, place: Path) -> FileStore:
        return FileStore(str(place / "secrets.enc"), timeout=5)
