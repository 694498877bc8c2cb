"""What was read is believed for exactly as long as nobody has begun to commit."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from strongroom.errors import StoreError
from strongroom.stores import generation
from strongroom.stores.generation import NEVER_CLEAN, place_of_mark
from strongroom.stores.sqlite import _FEW, SqliteStore

PLACES = [10967, 3373, 12677]
OTHER = """
import sys
from strongroom.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
for line in sys.stdin:
    with store.transaction() as tx:
        tx.put("a", line.strip().encode())
    print("done", flush=True)
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s.db")


@pytest.fixture
def store(path):
    with closing(SqliteStore(path, create=True)) as store:
        put(store, b"1")
        for _ in range(_FEW):
            store.get("few")
        yield store


def put(store, value, path="a"):
    with store.transaction() as tx:
        tx.put(path, value)


def count_reads(store, monkeypatch):
    """Return a list that grows with each read of the database."""
    reads = []
    inner = store._execute

    def execute(sql, values):
        reads.append(sql)
        return inner(sql, values)

    monkeypatch.setattr(store, "_execute", execute)
    return reads


def test_a_process_that_reads_little_does_not_map_the_counter(path, store):
    with closing(SqliteStore(path)) as short:
        for _ in range(_FEW):
            assert short.get("a") == b"1"
        assert short._generation.cells is NEVER_CLEAN
        assert short.get("a") == b"1"
        assert short._generation.cells is not NEVER_CLEAN


def test_what_was_read_is_not_read_again_while_nobody_commits(store, monkeypatch):
    monkeypatch.setattr(generation, "monotonic", lambda: 5.0)
    assert [store.get("a"), store.get("none")] == [b"1", None]
    monkeypatch.setattr("strongroom.stores.sqlite.monotonic", lambda: 5.5)
    store.get("a")
    reads = count_reads(store, monkeypatch)
    assert [store.get("a"), store.get("none")] == [b"1", None]
    assert reads == []


def test_what_was_read_is_not_read_again_when_another_path_was_changed(store, path, monkeypatch):
    store.get("a")
    with closing(SqliteStore(path)) as other:
        put(other, b"1", "b")
    reads = count_reads(store, monkeypatch)
    assert [store.get("a"), store.get("b")] == [b"1", b"1"]
    assert len(reads) == 1


@pytest.mark.parametrize("change", ["put", "delete", "transaction of many"])
def test_every_changed_path_is_read_again(store, path, change):
    put(store, b"1", "b")
    assert [store.get("a"), store.get("b"), store.get("c")] == [b"1", b"1", None]
    with closing(SqliteStore(path)) as other, other.transaction() as tx:
        if change == "delete":
            tx.delete("b")
        else:
            for each in ("b", "c")[: 1 if change == "put" else 2]:
                tx.put(each, b"2")
    expected = {"put": [b"2", None], "delete": [None, None], "transaction of many": [b"2", b"2"]}
    assert [store.get("b"), store.get("c")] == expected[change]


def test_paths_that_share_a_mark_are_read_again_together(store, path, monkeypatch):
    twin = next(f"n{number}" for number in range(100_000) if place_of_mark(f"n{number}") == place_of_mark("a"))
    store.get("a")
    with closing(SqliteStore(path)) as other:
        put(other, b"2", twin)
        put(other, b"2")
    assert [store.get("a"), store.get(twin)] == [b"2", b"2"]


def test_a_mark_moves_before_its_commit_is_seen_and_stays_when_the_commit_is_rolled_back(store, path):
    mark = store.mark("a")
    before = mark[0]
    with suppress(ZeroDivisionError), store.transaction() as tx:
        tx.put("a", b"2")
        raise ZeroDivisionError
    assert mark[0] == before
    with store.transaction() as tx:
        tx.put("a", b"2")
        assert mark[0] == before
    assert mark[0] == store.commits()[0] != before
    with closing(SqliteStore(path)) as other:
        put(other, b"3", "b")
        put(other, b"3", "a")
    assert mark[0] == store.commits()[1]


def test_the_place_of_a_mark_is_the_same_in_every_process_and_release():
    assert [place_of_mark(path) for path in ("secret/A", "system/header", "ä")] == PLACES


