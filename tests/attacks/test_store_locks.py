"""A process that is stopped while it holds a lock of a SQLite store: others wait for a while, and are told for whom."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import strongroom
from strongroom.errors import StoreBusyError
from strongroom.stores import sqlite_holders
from strongroom.stores.sqlite import SqliteStore

WORKER = """
import sys, sqlite3
from strongroom.stores.sqlite import SqliteStore
path, what = sys.argv[1:]
if what == "writes":
    store = SqliteStore(path)
    with store.transaction() as transaction:
        transaction.put("a", b"2")
        print("ready", flush=True)
        sys.stdin.read()
elif what == "reads":
    store = SqliteStore(path)
    with store.view() as view:
        view.get("a")
        print("ready", flush=True)
        sys.stdin.read()
else:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    print("ready", flush=True)
    sys.stdin.read()
"""
needs_locks = pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="this kernel does not tell who holds a lock")


def put(store, value, path="a"):
    with store.transaction() as transaction:
        transaction.put(path, value)


@pytest.fixture
def path(tmp_path):
    path = str(tmp_path / "secrets.db")
    with closing(SqliteStore(path, create=True)) as store:
        put(store, b"1")
    return path


@contextmanager
def stopped(path, what, tmp_path, number=signal.SIGSTOP):
    """Give a process that has stopped in the middle of what it does."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    worker = subprocess.Popen([sys.executable, str(script), path, what], stdin=-1, stdout=-1)
    try:
        assert worker.stdout.readline() == b"ready\n"
        if number:
            worker.send_signal(number)
            deadline = time.monotonic() + 10
            while "stopped now" not in sqlite_holders.describe_process(worker.pid) and time.monotonic() < deadline:
                time.sleep(0.01)
        yield worker
    finally:
        worker.kill()
        worker.communicate()


@needs_locks
@pytest.mark.parametrize("what", ["writes", "locks the database"])
def test_who_waits_for_a_stopped_process_is_told_its_number_its_name_and_that_it_is_stopped(path, tmp_path, what):
    with closing(SqliteStore(path, timeout=0.1)) as store:
        if what != "writes":
            store.close()  # or the other one would not get its lock
        with stopped(path, what, tmp_path) as worker, pytest.raises(StoreBusyError) as caught:
            put(store, b"3") if what == "writes" else SqliteStore(path, timeout=0.1)
    said = str(caught.value)
    assert f"process {worker.pid} (python" in said
    assert "worker.py, started " in said
    assert "stopped now) holds the lock" in said


@needs_locks
def test_who_waits_for_a_running_process_is_told_for_how_long_it_runs(path, tmp_path):
    with closing(SqliteStore(path, timeout=0.1)) as store, stopped(path, "writes", tmp_path, None) as worker:
        with pytest.raises(StoreBusyError, match=rf"process {worker.pid} \(python\S* worker\.py, started \d+ s ago\)"):
            put(store, b"3")
        assert store.get("a") == b"1"


def test_a_process_that_stopped_while_it_reads_stops_nobody(path, tmp_path):
    with stopped(path, "reads", tmp_path), closing(SqliteStore(path, timeout=0.1)) as store:
        for number in range(300):  # and past SQLite's own check-points
            put(store, b"%d" % number * 3000)
        assert store.get("a") == b"299" * 3000
        with store.view() as view:
            assert view.get("a") == b"299" * 3000
        assert store.scrub() is False
        put(store, b"2")


def test_reads_go_on_while_the_holder_of_the_write_lock_is_stopped(tmp_path, master_key, monkeypatch):
    """A process that only reads puts a checkpoint of the log into the store now and then."""
    monkeypatch.setattr("strongroom.audit.log.CHECKPOINT_AFTER", 3600.0)
    path = str(tmp_path / "secrets.db")
    with strongroom.init(f"sqlite:{path}", audit=f"file:{tmp_path}/audit.log") as secrets:
        secrets.set_secret("A", "x")
        log = secrets._access.audit
        log._every, log._checkpoint_at = 1, -3600.0
        asked = []
        within = SqliteStore.transaction_within
        monkeypatch.setattr(
            SqliteStore, "transaction_within", lambda store, seconds: asked.append(seconds) or within(store, seconds)
        )
        with stopped(path, "writes", tmp_path):
            for _ in range(20):
                assert secrets.get_secret("A") == "x"
        # Once for all of them, and not for long.
        assert asked == [0.1]
        log._checkpoint_at = -3600.0
        assert secrets.get_secret("A") == "x"
        assert log._checkpoint_at > 0
        assert secrets.verify_audit().problems == ()


