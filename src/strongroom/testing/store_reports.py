"""What a store with `strongroom.protocols.Reporting` does besides."""
# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from strongroom import abilities
from strongroom.abilities import revision
from strongroom.protocols import Reports, Store
from strongroom.testing.store_case import StoreCase, in_child, in_threads, put

KEY, OTHER = "0123456789abcdef-01", "0123456789abcdef-02"


class ReportTests(StoreCase):
    """What processes report beside a store; skipped for a store without `reports`."""

    @pytest.fixture
    def reports(self, store: Store) -> Reports:
        """Give the reports of a new store."""
        return _reports_of(store)

    def test_a_report_is_replaced_whole_and_removed(self, reports: Reports) -> None:
        assert reports.scan() == []
        reports.put(KEY, b"first, and longer")
        reports.put(KEY, b"second")
        assert reports.scan() == [(KEY, b"second")]
        reports.remove(KEY)
        reports.remove(KEY)
        assert reports.scan() == []

    def test_reports_are_found_by_the_start_of_their_keys_in_order(self, reports: Reports) -> None:
        for key in ("b-2", "a-1", "b-1", "c"):
            reports.put(key, key.encode())
        assert reports.scan("b") == [("b-1", b"b-1"), ("b-2", b"b-2")]
        assert [key for key, _ in reports.scan()] == ["a-1", "b-1", "b-2", "c"]
        assert reports.scan("d") == []

    @pytest.mark.parametrize("report", [b"", bytes(range(256)), bytes(4096)], ids=["empty", "every byte", "largest"])
    def test_a_report_holds_any_bytes_up_to_4_kib(self, reports: Reports, report: bytes) -> None:
        reports.put("f" * 80, report)
        assert reports.scan() == [("f" * 80, report)]

    def test_reports_are_no_part_of_the_store(self, store: Store, reports: Reports) -> None:
        put(store, "a", b"1")
        reports.put(KEY, b"report")
        assert (revision(store), store.scan()) == (1, [("a", b"1")])

    def test_reports_wait_for_no_transaction(self, store: Store, reports: Reports) -> None:
        with store.transaction() as transaction:
            transaction.put("a", b"1")
            reports.put(KEY, b"report")
            assert reports.scan() == [(KEY, b"report")]
            reports.remove(KEY)
        assert store.get("a") == b"1"

    def test_other_handles_see_a_report_at_once(self, reports: Reports, other: Store) -> None:
        reports.put(KEY, b"report")
        assert _reports_of(other).scan() == [(KEY, b"report")]
        _reports_of(other).put(OTHER, b"another")
        assert [key for key, _ in reports.scan()] == [KEY, OTHER]

    def test_a_child_of_fork_reports_too(self, store: Store, reports: Reports, tmp_path: Path) -> None:
        if not self.shared_between_processes:
            pytest.skip("this store lives in one object")
        reports.put(KEY, b"report")
        assert in_child(lambda: _reports_of(store).put(OTHER, b"of the child")) == 0
        assert [key for key, _ in reports.scan()] == [KEY, OTHER]

    def test_reports_of_many_threads_are_all_there_and_whole(self, reports: Reports) -> None:
        torn: list[Any] = []

        def work() -> None:
            mine = os.urandom(8).hex()
            for number in range(20):
                reports.put(mine, b"%03d" % number * 1000)
                torn.extend(report for _, report in reports.scan() if report != report[:3] * 1000)

        in_threads(4, work)
        assert torn == []
        assert [report for _, report in reports.scan()] == [b"019" * 1000] * 4


def _reports_of(store: Store) -> Reports:
    reports = abilities.reports(store)
    if reports is None:
        pytest.skip("this store has no reports")
    return reports
