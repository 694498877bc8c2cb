"""The SQLite store: its files, its damage, its locks, and what it leaves behind."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from strongroom.errors import (
    ConfigError,
    NewerFormatError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
    StoreNotFoundError,
    StrongroomError,
    TamperedError,
)
from strongroom.stores import sqlite
from strongroom.stores.sqlite import SqliteStore
from strongroom.testing.store_case import in_child, put, start_child, wait_for
from strongroom.testing.stores import StoreSuite


class TestSqliteStore(StoreSuite):
    def create(self, place: Path) -> SqliteStore:
        return SqliteStore(str(place / "secrets.db"), create=True, timeout=5)

    def open(self, place: Path) -> SqliteStore:
        return SqliteStore(str(place / "secrets.db"), timeout=5)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "secrets.db")


@pytest.fixture
def store(path):
    with closing(SqliteStore(path, create=True, timeout=0.05)) as store:
        yield store


def change(path, sql):
    """Change the closed database behind the store's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def read_all(path):
    with closing(SqliteStore(path)) as store:
        return store.scan()


# Making and opening


def test_all_its_files_are_private(store, path):
    put(store, "a", b"1")
    modes = {name: stat.S_IMODE(os.stat(path + name).st_mode) for name in ("", "-wal", "-shm")}
    assert set(modes.values()) == {0o600}


def test_making_one_leaves_no_other_file(path, tmp_path):
    SqliteStore(path, create=True).close()
    assert os.listdir(tmp_path) == ["secrets.db"]


def test_missing_directories_are_made_private(tmp_path):
    SqliteStore(str(tmp_path / "new" / "secrets.db"), create=True).close()
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o700


def test_making_one_never_overwrites(store, path, tmp_path):
    put(store, "a", b"1")
    with pytest.raises(StoreExistsError, match="exists already"):
        SqliteStore(path, create=True)
    assert store.get("a") == b"1"
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".new")]


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: path.symlink_to("nowhere")])
def test_making_one_leaves_alone_whatever_is_there(tmp_path, make):
    make(tmp_path / "secrets.db")
    with pytest.raises(StoreExistsError):
        SqliteStore(str(tmp_path / "secrets.db"), create=True)


def test_a_journal_of_an_earlier_store_is_not_replayed_into_a_new_one(path):
    Path(path + "-wal").write_bytes(b"remains")
    with pytest.raises(StoreExistsError, match=r"secrets\.db-wal is left of an earlier store"):
        SqliteStore(path, create=True)


def test_of_many_makers_one_wins(path):
    def make() -> None:
        SqliteStore(path, create=True).close()

    assert sorted(wait_for(child) for child in [start_child(make) for _ in range(4)]) == [0, 1, 1, 1]
    SqliteStore(path).close()


