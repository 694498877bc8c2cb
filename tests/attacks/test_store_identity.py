"""A store stays the one that was opened: nothing is written into a file that nobody will read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import pytest

import strongroom
from strongroom.errors import RollbackError, StoreError, StrongroomError
from strongroom.stores.sqlite import SqliteStore

SIDES = ("-wal", "-shm", "-gen", "")


@pytest.fixture
def service(tmp_path, master_key):
    """A service with an open store, whose next look at the files is due."""
    url = f"sqlite:{tmp_path}/store/secrets.db"
    with strongroom.init(url, audit=f"file:{tmp_path}/audit.log") as service:
        service.set_secret("A", "1")
        for _ in range(20):
            service.get_secret("A")
        yield service


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store" / "secrets.db"


def second_later(secrets):
    store = secrets._access.engine.store
    store._check_at = store._generation.look_at = 0.0


def backup(path, copy):
    """Make a copy as the documentation tells."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))


def restore(path, copy):
    """Put the copy back as the documentation tells."""
    for side in SIDES:
        Path(f"{path}{side}").unlink(missing_ok=True)
    shutil.copy(copy, path)


def another_store(path, copy):
    other = f"{path}.other"
    strongroom.init(f"sqlite:{other}", audit="memory:").close()
    os.replace(other, path)


def delete_all(path, copy):
    for side in SIDES:
        Path(f"{path}{side}").unlink(missing_ok=True)


def in_another_process(command):
    """Run a command: to open and close the file here would drop SQLite's locks."""
    subprocess.run(command, shell=True, check=True)


WAYS = {
    "deleted": lambda path, copy: os.unlink(path),
    "deleted with its side files": delete_all,
    "moved away": lambda path, copy: os.rename(path, f"{path}.old"),
    "moved away with its directory": lambda path, copy: os.rename(path.parent, f"{path.parent}.old"),
    "replaced by an older copy": lambda path, copy: os.replace(copy, path),
    "restored as documented": restore,
    "replaced by another store": another_store,
    "replaced by a directory": lambda path, copy: (os.unlink(path), os.mkdir(path)),
    "replaced by a link to a copy": lambda path, copy: (os.unlink(path), os.symlink(copy, path)),
    "overwritten by a copy": lambda path, copy: in_another_process(f"cp {copy} {path}"),
    "emptied": lambda path, copy: os.truncate(path, 0),
    "its journal deleted": lambda path, copy: os.unlink(f"{path}-wal"),
    "its index deleted": lambda path, copy: os.unlink(f"{path}-shm"),
    "its journal replaced": lambda path, copy: (os.unlink(f"{path}-wal"), Path(f"{path}-wal").touch()),
}


@pytest.fixture(params=WAYS)
def change(request, path, tmp_path):
    copy = tmp_path / "backup.db"

    def change():
        WAYS[request.param](path, copy)

    change.copy = copy
    return change


def test_no_write_is_acknowledged_any_more(service, path, change):
    backup(path, change.copy)
    service.set_secret("A", "2")
    change()
    for write in (
        lambda: service.set_secret("A", "3"),
        lambda: service.delete_secret("A"),
        lambda: service.destroy_secret("A"),
        lambda: service.custody.rekey_data(),
    ):
        with pytest.raises(StrongroomError):
            write()
    with pytest.raises(StoreError, match=r"secrets\.db .*(deleted|replaced|removed|overwritten)"):
        service.set_secret("A", "3")


def test_within_a_second_nothing_is_read_any_more_and_that_is_on_record(service, path, change):
    backup(path, change.copy)
    live = service.secret("A")
    change()
    second_later(service)
    for read in (
        lambda: service.get_secret("A"),
        lambda: service.list_secrets(),
        lambda: service.history("A"),
        lambda: service.get_secret("missing", "a default"),
    ):
        second_later(service)
        with pytest.raises(StoreError, match=r"secrets\.db .*(deleted|replaced|removed|overwritten)"):
            read()
    events = [event for event in service.get_audit_logs(name="A") if event["outcome"] == "failed"]
    assert {event["reason"] for event in events} == {"store"}
    live._live._watcher._closed.set()
    with suppress(StrongroomError):
        live._live._watcher._look(0.0)
    live._live.follow()
    second_later(service)
    with pytest.raises(StoreError):
        _ = live.value


def test_a_live_handle_that_nobody_changes_learns_of_it_from_its_thread(service, path):
    live = service.secret("A")
    assert live.value == "1"
    os.unlink(path)
    second_later(service)
    for _ in range(400):
        try:
            _ = live.value
        except StoreError:
            return
        live._live._watcher._closed.wait(0.025)
    pytest.fail("it was read for ever")


