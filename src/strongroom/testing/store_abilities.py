"""What a store with optional Protocols does besides; a store without one skips its tests."""
# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from strongroom import abilities
from strongroom.errors import StoreBusyError, StoreError
from strongroom.protocols import ChangeNotices, Scrubbing, SharedCounters, Store, TimedTransactions
from strongroom.testing.store_case import StoreCase, fill, put

LONG = 60.0
"""Seconds that no test waits to the end."""


class AbilityTests(StoreCase):
    """What `strongroom.abilities` finds."""

    # Optional: RevisionCounter

    def test_the_counted_revision_is_that_of_a_view(self, store: Store) -> None:
        for number in range(3):
            with store.view() as view:
                assert abilities.revision(store) == view.revision == number
            put(store, "a", b"%d" % number)

    # Optional: SharedCounters

    @pytest.fixture
    def counters(self, store: Store) -> SharedCounters:
        """Give the store, if it has shared counters."""
        counters = abilities.shared_counters(store)
        if counters is None:
            pytest.skip("this store has no shared counters")
        return counters

    def test_shared_numbers_move_with_each_commit_of_any_handle(
        self, counters: SharedCounters, store: Store, other: Store
    ) -> None:
        put(store, "a", b"1")
        commits, mark = counters.commits(), counters.mark("a")
        if commits is None:
            pytest.skip("there are no shared counters here")
        for number in range(20):
            before = commits[0], mark and mark[0]
            put(store if number % 2 else other, "a", b"%d" % number)
            assert commits[0] == commits[1] != before[0]
            assert mark is None or mark[0] != before[1]

    # Optional: ChangeNotices

    @pytest.fixture
    def notices(self, store: Store) -> ChangeNotices:
        """Give the store, if it tells of changes."""
        notices = abilities.change_notices(store)
        if notices is None:
            pytest.skip("this store does not tell of changes")
        return notices

    def test_a_change_that_came_before_is_told_at_once(self, notices: ChangeNotices, store: Store) -> None:
        put(store, "a", b"1")
        put(store, "a", b"2")
        assert notices.wait(1, LONG) == 2

    def test_each_waiting_thread_is_told_of_a_change(self, notices: ChangeNotices, store: Store) -> None:
        told = self._told(notices, lambda: put(store, "a", b"1"))
        assert told == [1, 1, 1]

    def test_a_change_by_another_handle_is_told(self, notices: ChangeNotices, other: Store) -> None:
        assert self._told(notices, lambda: put(other, "a", b"1")) == [1, 1, 1]

    def test_a_wait_without_a_change_ends_after_its_time(self, notices: ChangeNotices) -> None:
        assert notices.wait(0, 0.01) == 0

    def test_a_wait_that_is_under_way_can_be_ended(self, notices: ChangeNotices) -> None:
        assert self._told(notices, notices.wake, again=True) == [0, 0, 0]

    def test_closing_ends_a_wait(self, notices: ChangeNotices, store: Store) -> None:
        store.close()
        with pytest.raises(StoreError):
            notices.wait(0, LONG)

    @staticmethod
    def _told(notices: ChangeNotices, change: Callable[[], None], *, again: bool = False) -> list[int]:
        """Let three threads wait, call `change` once or `again` until all have returned; return what each was told."""
        told: list[int] = []
        threads = [threading.Thread(target=lambda: told.append(notices.wait(0, LONG)), daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        change()
        until = monotonic() + LONG / 2
        while any(thread.is_alive() for thread in threads) and monotonic() < until:
            if again:
                change()
            threads[-1].join(0.01)
        return told

    # Optional: Scrubbing

    @pytest.fixture
    def scrubbing(self, store: Store) -> Scrubbing:
        """Give the store, if it scrubs."""
        scrubbing = abilities.scrubbing(store)
        if scrubbing is None:
            pytest.skip("this store does not scrub")
        return scrubbing

    def test_scrubbing_a_store_at_rest_removes_all(self, scrubbing: Scrubbing, store: Store) -> None:
        fill(store, ["a", "b"])
        with store.transaction() as transaction:
            transaction.delete("a")
        assert scrubbing.scrub() is True
        assert store.scan() == [("b", b"b")]
        assert abilities.revision(store) == 2

    def test_a_closed_store_refuses_to_scrub(self, scrubbing: Scrubbing, store: Store) -> None:
        store.close()
        with pytest.raises(StoreError):
            scrubbing.scrub()

    # Optional: TimedTransactions

    @pytest.fixture
    def timed(self, store: Store) -> TimedTransactions:
        """Give the store, if it begins transactions within a time."""
        timed = abilities.timed_transactions(store)
        if timed is None:
            pytest.skip("this store has no transactions within a time")
        return timed

    def test_a_transaction_within_a_time_commits_as_any_other(self, timed: TimedTransactions, store: Store) -> None:
        with timed.transaction_within(5) as transaction:
            transaction.put("a", b"1")
        assert (store.get("a"), abilities.revision(store)) == (b"1", 1)

    def test_a_lock_that_is_not_free_in_time_is_a_busy_store(self, timed: TimedTransactions, store: Store) -> None:
        locked, done = threading.Event(), threading.Event()

        def hold() -> None:
            with store.transaction():
                locked.set()
                done.wait(LONG)

        holder = threading.Thread(target=hold)
        holder.start()
        locked.wait(LONG)
        try:
            with pytest.raises(StoreBusyError), timed.transaction_within(0.05):
                pytest.fail("the transaction began")
        finally:
            done.set()
            holder.join()
        put(store, "a", b"1")
        assert store.get("a") == b"1"

    # Optional: GitFriendly

    def test_whether_it_moves_with_git_is_one_answer(self, store: Store) -> None:
        assert getattr(store, "moves_with_git", False) in (True, False)
        assert abilities.moves_with_git(store) == getattr(store, "moves_with_git", False)