def test_a_file_system_without_hard_links_will_do(path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    SqliteStore(path, create=True).close()
    with pytest.raises(StoreExistsError):
        SqliteStore(path, create=True)
    assert read_all(path) == []


def test_a_missing_store_is_named_with_the_command_that_makes_one(path):
    with pytest.raises(StoreNotFoundError, match=r"sqlite:.*secrets\.db.*strongroom init"):
        SqliteStore(path)
    assert not os.path.exists(path)


def test_an_address_without_a_path_is_refused():
    with pytest.raises(ConfigError, match="names no file"):
        sqlite.connect("", create=True)


def test_a_relative_path_stays_the_same_file_after_chdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(sqlite.connect("secrets.db", create=True)) as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        put(store, "a", b"1")
        assert store.url == "sqlite:secrets.db"
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("name", ["a?b#c%41.db", "ä b.db", "'.db"])
def test_no_character_of_a_path_is_special(tmp_path, name):
    with closing(SqliteStore(f"/{tmp_path}/{name}", create=True)) as store:
        put(store, "a", b"1")
    assert name in os.listdir(tmp_path)
    assert all(found.startswith(name) for found in os.listdir(tmp_path))


# Other files in its place, damage, hostile content


@pytest.mark.parametrize(
    "content", [b"", b"not a database, but long enough to be looked at" * 50, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_database_is_no_store(path, content):
    Path(path).write_bytes(content)
    with pytest.raises(StoreError, match=r"secrets\.db is not a strongroom store; check the path"):
        SqliteStore(path)
    assert Path(path).read_bytes() == content


def test_the_database_of_another_program_is_no_store(path):
    change(path, "CREATE TABLE entries (path, value)")
    with pytest.raises(StoreError, match="is not a strongroom store"):
        SqliteStore(path)


def test_a_directory_is_no_store(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteStore(str(tmp_path))


def test_a_newer_format_is_told_from_damage(store, path):
    store.close()
    change(path, "PRAGMA user_version=2")
    with pytest.raises(NewerFormatError, match=r"format 2.*upgrade strongroom"):
        SqliteStore(path)


def test_a_damaged_page_is_reported_without_its_content(store, path):
    with store.transaction() as transaction:
        for number in range(200):
            transaction.put(f"secret/{number}", b"CANARY" * 20)
    store.close()
    content = bytearray(Path(path).read_bytes())
    for page in range(2 * 4096, len(content), 4096):
        content[page : page + 64] = b"CANARY" + b"\xff" * 58
    Path(path).write_bytes(content)
    with pytest.raises(StoreError, match="is damaged; restore it from a backup") as caught:
        read_all(path)
    assert "CANARY" not in str(caught.value)


def test_a_truncated_database_is_damaged(store, path):
    with store.transaction() as transaction:
        for number in range(200):
            transaction.put(f"secret/{number}", b"x" * 120)
    store.close()
    os.truncate(path, 3 * 4096)
    with pytest.raises(StoreError, match="is damaged; restore it from a backup"):
        read_all(path)


@pytest.mark.parametrize("value", ["'CANARY'", "17", "CAST(x'ff43414e415259' AS TEXT)", "1.5"])
def test_a_value_that_is_not_bytes_is_tampering(store, path, value):
    put(store, "a", b"1")
    store.close()
    change(path, f"UPDATE entries SET value = {value}")
    with closing(SqliteStore(path)) as tampered:
        for read in (lambda: tampered.get("a"), tampered.scan):
            with pytest.raises(TamperedError) as caught:
                read()
            assert "CANARY" not in str(caught.value)


def test_a_path_that_is_not_text_is_tampering(store, path):
    store.close()
    change(path, "INSERT INTO entries VALUES (x'00', x'00')")
    with closing(SqliteStore(path)) as tampered, pytest.raises(TamperedError, match="a path is a bytes"):
        tampered.scan()


def test_a_scan_that_meets_tampering_leaves_later_reads_in_the_present(store, path):
    put(store, "a", b"1")
    put(store, "b", b"1")
    change(path, "UPDATE entries SET value = 17 WHERE path = 'a'")
    with closing(SqliteStore(path)) as reader:
        with pytest.raises(TamperedError) as held:
            reader.scan()
        put(store, "b", b"2")
        assert reader.get("b") == b"2"
    assert held.value.__traceback__ is not None


@pytest.mark.parametrize(
    "sql", ["DELETE FROM store", "UPDATE store SET revision = 'x'", "INSERT INTO store VALUES (7)"]
)
def test_a_revision_that_is_not_one_number_is_tampering(store, path, sql):
    store.close()
    change(path, sql)
    with pytest.raises(TamperedError, match="revision"):
        SqliteStore(path)


def test_missing_tables_are_reported(store, path):
    store.close()
    change(path, "DROP TABLE entries")
    with pytest.raises(StoreError, match="lacks the tables"):
        SqliteStore(path)


def test_a_copy_that_lost_its_wal_mode_gets_it_back(store, path, tmp_path):
    put(store, "a", b"1")
    store.close()
    copy = str(tmp_path / "copy.db")
    change(path, f"VACUUM INTO '{copy}'")
    with closing(SqliteStore(copy)) as restored:
        put(restored, "b", b"2")
        assert os.path.exists(copy + "-wal")
        assert restored.scan() == [("a", b"1"), ("b", b"2")]


# Locks and disks


def test_a_lock_held_by_another_process_is_busy(store, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match="lock"), store.transaction():
            pytest.fail("the transaction began")
        assert store.get("a") is None
        foreign.execute("ROLLBACK")
    put(store, "a", b"1")


def test_a_transaction_inside_a_transaction_is_busy(store):
    with store.transaction(), pytest.raises(StoreBusyError), store.transaction():
        pytest.fail("the second transaction began")


def test_a_full_database_keeps_its_old_state(store, monkeypatch):
    put(store, "a", b"old")
    with store.transaction() as transaction:
        transaction._connection.execute("PRAGMA max_page_count=10")
    with pytest.raises(StoreError, match="full disk and nothing was changed; free some space"):
        put(store, "a", b"x" * 100_000)
    assert store.get("a") == b"old"
    put(store, "a", b"new")
    assert store.revision() == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
class TestWithoutPermission:
    """What a user sees who may read the store but not write it, or not even that."""

    @pytest.fixture
    def path(self):
        """In a directory of its own: every run of pytest that begins closes `tmp_path` to other users."""
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            yield f"{directory}/secrets.db"

    @pytest.fixture
    def as_nobody(self, store):
        put(store, "a", b"1")

        def run(call):
            def child() -> None:
                os.setgid(65534)
                os.setuid(65534)
                call()

            return in_child(child)

        return run

    def test_reading_works_where_nothing_may_be_written(self, as_nobody, store, path):
        store.close()
        os.chmod(path, 0o644)

        def read() -> None:
            with closing(SqliteStore(path)) as reader:
                assert reader.get("a") == b"1"
                assert reader.scan() == [("a", b"1")]
                assert reader.revision() == 1
                with pytest.raises(StoreError, match="read-only for this process"):
                    put(reader, "a", b"2")

        assert as_nobody(read) == 0

    def test_such_a_reader_sees_what_is_committed_later(self, as_nobody, store, path):
        store.close()
        os.chmod(path, 0o644)
        ready, go = os.pipe(), os.pipe()

        def read() -> None:
            reader = SqliteStore(path)
            for value in (b"1", b"2", b"3"):
                assert reader.get("a") == value
                assert reader.scan() == [("a", value)]
                os.write(ready[1], b".")
                os.read(go[0], 1)

        child = start_child(lambda: (os.setgid(65534), os.setuid(65534), read()))
        os.close(ready[1])
        os.read(ready[0], 1)
        with closing(SqliteStore(path)) as writer:
            for value in (b"2", b"3"):
                put(writer, "a", value)
                os.write(go[1], b".")
                os.read(ready[0], 1)
        os.write(go[1], b".")
        assert wait_for(child) == 0

    def test_a_private_store_cannot_be_opened(self, as_nobody, path):
        def read() -> None:
            with pytest.raises(StoreError, match="cannot be opened; check that this user may read and write"):
                SqliteStore(path)

        assert as_nobody(read) == 0

    def test_a_store_cannot_be_made_in_a_foreign_directory(self, as_nobody, path):
        def make() -> None:
            with pytest.raises(StoreError, match="permission denied"):
                SqliteStore(f"{path}.new", create=True)

        assert as_nobody(make) == 0

    # A connection is not for ever what it was when it was opened

    @pytest.fixture
    def mine(self, path):
        """Run as a user who owns the store and its directory."""
        SqliteStore(path, create=True).close()
        os.chown(path, 65534, 65534)
        os.chown(os.path.dirname(path), 65534, 65534)

        def run(call):
            def child() -> None:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                call()

            assert in_child(child) == 0

        return run

    @pytest.mark.parametrize("says", ["what it may", "that it may write"])
    @pytest.mark.parametrize("at_rest", [True, False])
    def test_a_store_that_was_read_only_for_a_moment_can_be_written_afterwards(
        self, mine, path, monkeypatch, says, at_rest
    ):
        def work() -> None:
            directory = os.path.dirname(path)
            with closing(SqliteStore(path)) as other:
                if at_rest:
                    other.close()
                os.chmod(path, 0o400)
                os.chmod(directory, 0o500 if at_rest else 0o700)
                if says == "that it may write":
                    if at_rest:
                        return  # SQLite tells
                    # SQLite opens it to read, and does not tell.
                    monkeypatch.setattr(os, "access", lambda *_: True)
                with closing(SqliteStore(path)) as store:
                    assert store.get("a") is None
                    with store.view() as view:
                        assert view.get("a") is None
                    with pytest.raises(StoreError, match="read-only for this process"):
                        put(store, "a", b"1")
                    os.chmod(directory, 0o700)
                    os.chmod(path, 0o600)
                    put(store, "a", b"1")
                    assert store.get("a") == b"1"
                    with closing(SqliteStore(path)) as again:
                        put(again, "a", b"2")
                    assert store.get("a") == b"2"
                    put(store, "a", b"3")

        mine(work)


@pytest.mark.parametrize("free", range(8))
def test_a_process_without_descriptors_goes_on_when_there_are_some_again(path, free):
    """SQLite opens to read what it cannot open to write, and stays so."""
    script = """
import os, resource, sys
from strongroom.errors import StoreError
from strongroom.stores.sqlite import SqliteStore
import strongroom.stores.sqlite_pool, strongroom.stores.sqlite_holders, mmap, errno
path, free = sys.argv[1], int(sys.argv[2])
store = SqliteStore(path, create=True)
with store.transaction() as transaction:
    transaction.put("a", b"1")
store.before_fork(), store.after_fork_in_parent()  # all connections are closed
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.dup(0))
except OSError:
    pass
for _ in range(free):
    os.close(taken.pop())
def attempt(call):
    try:
        return call()
    except StoreError as error:
        return str(error)
def write():
    with store.transaction() as transaction:
        transaction.put("b", b"2")
for _ in range(3):
    for call in (lambda: store.get("a"), store.scan, store.revision, write):
        attempt(call)
for descriptor in taken:
    os.close(descriptor)
assert store.get("a") == b"1", store.get("a")
write()
assert store.get("b") == b"2"
assert store.scan() == [("a", b"1"), ("b", b"2")]
store.close()
"""
    done = subprocess.run([sys.executable, "-c", script, path, str(free)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_store_holds_no_descriptor(path):
    def held():
        # Only those of this store: threads of other tests may open and close files meanwhile.
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return [link for link in links if os.path.lexists(link) and path in os.readlink(link)]

    store = SqliteStore(path, create=True)
    put(store, "a", b"1")
    assert held()
    store.close()
    assert held() == []


# Odd input


@pytest.mark.parametrize("bad", ["\ud800", "x" * 3000, "\U0010ffff" * 1000, 5, None, b"x", ["x"]], ids=ascii)
def test_a_path_that_cannot_be_one_is_an_error_of_ours(store, bad):
    put(store, "a", b"1")
    for _ in range(20):
        store.get("a")  # with the counter
    with pytest.raises((StoreError, TypeError, AttributeError)):
        put(store, bad, b"1")
    if isinstance(bad, str):
        with pytest.raises(StoreError):
            put(store, bad, b"1")
        for read in (store.get, store.scan, lambda path: store.scan("", path)):
            with suppress(StoreError):
                assert not read(bad)
    assert store.scan() == [("a", b"1")]
    put(store, "a", b"2")
    assert store.get("a") == b"2"


@pytest.mark.parametrize("value", ["text", 5, None, ["x"]])
def test_a_value_that_is_not_bytes_is_refused(store, value):
    with pytest.raises(StoreError, match="takes bytes, not"):
        put(store, "a", value)
    assert store.scan() == []


@pytest.mark.parametrize("limit", [-1, 2**63, 2**70])
def test_any_limit_will_do(store, limit):
    put(store, "a", b"1")
    assert store.scan(limit=limit) == ([] if limit < 0 else [("a", b"1")])


@pytest.mark.parametrize("name", ["a\0b.db", "x" * 300, "/".join(["x" * 200] * 25), "\ud800.db"])
def test_a_file_name_that_cannot_be_one_is_an_error_of_ours(tmp_path, name):
    for create in (True, False):
        with pytest.raises(StrongroomError):
            SqliteStore(f"{tmp_path}/{name}", create=create)


def test_a_file_name_that_is_not_utf_8_is_a_name(tmp_path):
    name = os.fsdecode(b"\xff\xfe.db")
    with closing(SqliteStore(f"{tmp_path}/{name}", create=True)) as store:
        put(store, "a", b"1")
        assert store.get("a") == b"1"
    assert name in os.listdir(tmp_path)


# Crashes and forks


def test_a_killed_writer_leaves_the_last_commit(store, path):
    put(store, "a", b"old")
    store.close()

    def die() -> None:
        with SqliteStore(path).transaction() as transaction:
            transaction.put("a", b"new" * 100_000)
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    with closing(SqliteStore(path)) as after:
        assert after.get("a") == b"old"
        put(after, "a", b"newer")


def test_a_fork_inside_a_view_leaves_it_to_the_parent(store):
    put(store, "a", b"1")

    def child() -> None:
        for call in (lambda: view.get("a"), lambda: store.get("a"), store.scan):
            with pytest.raises(StoreError, match="fork"):
                call()

    with store.view() as view:
        assert in_child(child) == 0
        assert view.get("a") == b"1"
    assert store.get("a") == b"1"


def test_a_child_that_exits_inside_the_parents_transaction_does_not_roll_it_back(path):
    script = """
import os, sys
from strongroom.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1], create=True)
with store.transaction() as transaction:
    transaction.put("a", b"1" * 9000)
    if os.fork() == 0:
        sys.exit(0)
    assert os.wait()[1] == 0
    transaction.put("b", b"2")
assert [len(value) for _, value in store.scan()] == [9000, 1]
"""
    result = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (0, "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_abandoned_connection_is_not_even_closed_when_the_process_ends(path):
    script = """
import sqlite3, sys
from strongroom.stores.sqlite_inheritance import abandon
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE a (b)")
abandon((1, 2), [connection], "is in use elsewhere")
"""
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=30)
    assert os.path.exists(path + "-wal"), "SQLite removes it when the last connection is closed"


def test_a_child_keeps_the_files_from_being_removed_by_the_parents_close(store, path):
    put(store, "a", b"1")
    opened, go = os.pipe(), os.pipe()

    def child() -> None:
        assert store.get("a") == b"1"
        os.write(opened[1], b".")
        os.read(go[0], 1)
        put(store, "a", b"2")

    pid = start_child(child)
    os.close(opened[1])
    os.read(opened[0], 1)
    store.close()
    still_there = os.path.exists(path + "-wal")
    os.write(go[1], b".")
    assert wait_for(pid) == 0
    assert still_there, "the child held no lock of its own on the database"
    with closing(SqliteStore(path)) as after:
        assert after.get("a") == b"2"


def test_a_signal_handler_may_read_while_a_read_is_under_way(store):
    put(store, "a", b"1")
    with store._reading:
        assert store.get("a") == b"1"


# What is deleted is gone


def test_after_a_scrub_no_file_holds_deleted_or_replaced_bytes(store, path):
    rng = random.Random(26)  # a course of events after which secure_delete alone leaves copies
    live, dead = {}, []
    for _ in range(10):
        with store.transaction() as transaction:
            for _ in range(100):
                name, size = f"secret/{rng.randrange(150)}", rng.choice([40, 100, 300, 600, 1500])
                if name in live:
                    dead.append(live.pop(name))
                if rng.random() < 0.35:
                    transaction.delete(name)
                else:
                    live[name] = rng.randbytes(size)
                    transaction.put(name, live[name])
    assert store.scrub() is True
    script = "import sys; sys.stdout.buffer.write(b''.join(open(f, 'rb').read() for f in sys.argv[1:]))"
    # In another process: closing the files here would drop SQLite's locks.
    files = [path + ending for ending in ("", "-wal", "-shm")]
    content = subprocess.run([sys.executable, "-c", script, *files], capture_output=True, check=True).stdout
    assert all(value[:32] in content for value in live.values())
    assert [
        len(value) for value in dead if any(value[i : i + 16] in content for i in range(0, len(value) - 16, 64))
    ] == []


def test_a_scrub_says_when_a_reader_is_in_the_way(store, monkeypatch):
    monkeypatch.setattr("strongroom.stores.sqlite_session.REBUILD_SECONDS", 0.01)
    put(store, "a", b"1")
    with store.view():
        assert store.scrub() is False
    assert store.scrub() is True


def test_no_thread_borrows_its_first_connection_while_a_fork_begins(store):
    class Meets:
        """The lock of point reads, at which another thread begins its first view."""

        def __init__(self, lock):
            self.lock = lock

        def acquire(self, timeout):
            thread.start()
            thread.join(0.2)
            return self.lock.acquire(timeout=timeout)

        def __getattr__(self, name):
            return getattr(self.lock, name)

        def __enter__(self):
            return self.lock.__enter__()

        def __exit__(self, *error):
            return self.lock.__exit__(*error)

    def read():
        with store.view() as view:
            view.get("a")
            begun.set()
            over.wait(10)

    assert store._pool is None
    begun, over, thread = threading.Event(), threading.Event(), threading.Thread(target=read)
    lock, store._reading = store._reading, Meets(store._reading)
    store.before_fork()
    store._reading = lock
    try:
        assert not begun.is_set()
    finally:
        store.after_fork_in_parent()
        over.set()
        thread.join()
    assert begun.is_set()


def test_threads_that_come_and_go_do_not_keep_a_fork_waiting(path):
    # Not the fixture's time-out: on a busy machine a thread may not run for longer than that.
    with closing(SqliteStore(path, create=True, timeout=30)) as store:
        put(store, "a", b"1")
        read_and_fork(store)


def read_and_fork(store):
    stop = threading.Event()

    def read():
        while not stop.is_set():
            with store.view() as view:
                view.get("a")

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                code = 2
                try:
                    code = 0 if store.get("a") == b"1" else 1
                finally:
                    os._exit(code)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