def test_a_service_that_was_forgotten_harms_nothing_when_it_ends(tmp_path, master_key):
    """To close a database, SQLite removes its side files by their names: they may be those of the next one."""
    path = tmp_path / "secrets.db"
    with closing(SqliteStore(str(path), create=True)) as made, made.transaction() as transaction:
        transaction.put("a", b"old")
    script = """
import sys
from contextlib import suppress
from strongroom.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
with store.transaction() as transaction:
    transaction.put("a", b"of the service")
print("ready", flush=True)
sys.stdin.read()
if sys.argv[2] == "close":
    store.close()
"""
    copy = tmp_path / "backup.db"
    backup(path, copy)
    for end in ("close", "exit"):
        service = subprocess.Popen([sys.executable, "-c", script, str(path), end], stdin=-1, stdout=-1)
        assert service.stdout.readline() == b"ready\n"
        restore(path, copy)
        with closing(SqliteStore(str(path))) as store, store.transaction() as transaction:
            transaction.put("b", end.encode())
            # A process that is killed here leaves what it has committed in the journal alone.
        child = os.fork()
        if child == 0:
            killed = SqliteStore(str(path))
            with killed.transaction() as transaction:
                transaction.put("c", b"acknowledged")
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        service.communicate(timeout=30)
        assert service.returncode == 0
        with closing(SqliteStore(str(path))) as store:
            assert store.scan() == [("a", b"old"), ("b", end.encode()), ("c", b"acknowledged")]


@pytest.mark.parametrize("when", ["before it is written", "after it is written"])
def test_a_store_that_is_replaced_within_a_transaction_takes_nothing(tmp_path, when):
    path = tmp_path / "secrets.db"
    with closing(SqliteStore(str(path), create=True)) as store:
        with store.transaction() as transaction:
            transaction.put("a", b"1")
        backup(path, tmp_path / "copy.db")

        def change():
            with store.transaction() as transaction:
                if when == "before it is written":
                    os.replace(tmp_path / "copy.db", path)
                transaction.put("a", b"2")
                if when == "after it is written":
                    os.replace(tmp_path / "copy.db", path)

        with pytest.raises(StoreError, match="was replaced by another file"):
            change()


def test_a_store_that_is_put_back_goes_on(service, path):
    os.rename(path, f"{path}.old")
    second_later(service)
    with pytest.raises(StoreError, match="put it back"):
        service.get_secret("A")
    os.rename(f"{path}.old", path)
    second_later(service)
    assert service.get_secret("A") == "1"
    service.set_secret("A", "2")
    assert service.verify().problems == ()


def test_after_a_restore_the_store_can_be_opened_again_in_the_same_process(service, path, tmp_path, master_key):
    backup(path, tmp_path / "backup.db")
    restore(path, tmp_path / "backup.db")
    second_later(service)
    with pytest.raises(StoreError, match="restart this process"):
        service.get_secret("A")
    with strongroom.open(f"sqlite:{path}", audit=f"file:{tmp_path}/audit.log") as again:
        again.set_secret("A", "2")
        assert again.get_secret("A") == "2"
        assert again.verify().problems == ()


def test_the_inode_number_of_a_deleted_store_is_not_given_to_the_next_one(tmp_path):
    path = tmp_path / "secrets.db"
    with closing(SqliteStore(str(path), create=True)) as store:
        store.before_fork()  # at rest: SQLite has no file open
        store.after_fork_in_parent()
        for _ in range(20):
            path.unlink()
            SqliteStore(str(path), create=True).close()
            store._check_at = 0.0
            with pytest.raises(StoreError, match="was replaced"):
                store.revision()


@pytest.mark.parametrize("by", ["a restore by sqlite3", "a statement"])
def test_a_store_that_goes_back_under_a_running_process_is_refused(tmp_path, by):
    path = tmp_path / "secrets.db"
    with closing(SqliteStore(str(path), create=True)) as store:
        for number in range(3):
            with store.transaction() as transaction:
                transaction.put("a", b"%d" % number)
            if number == 0:
                backup(path, tmp_path / "backup.db")
        with closing(sqlite3.connect(path)) as other:
            if by == "a statement":
                other.execute("UPDATE store SET revision = 1")
                other.commit()
            else:
                with closing(sqlite3.connect(tmp_path / "backup.db")) as source:
                    source.backup(other)
        with pytest.raises(RollbackError, match=r"at revision 1, and this process has seen revision 3.*--accept"):
            store.revision()
        with pytest.raises(RollbackError), store.transaction():
            pytest.fail("the transaction began")
        with pytest.raises(RollbackError), store.view():
            pytest.fail("the view began")


def test_check_points_of_other_processes_are_no_overwriting(tmp_path):
    path = tmp_path / "secrets.db"
    script = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("VACUUM")
connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
"""
    with closing(SqliteStore(str(path), create=True)) as store:
        for number in range(30):
            with store.transaction() as transaction:
                transaction.put(f"{number}", bytes(9000))
            if number % 10 == 0:
                subprocess.run([sys.executable, "-c", script, str(path)], check=True)
        assert len(store.scan()) == 30