def test_a_process_that_is_killed_frees_what_it_held(path, tmp_path):
    with closing(SqliteStore(path, timeout=0.1)) as store:
        with stopped(path, "writes", tmp_path):
            pass
        put(store, b"3")
        assert store.get("a") == b"3"


def test_a_thread_of_this_process_is_named(path):
    with closing(SqliteStore(path, timeout=0.1)) as store:
        begun, end = threading.Event(), threading.Event()

        def hold():
            with store.transaction():
                begun.set()
                end.wait(10)

        thread = threading.Thread(target=hold, name="the one that hangs")
        thread.start()
        begun.wait(10)
        try:
            with pytest.raises(StoreBusyError, match=r"thread of this process \('the one that hangs'\) holds the lock"):
                put(store, b"2")
        finally:
            end.set()
            thread.join()


def test_a_stuck_reader_does_not_stop_the_other_threads_for_ever(path, monkeypatch):
    monkeypatch.setattr("strongroom.stores.sqlite._LONGEST", 0.05)
    monkeypatch.setattr("strongroom.stores.sqlite_pool.LONGEST", 0.05)
    with closing(SqliteStore(path, timeout=0.05)) as store:
        put(store, b"1")
        begun, end = threading.Event(), threading.Event()

        def hang():
            with store._reading, store._pool._changed:
                begun.set()
                end.wait(10)

        thread = threading.Thread(target=hang)
        thread.start()
        begun.wait(10)
        try:
            for call in (lambda: store.get("b"), store.scan, store.revision, lambda: put(store, b"2"), store.scrub):
                with pytest.raises(StoreBusyError, match="another thread"):
                    call()
            pid = os.fork()  # which waits for both, and not for ever
            if pid == 0:
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        finally:
            end.set()
            thread.join()
        assert store.get("b") is None


def test_arguments_of_a_process_are_not_told(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text("import sys; print('ready', flush=True); sys.stdin.read()")
    for command in ([str(script), "CANARY"], ["-c", script.read_text() + "\n'CANARY'"]):
        worker = subprocess.Popen([sys.executable, *command], stdin=-1, stdout=-1)
        try:
            assert worker.stdout.readline() == b"ready\n"
            said = sqlite_holders.describe_process(worker.pid)
            assert f"process {worker.pid} (python" in said
            assert "CANARY" not in said
        finally:
            worker.kill()
            worker.communicate()


@pytest.mark.parametrize("pid", [2**22 + 5, 0])
def test_a_process_that_is_gone_is_a_number(pid):
    assert sqlite_holders.describe_process(pid) == f"process {pid}"


FREEZERS = [
    ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
    ("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
]


@pytest.mark.parametrize("freezer", FREEZERS, ids=["version 2", "version 1"])
def test_a_frozen_container_is_told_from_a_slow_one(freezer):
    above, switch, frozen, thawed = freezer
    if not os.path.exists(f"{above}/cgroup.procs"):
        pytest.skip("this machine has control groups of the other version")
    group = Path(above, f"strongroom-{os.getpid()}")
    try:
        group.mkdir()
    except OSError:
        pytest.skip("no control group can be made here")
    worker = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    try:
        try:
            (group / "cgroup.procs").write_text(str(worker.pid))
            (group / switch).write_text(frozen)
        except OSError:
            pytest.skip("no control group can be frozen here")
        deadline = time.monotonic() + 10
        while "frozen now" not in sqlite_holders.describe_process(worker.pid):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (group / switch).write_text(thawed)
    finally:
        worker.kill()
        worker.communicate()
        while True:  # the kernel needs a moment
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.01)
