"""What a store does for one user: entries, transactions, revisions, scans, views, closing."""
# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import pytest

from strongroom.abilities import revision
from strongroom.errors import StoreError
from strongroom.protocols import Store
from strongroom.testing.store_case import StoreCase, fill, pages, paths, put
from strongroom.urls import shows_credentials

UNUSUAL = [
    "a",
    "a%",
    "a%/1",
    "a/1",
    "a_",
    "a_/1",
    "ab",
    "ä",
    "ä/ö",
    "日本/語",
    "\uffff",
    "😀",
    "\U0010ffff",
    "\U0010ffff/x",
]
"""Paths that break a LIKE pattern, a naive upper bound, or an order by UTF-16 units or by locale; sorted."""


class EntryTests(StoreCase):
    """What one thread sees."""

    # Reading and writing

    def test_a_new_store_is_empty_and_at_revision_0(self, store: Store) -> None:
        assert revision(store) == 0
        assert store.scan() == []
        assert store.get("a") is None

    def test_its_url_names_scheme_and_address_and_no_credentials(self, store: Store) -> None:
        assert store.url.partition(":")[1] == ":"
        assert not shows_credentials(store.url)

    @pytest.mark.parametrize(
        "value", [b"", b"\0", bytes(range(256)), b"x" * 2**20], ids=["empty", "NUL", "every byte", "1 MiB"]
    )
    def test_bytes_come_back_as_they_were_put(self, store: Store, value: bytes) -> None:
        put(store, "a", value)
        assert store.get("a") == value
        assert store.scan() == [("a", value)]
        assert type(store.get("a")) is bytes

    def test_put_replaces(self, store: Store) -> None:
        put(store, "a", b"first")
        put(store, "a", b"second")
        assert store.scan() == [("a", b"second")]

    def test_delete_removes_one_path_only(self, store: Store) -> None:
        fill(store, ["a", "a/1", "b"])
        with store.transaction() as transaction:
            transaction.delete("a")
        assert store.get("a") is None
        assert paths(store.scan()) == ["a/1", "b"]

    def test_deleting_nothing_is_no_error(self, store: Store) -> None:
        with store.transaction() as transaction:
            transaction.delete("a")
        assert store.scan() == []

    def test_paths_that_look_alike_are_not_equal(self, store: Store) -> None:
        put(store, "Ä", b"composed")
        assert store.get("A\u0308") is None
        assert store.get("ä") is None
        assert store.get("Ä ") is None

    # Transactions

    def test_a_transaction_reads_its_own_writes(self, store: Store) -> None:
        fill(store, ["a", "b"])
        with store.transaction() as transaction:
            transaction.put("c", b"new")
            transaction.put("a", b"replaced")
            transaction.delete("b")
            assert transaction.get("a") == b"replaced"
            assert transaction.get("b") is None
            assert transaction.scan() == [("a", b"replaced"), ("c", b"new")]
        assert store.scan() == [("a", b"replaced"), ("c", b"new")]

    def test_nobody_else_sees_what_is_not_committed(self, store: Store) -> None:
        put(store, "a", b"old")
        with store.transaction() as transaction:
            transaction.put("a", b"new")
            transaction.put("b", b"new")
            assert (store.get("a"), store.get("b")) == (b"old", None)
            assert store.scan() == [("a", b"old")]
            assert revision(store) == 1

    def test_a_transaction_that_raises_changes_nothing(self, store: Store) -> None:
        fill(store, ["a", "b"])

        def interrupted() -> None:
            with store.transaction() as transaction:
                transaction.put("a", b"new")
                transaction.put("c", b"new")
                transaction.delete("b")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert store.scan() == [("a", b"a"), ("b", b"b")]
        assert revision(store) == 1

    def test_the_lock_is_free_after_a_transaction_that_raised(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.transaction():
            raise ZeroDivisionError
        put(store, "a", b"1")
        assert store.get("a") == b"1"

    def test_a_deletion_and_a_put_of_the_same_path_end_as_the_last_one_says(self, store: Store) -> None:
        put(store, "a", b"old")
        with store.transaction() as transaction:
            transaction.delete("a")
            transaction.put("a", b"new")
            transaction.put("b", b"new")
            transaction.delete("b")
        assert store.scan() == [("a", b"new")]

    def test_a_transaction_is_of_no_use_after_its_end(self, store: Store) -> None:
        with store.transaction() as transaction:
            transaction.put("a", b"1")
        with pytest.raises(StoreError):
            transaction.put("a", b"2")
        assert store.get("a") == b"1"

    # Revisions

    def test_each_commit_grows_the_revision_by_one(self, store: Store) -> None:
        for expected in (1, 2, 3):
            with store.transaction() as transaction:
                assert transaction.revision == expected
                transaction.put("a", b"%d" % expected)
                transaction.put("b", b"%d" % expected)
            assert revision(store) == expected

    def test_a_commit_that_only_deletes_grows_the_revision(self, store: Store) -> None:
        put(store, "a", b"1")
        with store.transaction() as transaction:
            transaction.delete("a")
        assert revision(store) == 2

    def test_a_transaction_that_wrote_nothing_does_not_grow_the_revision(self, store: Store) -> None:
        put(store, "a", b"1")
        with store.transaction() as transaction:
            transaction.get("a")
            transaction.scan()
            transaction.delete("nothing")
        assert revision(store) == 1

    # Scans

    def test_scans_sort_by_the_bytes_of_utf_8(self, store: Store) -> None:
        fill(store, reversed(UNUSUAL))
        assert sorted(UNUSUAL, key=str.encode) == UNUSUAL
        assert paths(store.scan()) == UNUSUAL

    @pytest.mark.parametrize("prefix", ["", *UNUSUAL, "a/", "ä/", "b", "\U0010ffff/", "A", "%", "_", "*", "'"])
    def test_a_prefix_is_taken_literally(self, store: Store, prefix: str) -> None:
        fill(store, UNUSUAL)
        assert paths(store.scan(prefix)) == [path for path in UNUSUAL if path.startswith(prefix)]

    @pytest.mark.parametrize("after", ["", *UNUSUAL, "a0", "A", "zzz"])
    def test_a_scan_begins_after_the_given_path(self, store: Store, after: str) -> None:
        fill(store, UNUSUAL)
        assert paths(store.scan("", after)) == [path for path in UNUSUAL if path > after]
        assert paths(store.scan("a", after)) == [path for path in UNUSUAL if path > after and path.startswith("a")]

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_pages_add_up_to_the_whole(self, store: Store, limit: int) -> None:
        fill(store, UNUSUAL)
        assert [path for page in pages(store, "", limit) for path in page] == UNUSUAL
        assert all(len(page) <= limit for page in pages(store, "a", limit))

    def test_a_limit_of_zero_returns_nothing(self, store: Store) -> None:
        put(store, "a", b"1")
        assert store.scan(limit=0) == []

    def test_a_scan_stops_at_1000_unless_told(self, store: Store) -> None:
        fill(store, (f"{number:04}" for number in range(1001)))
        assert len(store.scan()) == 1000
        assert len(store.scan(limit=2000)) == 1001

    # Views

    def test_a_view_stays_as_it_was_while_another_commits(self, store: Store) -> None:
        fill(store, ["a", "b"])
        with store.view() as view:
            with store.transaction() as transaction:
                transaction.put("a", b"new")
                transaction.put("c", b"new")
                transaction.delete("b")
            assert store.scan() == [("a", b"new"), ("c", b"new")]
            assert view.get("a") == b"a"
            assert view.get("c") is None
            assert view.scan() == [("a", b"a"), ("b", b"b")]
        with store.view() as view:
            assert view.scan() == [("a", b"new"), ("c", b"new")]

    def test_views_of_different_moments_live_side_by_side(self, store: Store) -> None:
        put(store, "a", b"1")
        with store.view() as first:
            put(store, "a", b"2")
            with store.view() as second:
                put(store, "a", b"3")
                assert [first.get("a"), second.get("a"), store.get("a")] == [b"1", b"2", b"3"]

    def test_a_view_knows_its_revision(self, store: Store) -> None:
        with store.view() as empty:
            assert empty.revision == 0
        put(store, "a", b"1")
        with store.view() as view:
            put(store, "a", b"2")
            assert (view.revision, view.get("a")) == (1, b"1")
        with store.view() as view:
            assert (view.revision, view.get("a")) == (2, b"2")

    def test_a_view_that_raised_leaves_the_store_usable(self, store: Store) -> None:
        with pytest.raises(ZeroDivisionError), store.view():
            raise ZeroDivisionError
        put(store, "a", b"1")
        with store.view() as view:
            assert view.get("a") == b"1"

    # Closing

    def test_closing_twice_is_no_error(self, store: Store) -> None:
        store.close()
        store.close()

    def test_a_closed_store_refuses_every_call(self, store: Store) -> None:
        put(store, "a", b"1")
        store.close()
        for call in (lambda: store.get("a"), store.scan, lambda: revision(store)):
            with pytest.raises(StoreError):
                call()
        with pytest.raises(StoreError), store.transaction():
            pytest.fail("the transaction began")
        with pytest.raises(StoreError), store.view():
            pytest.fail("the view began")
