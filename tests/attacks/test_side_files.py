"""What strangers put beside a SQLite store: SQLite would replay it, map it, or delete files by it."""

from __future__ import annotations

import ctypes  # noqa: F401 - a user in a child of fork may be unable to import what a store imports late
import mmap  # noqa: F401
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import strongroom.stores.sqlite_guard
import strongroom.stores.sqlite_holders
import strongroom.stores.sqlite_pool  # noqa: F401
from strongroom.errors import StoreError, StoreExistsError
from strongroom.stores import sqlite_connection
from strongroom.stores.generation import NEVER_CLEAN
from strongroom.stores.sqlite import _FEW, SqliteStore

from .conftest import STRANGER, VICTIM, as_user, two_users

GROUP = 4201
SIZE = 8 * (2 + 16_384)


def put(store, value, path="a"):
    with store.transaction() as transaction:
        transaction.put(path, value)


@pytest.fixture
def path(shared):
    """A store of the victim's that all may read, in a directory where all may write."""
    path = str(shared / "secrets.db")

    def make():
        with closing(SqliteStore(path, create=True)) as store:
            put(store, b"1")
        os.chmod(path, 0o644)

    as_user(VICTIM, make) if os.geteuid() == 0 else make()
    for ending in ("-gen", "-wal", "-shm"):
        Path(path + ending).unlink(missing_ok=True)
    return path


@contextmanager
def opened(path):
    with closing(SqliteStore(path, timeout=5)) as store:
        yield store


