"""The memory store."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.errors import ConfigError, StoreBusyError
from strongroom.stores import memory
from strongroom.stores.memory import MemoryStore
from strongroom.testing.store_case import put
from strongroom.testing.stores import StoreSuite


class TestMemoryStore(StoreSuite):
    shared_between_processes = False

    def create(self, place: Path) -> MemoryStore:
        return MemoryStore()


def test_each_connection_is_a_store_of_its_own():
    first, second = memory.connect("", create=False), memory.connect("", create=True)
    put(first, "a", b"1")
    assert second.get("a") is None


def test_the_address_has_nothing_after_the_colon():
    with pytest.raises(ConfigError, match="nothing after the colon"):
        memory.connect("somewhere", create=True)


def test_a_transaction_inside_a_transaction_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "LOCK_SECONDS", 0.01)
    store = MemoryStore()
    with store.transaction(), pytest.raises(StoreBusyError, match="memory: is locked"), store.transaction():
        pytest.fail("the second transaction began")
