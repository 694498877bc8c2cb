"""Five methods are a store: it passes the suite, and skips what is optional."""

from __future__ import annotations

import os

from tests.stores.minimal import MinimalStore

from strongroom import abilities
from strongroom.protocols import Store
from strongroom.testing.stores import StoreSuite


class TestMinimalStore(StoreSuite):
    def create(self, place):
        return MinimalStore(os.path.join(place, "store"), create=True)

    def open(self, place):
        return MinimalStore(os.path.join(place, "store"))


def test_it_has_five_methods_and_a_url(tmp_path):
    members = {name for name in vars(Store) | {"get": 0, "scan": 0} if not name.startswith("_")}
    store = MinimalStore(f"{tmp_path}/store", create=True)
    assert {name for name in dir(store) if not name.startswith("_")} == members
    assert members == {"get", "scan", "view", "transaction", "close", "url"}


def test_it_has_no_optional_protocol(tmp_path):
    store = MinimalStore(f"{tmp_path}/store", create=True)
    asked = (
        abilities.shared_counters, abilities.change_notices, abilities.scrubbing, abilities.timed_transactions,
        abilities.reports,
    )  # fmt: skip
    assert [ask(store) for ask in asked] == [None] * len(asked)
    assert not abilities.moves_with_git(store)
    assert abilities.revision(store) == 0