def read(path):
    """Return what the victim's processes find, looking without the store."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT path, value FROM entries").fetchall()


# The journal that names a file to delete


def hot_journal(path: str, victim: str) -> bytes:
    """Return what SQLite takes for the journal of a crashed transaction over several databases, `victim` their list."""
    magic = bytes.fromhex("d9d505f920a163d7")
    name = victim.encode()
    header = magic + struct.pack(">5I", 0, 0, os.path.getsize(path) // 4096, 512, 4096)
    end = struct.pack(">I", 0x40000000 // 4096 + 1) + name + struct.pack(">II", len(name), sum(name)) + magic
    return header.ljust(512, b"\0") + end


@pytest.fixture
def precious(home):
    file = home / "precious"
    file.write_bytes(b"a file of the victim's")
    if os.geteuid() == 0:
        os.chown(file, VICTIM, VICTIM)
    return file


def test_the_attack_works_on_sqlite(path, precious):
    Path(path + "-journal").write_bytes(hot_journal(path, str(precious)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT * FROM entries").fetchall()
    assert not precious.exists()


@two_users
@pytest.mark.parametrize("what", ["a hot journal", "an empty file", "a link", "a FIFO", "a directory"])
def test_a_journal_is_refused_and_deletes_nothing(path, precious, shared, what):
    def attack():
        journal = Path(path + "-journal")
        if what == "a hot journal":
            journal.write_bytes(hot_journal(path, str(precious)))
        elif what == "a link":
            (shared / "real").write_bytes(hot_journal(path, str(precious)))
            journal.symlink_to(shared / "real")
        else:
            {"an empty file": journal.touch, "a FIFO": lambda: os.mkfifo(journal), "a directory": journal.mkdir}[what]()

    def work():
        with pytest.raises(StoreError, match=r"secrets\.db-journal is in the way.*remove it"):
            SqliteStore(path)

    as_user(STRANGER, attack)
    as_user(VICTIM, work)
    assert precious.exists()


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_journal_that_comes_after_the_look_deletes_nothing(path, precious, shared, monkeypatch, mode):
    os.chmod(shared, mode)
    look = sqlite_connection.check_side_files

    def look_and_plant(*given):
        found = look(*given)
        Path(path + "-journal").write_bytes(hot_journal(path, str(precious)))
        return found

    monkeypatch.setattr(sqlite_connection, "check_side_files", look_and_plant)
    with pytest.raises(StoreError, match="-journal is in the way"):
        SqliteStore(path)
    assert precious.exists()
    monkeypatch.undo()
    os.unlink(path + "-journal")
    with opened(path) as store:
        assert store.get("a") == b"1"


# The -wal and the -shm file


def forged(path, directory: Path) -> dict[str, bytes]:
    """Return side files with which the store at `path` would hold something else."""
    copy = directory / "copy.db"
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE entries SET value = x'66'")
        connection.commit()
        return {ending: Path(f"{copy}{ending}").read_bytes() for ending in ("-wal", "-shm")}


def test_the_forged_side_files_work_on_sqlite(path, tmp_path):
    for ending, content in forged(path, tmp_path).items():
        Path(path + ending).write_bytes(content)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT value FROM entries").fetchall() == [(b"f",)]


@two_users
@pytest.mark.parametrize("ending", ["-wal", "-shm"])
@pytest.mark.parametrize("what", ["a file", "a link", "a FIFO", "a directory", "a link to nothing", "a device"])
def test_side_files_of_a_stranger_are_refused(path, shared, tmp_path, ending, what):
    content = forged(path, tmp_path)

    def attack():
        file = Path(path + ending)
        if what == "a file":
            file.write_bytes(content[ending])
        elif what == "a link":
            (shared / "real").write_bytes(content[ending])
            file.symlink_to(shared / "real")
        elif what == "a link to nothing":
            file.symlink_to(shared / "nothing")
        elif what == "a device":
            file.symlink_to("/dev/zero")
        else:
            {"a FIFO": lambda: os.mkfifo(file), "a directory": file.mkdir}[what]()

    def work():
        with pytest.raises(StoreError, match=rf"secrets\.db{ending}: it (is|belongs to another user)"):
            SqliteStore(path)

    as_user(STRANGER, attack)
    as_user(VICTIM, work)
    assert not (shared / "nothing").exists()
    os.unlink(path + ending) if what != "a directory" else os.rmdir(path + ending)
    Path(path + "-wal").unlink(missing_ok=True)
    assert read(path) == [("a", b"1")]


@two_users
def test_a_store_is_not_made_beside_a_strangers_journal(shared):
    path = str(shared / "new.db")
    as_user(STRANGER, lambda: Path(path + "-wal").write_bytes(b"x"))

    def work():
        with pytest.raises(StoreExistsError, match=r"new\.db-wal is left of an earlier store"):
            SqliteStore(path, create=True)

    as_user(VICTIM, work)


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_a_file_of_our_own_under_a_second_name_or_without_end_is_refused(path, tmp_path, ending):
    for name, content in forged(path, tmp_path).items():
        Path(path + name).write_bytes(content)
    os.link(path + ending, path + ".other")
    with pytest.raises(StoreError, match=rf"secrets\.db{ending}: it has 2 names"):
        SqliteStore(path)
    os.unlink(path + ".other")
    os.truncate(path + ending, 1 << 40)
    with pytest.raises(StoreError, match=r"it has 1,099,511,627,776 bytes"):
        SqliteStore(path)


def test_the_names_are_taken_before_sqlite_looks_and_nobody_frees_them(path, monkeypatch):
    """In a directory with the sticky bit a stranger cannot take them then: the files are ours."""
    look, seen = sqlite_connection.check_side_files, []

    def look_and_let_another_close(*given):
        found = look(*given)
        if not seen:
            # The last process to close a store removes both files; here it would be the last but for us.
            script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT * FROM entries').fetchall()"
            subprocess.run([sys.executable, "-c", script, path], check=True)
            seen.extend(os.stat(path + ending).st_uid for ending in ("-wal", "-shm"))
        return found

    monkeypatch.setattr(sqlite_connection, "check_side_files", look_and_let_another_close)
    with opened(path) as store:
        assert store.get("a") == b"1"
        put(store, b"2")
    assert seen == [os.stat(path).st_uid] * 2
    assert not os.path.exists(path + "-wal")
    assert read(path) == [("a", b"2")]


@two_users
def test_who_may_only_read_makes_no_file_that_its_owner_would_refuse(path):
    def only_read():
        with opened(path) as store:
            for _ in range(_FEW + 2):
                assert store.get("a") == b"1"
            assert store.scan() == [("a", b"1")]

    def write():
        with opened(path) as store:
            put(store, b"2")

    as_user(STRANGER, only_read)
    assert [name for name in os.listdir(os.path.dirname(path)) if name.startswith("secrets.db")] == ["secrets.db"]
    as_user(VICTIM, write)


# The counter


@two_users
@pytest.mark.parametrize("what", ["a file", "a short file", "a link", "a FIFO", "a directory", "a device"])
def test_a_strangers_counter_is_no_counter(path, shared, what):
    def attack():
        file = Path(path + "-gen")
        if what in ("a file", "a short file"):
            file.write_bytes(bytes(SIZE if what == "a file" else 7))
            file.chmod(0o666)
        elif what == "a link":
            (shared / "real").write_bytes(bytes(SIZE))
            (shared / "real").chmod(0o666)
            file.symlink_to(shared / "real")
        elif what == "a device":
            file.symlink_to("/dev/zero")
        else:
            {"a FIFO": lambda: os.mkfifo(file), "a directory": file.mkdir}[what]()

    def work():
        with opened(path) as store:
            for _ in range(_FEW + 2):
                assert store.get("a") == b"1"
            assert store._generation.cells is NEVER_CLEAN, "it could say that nothing changes, or be shortened"
            with pytest.raises(StoreError, match=r"secrets\.db-gen"):
                put(store, b"2")
            assert store.get("a") == b"1"

    as_user(STRANGER, attack)
    as_user(VICTIM, work)


def test_a_counter_that_is_replaced_under_a_reader_is_believed_no_longer(path):
    with opened(path) as store:
        for _ in range(_FEW + 2):
            assert store.get("a") == b"1"
        assert "a" in store._generation.kept
        os.unlink(path + "-gen")
        os.mkfifo(path + "-gen")
        store._generation.look_at = 0.0  # a second later
        with closing(sqlite3.connect(path)) as writer:  # as one whose counter is another file
            writer.execute("UPDATE entries SET value = ? WHERE path = 'a'", (b"2",))
            writer.execute("UPDATE store SET revision = revision + 1")
            writer.commit()
        for _ in range(3):
            assert store.get("a") == b"2"
        assert store._generation.cells is NEVER_CLEAN


# What must go on as before


@two_users
def test_users_share_a_store_through_a_group(shared):
    directory = shared / "team"
    directory.mkdir()
    os.chown(directory, VICTIM, GROUP)
    directory.chmod(0o2770)
    path = str(directory / "secrets.db")

    def member(user, work):
        def become():
            os.setgroups([GROUP])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            work()

        pid = os.fork()
        if pid == 0:
            try:
                become()
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        return pid

    def make():
        SqliteStore(path, create=True).close()
        os.chmod(path, 0o660)

    def write(name):
        def work():
            with opened(path) as store:
                for number in range(20):
                    put(store, b"%d" % number, name)
                    assert store.get(name) == b"%d" % number

        return work

    users = [VICTIM, STRANGER, 4103, 4104]
    assert os.waitpid(member(VICTIM, make), 0)[1] == 0
    children = [member(user, write(str(user))) for user in users]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(users)

    def check():
        with opened(path) as store:
            assert store.scan() == [(str(user), b"19") for user in users]

    assert os.waitpid(member(4104, check), 0)[1] == 0


@pytest.mark.parametrize("access", ["read", "write"])
def test_a_counter_follows_the_group_and_the_mode_that_the_store_is_given(tmp_path, access):
    path = str(tmp_path / "secrets.db")
    with closing(SqliteStore(path, create=True)) as store:
        put(store, b"1")
    os.chmod(path, 0o660)
    if os.geteuid() == 0:
        os.chown(path, VICTIM, GROUP)
    with opened(path) as store:
        if access == "write":
            put(store, b"2")
        for _ in range(_FEW + 2):
            store.get("a")
    counter, database = os.stat(path + "-gen"), os.stat(path)
    assert counter.st_mode & 0o777 == 0o660
    assert (counter.st_uid, counter.st_gid) == (database.st_uid, database.st_gid)


@pytest.mark.parametrize("mode", [0o700, 0o770, 0o777, 0o1777])
def test_a_copy_without_wal_mode_is_taken_over_wherever_it_lies(path, shared, mode):
    copy = shared / "there" / "secrets.db"
    copy.parent.mkdir()
    copy.parent.chmod(mode)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with opened(str(copy)) as store, opened(str(copy)) as other:
        put(store, b"2")
        assert other.get("a") == b"2"
        assert os.path.exists(f"{copy}-wal")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
