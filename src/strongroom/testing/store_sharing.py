"""What a store does for many: threads, handles, processes, forked children."""
# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import pytest

from strongroom.abilities import revision
from strongroom.errors import StoreError
from strongroom.protocols import Store
from strongroom.testing.store_case import (
    StoreCase,
    fill,
    in_child,
    in_threads,
    increment,
    paths,
    put,
    start_child,
    wait_for,
)


class SharingTests(StoreCase):
    """What many see of each other."""

    # Threads

    def test_no_increment_of_any_thread_is_lost(self, store: Store) -> None:
        in_threads(4, lambda: increment(store, 25))
        assert store.get("counter") == b"100"
        assert revision(store) == 100

    def test_threads_never_read_a_state_older_than_their_start(self, store: Store) -> None:
        latest = [0]
        stale: list[tuple[int, int]] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                expected = latest[0]
                found = int(store.get("counter") or b"0")
                if found < expected:
                    stale.append((expected, found))

        def write() -> None:
            for number in range(1, 101):
                put(store, "counter", b"%d" % number)
                latest[0] = number
            done.set()

        in_threads(4, read, write)
        assert stale == []

    def test_a_view_is_consistent_while_threads_write(self, store: Store) -> None:
        done = threading.Event()
        torn: list[list[tuple[str, bytes]]] = []

        def read() -> None:
            while not done.is_set():
                with store.view() as view:
                    found = view.scan()
                    if len({value for _, value in found}) > 1 or found != view.scan():
                        torn.append(found)

        def write() -> None:
            for number in range(50):
                with store.transaction() as transaction:
                    for path in ("a", "b", "c"):
                        transaction.put(path, b"%d" % number)
            done.set()

        in_threads(2, read, write)
        assert torn == []

    # Other handles and processes

    def test_two_handles_see_each_others_commits_at_once(self, store: Store, other: Store) -> None:
        for number in range(20):
            writer, reader = (store, other) if number % 2 else (other, store)
            put(writer, "a", b"%d" % number)
            assert reader.get("a") == b"%d" % number
            assert reader.scan() == [("a", b"%d" % number)]
            assert revision(reader) == number + 1

    def test_a_view_stays_as_it_was_while_another_handle_commits(self, store: Store, other: Store) -> None:
        put(store, "a", b"old")
        with store.view() as view:
            put(other, "a", b"new")
            assert view.get("a") == b"old"
            assert store.get("a") == b"new"

    def test_what_was_committed_is_there_after_opening_again(self, store: Store, other: Store, tmp_path: Path) -> None:
        fill(store, ["a", "b/ä"])
        store.close()
        other.close()
        again = self.open(tmp_path)
        assert paths(again.scan()) == ["a", "b/ä"]
        assert revision(again) == 1
        again.close()

    def test_no_increment_of_any_process_is_lost(self, store: Store, other: Store, tmp_path: Path) -> None:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_increment_in_process, args=(self, tmp_path, 20)) for _ in range(2)]
        for process in processes:
            process.start()
        increment(store, 20)
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        assert store.get("counter") == other.get("counter") == b"60"
        assert revision(store) == 60

    # Forks

    def test_a_forked_child_reads_and_writes(self, store: Store) -> None:
        put(store, "a", b"1")

        def child() -> None:
            assert store.get("a") == b"1"
            put(store, "a", b"2")
            assert store.get("a") == b"2"

        assert in_child(child) == 0
        assert store.get("a") == (b"2" if self.shared_between_processes else b"1")
        put(store, "a", b"3")
        assert store.get("a") == b"3"

    def test_no_increment_of_parent_and_forked_children_is_lost(self, store: Store, other: Store) -> None:
        increment(store, 1)
        children = [start_child(lambda: increment(store, 20)) for _ in range(2)]
        increment(store, 20)
        assert [wait_for(child) for child in children] == [0, 0]
        assert store.get("counter") == other.get("counter") == b"61"

    def test_a_fork_inside_a_transaction_leaves_it_to_the_parent(self, store: Store, other: Store) -> None:
        put(store, "a", b"1")

        def go_on() -> None:
            transaction.put("a", b"child")
            manager.__exit__(None, None, None)

        def child() -> None:
            with pytest.raises(StoreError):
                go_on()

        manager = store.transaction()
        transaction = manager.__enter__()
        transaction.put("a", b"2")
        assert in_child(child) == 0
        manager.__exit__(None, None, None)
        assert store.get("a") == other.get("a") == b"2"
        assert revision(store) == 2

    def test_a_fork_while_another_thread_writes_leaves_both_usable(self, store: Store) -> None:
        begun, forked = threading.Event(), threading.Event()

        def write() -> None:
            with store.transaction() as transaction:
                transaction.put("a", b"thread")
                begun.set()
                forked.wait(0.2)

        thread = threading.Thread(target=write)
        thread.start()
        begun.wait()
        status = in_child(lambda: put(store, "b", b"child"))
        forked.set()
        thread.join()
        assert status == 0
        assert store.get("a") == b"thread"
        assert store.get("b") == (b"child" if self.shared_between_processes else None)


def _increment_in_process(case: StoreCase, place: Path, times: int) -> None:
    store = case.open(place)
    increment(store, times)
    store.close()
