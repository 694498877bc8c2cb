"""The suite for stores: what `strongroom.protocols.Store` promises, and its optional Protocols, as tests.

Subclass it in a test module and say how to make and open your store:

    class TestMyStore(StoreSuite):
        def create(self, place):
            return MyStore(place / "store", create=True)

        def open(self, place):
            return MyStore(place / "store")

`place` is an empty directory of the test; a store that lives elsewhere can use its name as a key. The class must be
importable from its module, because other processes open the store through it.
"""

from __future__ import annotations

import pytest

# Before the import below, so that a failing assertion of the suite shows its values.
pytest.register_assert_rewrite(
    "strongroom.testing.store_abilities",
    "strongroom.testing.store_entries",
    "strongroom.testing.store_reports",
    "strongroom.testing.store_sharing",
)

from strongroom.testing.store_abilities import AbilityTests  # noqa: E402
from strongroom.testing.store_entries import EntryTests  # noqa: E402
from strongroom.testing.store_reports import ReportTests  # noqa: E402
from strongroom.testing.store_sharing import SharingTests  # noqa: E402

__all__ = ["StoreSuite"]


class StoreSuite(EntryTests, SharingTests, AbilityTests, ReportTests):
    """What holds for every store. Override `create` and `open`; set `shared_between_processes` as it applies."""