def test_another_process_commits_and_the_next_read_sees_it(store, path):
    other = subprocess.Popen([sys.executable, "-c", OTHER, path], stdin=-1, stdout=-1, text=True)
    for number in range(300):
        assert store.get("a") is not None
        other.stdin.write(f"{number}\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        assert store.get("a") == str(number).encode()
    other.communicate()


def test_a_reader_does_not_keep_what_it_reads_while_a_commit_is_under_way(store):
    store._generation.begin(["a"])
    assert store.get("a") == b"1"
    assert store._generation.kept == {}


def test_a_writer_that_died_in_its_commit_leaves_readers_right_and_the_next_commit_mends_it(store, path):
    store._generation.begin(["a"])
    with closing(SqliteStore(path)) as other:
        put(other, b"2")
        assert store.get("a") == b"2"
        store.get("a")
        assert "a" in store._generation.kept


def test_a_late_end_of_an_earlier_commit_does_not_make_a_later_one_look_ended(store):
    first = store._generation.begin(["a"])
    store._generation.begin(["a"])
    store._generation.end(first)
    store.get("a")
    assert store._generation.kept == {}


def test_a_removed_file_delays_what_others_see_by_a_second_at_most(store, path, monkeypatch):
    assert store.get("a") == b"1"
    os.unlink(path + "-gen")
    with closing(SqliteStore(path)) as other:
        put(other, b"2")
    store._generation.look_at = 0.0  # the second is over
    assert store.get("a") == b"2"
    assert os.path.exists(path + "-gen")


def test_a_writer_that_cannot_say_that_it_commits_does_not_commit(store, path):
    store._generation.close()
    os.unlink(path + "-gen")
    os.mkdir(path + "-gen")
    with pytest.raises(StoreError, match="-gen"):
        put(store, b"2")
    assert store.get("a") == b"1"
    os.rmdir(path + "-gen")
    put(store, b"2")
    assert store.get("a") == b"2"


@pytest.mark.parametrize("content", [b"", b"x", bytes(4096), bytes(200_000), bytes(131_088)])
def test_a_file_of_another_size_or_of_zeros_is_no_help_to_readers_and_mended_by_the_next_writer(store, path, content):
    store._generation.close()
    with open(path + "-gen", "wb") as file:
        file.write(content)
    with closing(SqliteStore(path)) as reader:
        for _ in range(_FEW + 1):
            assert reader.get("a") == b"1"
        put(store, b"2")
        assert reader.get("a") == b"2"
    assert os.stat(path + "-gen").st_size == 131_088
    store._generation.look_at = 0.0
    store.get("a")
    assert "a" in store._generation.kept
    put(store, b"3")
    assert store.get("a") == b"3"


@pytest.mark.parametrize("size", [0, 16, 4096, 131_080, 131_089])
def test_a_file_that_changes_its_size_under_a_reader_is_let_go_and_mended_in_its_place(store, path, size):
    assert store.get("a") == b"1"
    inode = os.stat(path + "-gen").st_ino
    os.truncate(path + "-gen", size)
    store._generation.look_at = 0.0  # the second is over
    assert store.get("a") == b"1"
    assert store._generation.cells is NEVER_CLEAN
    put(store, b"2")
    assert (os.stat(path + "-gen").st_size, os.stat(path + "-gen").st_ino) == (131_088, inode)
    assert store.get("a") == b"2"


def test_a_short_write_does_not_make_a_short_file(store, path, monkeypatch):
    store._generation.close()
    os.unlink(path + "-gen")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:1000]))
    put(store, b"2")
    assert os.stat(path + "-gen").st_size == 131_088


def test_a_full_disk_leaves_no_short_file_and_is_no_signal(store, path, monkeypatch):
    store._generation.close()
    os.unlink(path + "-gen")

    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreError, match="disk is full and nothing was changed"):
            put(store, b"2")
    assert not os.path.exists(path + "-gen")
    put(store, b"2")
    assert store.get("a") == b"2"


def test_it_is_durable_before_it_appears(store, path, monkeypatch):
    store._generation.close()
    os.unlink(path + "-gen")
    seen = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda descriptor: (seen.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "link", lambda *names: (seen.append("link"), link(*names)))
    put(store, b"2")
    assert seen[:2] == ["fsync", "link"]


def test_who_sees_that_the_file_was_removed_tells_those_who_still_have_it(store, path):
    with closing(SqliteStore(path)) as other:
        put(other, b"1", "b")  # it has mapped the file
        assert store.get("a") == b"1"
        assert "a" in store._generation.kept
        os.unlink(path + "-gen")
        put(other, b"2")
        assert store.get("a") == b"2"  # before the second is over


def test_what_is_kept_is_bounded(store, monkeypatch):
    monkeypatch.setattr(generation, "MOST_BYTES", 1000)
    store._generation.close()
    for number in range(50):
        store.get(f"n{number}")
    assert len(store._generation.kept) <= 5


def test_large_entries_are_not_kept(store):
    with store.transaction() as tx:
        tx.put("large", bytes(generation.LARGEST))
    store.get("large")
    assert "large" not in store._generation.kept


def test_the_file_has_the_mode_of_the_database(path):
    with closing(SqliteStore(path, create=True)) as store:
        os.chmod(path, 0o660)
        put(store, b"1")
    assert os.stat(path + "-gen").st_mode & 0o777 == 0o660


def test_a_database_that_was_overwritten_is_noticed_at_the_next_look(store, path):
    assert store.get("a") == b"1"
    with closing(sqlite3.connect(path)) as other:  # which knows nothing of the counter
        other.execute("UPDATE entries SET value = ? WHERE path = 'a'", (b"2",))
        other.execute("UPDATE store SET revision = revision + 1")
        other.commit()
    store._generation.look_at = 0.0  # the second is over
    assert store.get("a") == b"2"


def test_after_that_the_numbers_go_on_in_another_object(store, path):
    numbers = store.commits()
    store._generation.look_at = 0.0
    assert store.commits() is numbers
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE store SET revision = revision + 1")
        other.commit()
    store._generation.look_at = 0.0
    assert store.commits() is not numbers
    put(store, b"2")
    assert store.commits()[0] == numbers[0] == store.mark("a")[0]


def test_a_commit_under_way_is_not_taken_for_an_overwritten_database(store, path):
    numbers = store.commits()
    store.get("a")
    number = store._generation.begin(["b"])
    store._generation.look_at = 0.0
    assert store.commits() is numbers
    assert "a" in store._generation.kept
    put(store, b"1", "b")
    store._generation.end(number)


def test_what_is_kept_is_not_read_again_because_a_second_is_over(store, monkeypatch):
    store.get("a")
    store._generation.look_at = 0.0
    store.get("none")
    reads = count_reads(store, monkeypatch)
    assert store.get("a") == b"1"
    assert reads == []
