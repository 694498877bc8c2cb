"""A live handle is always current, tells of each change once, and is on record for each version it takes up."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time

import pytest

import strongroom
from strongroom.delivery.watching import Watch
from strongroom.errors import InvalidNameError, SecretNotFoundError, StoreError, TamperedError
from strongroom.live import watcher as live_watcher

OTHER = """
import sys, strongroom
secrets = strongroom.open(sys.argv[1], audit="memory:")
for line in sys.stdin:
    secrets.set_secret("A", line.strip())
    print("done", flush=True)
"""


@pytest.fixture(params=["sqlite", "file"])
def url(request, tmp_path):
    return f"{request.param}:{tmp_path}/secrets.x"


@pytest.fixture
def manager(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", strongroom.generate_master_key())
    with strongroom.init(url, audit=f"file:{tmp_path}/audit.log") as manager:
        manager.set_secret("A", "first")
        yield manager


def gets(manager):
    """Return (version, count) of the reads on record, oldest first."""
    events = manager.get_audit_logs(limit=None, action="GET")
    return [(event.get("version"), event.get("count")) for event in reversed(events)]


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 10 s"
        time.sleep(0.005)


def test_the_value_is_that_of_the_newest_version(manager):
    handle = manager.secret("A")
    assert (handle.value, handle.version, handle.stage) == ("first", 1, "current")
    manager.set_secret("A", "second")
    assert (handle.value, handle.version) == ("second", 2)
    assert (str(handle), handle()) == ("second", "second")


def test_there_is_one_handle_for_each_name(manager):
    assert manager.secret("A") is manager.secret("A")


def test_every_read_after_a_change_by_another_process_sees_it(manager, url):
    handle = manager.secret("A")
    other = subprocess.Popen([sys.executable, "-c", OTHER, url], stdin=-1, stdout=-1, text=True)
    for number in range(100):
        assert handle.value is not None
        other.stdin.write(f"value {number}\n")
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        assert handle.value == f"value {number}"
    other.communicate()


def test_a_callback_is_called_once_for_a_version_in_whatever_process_it_was_set(manager, url):
    seen = []
    handle = manager.secret("A")
    handle.on_change(lambda changed: seen.append((changed.version, changed.value)))
    manager.set_secret("A", "second")
    wait_until(lambda: seen)
    subprocess.run([sys.executable, "-c", OTHER, url], input="third\n", text=True, check=True, stdout=-1)
    wait_until(lambda: len(seen) == 2)
    manager.set_secret("another", "x")
    time.sleep(4 * live_watcher.TICK)
    assert seen == [(2, "second"), (3, "third")]


def test_a_callback_that_raises_is_reported_and_called_again(manager, monkeypatch):
    reported, called = [], []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_type))

    @manager.secret("A").on_change
    def fail(handle):
        called.append(handle.version)
        raise ZeroDivisionError

    for number in (2, 3):
        manager.set_secret("A", f"value {number}")
        wait_until(lambda number=number: len(reported) == number - 1)
    assert (called, reported) == ([2, 3], [ZeroDivisionError] * 2)


def test_a_version_is_on_record_when_it_is_taken_up_and_further_reads_are_counted(manager):
    handle = manager.secret("A")
    for _ in range(10):
        assert handle.value == "first"
    manager.set_secret("A", "second")
    assert handle.value == "second"
    manager._shared.live(manager._access).flush()
    manager._shared.live(manager._access).flush()
    assert gets(manager)[:2] == [(1, None), (2, None)]
    assert [pair for pair in gets(manager) if pair[1]] == [(2, 10)]


def test_looks_for_callbacks_are_no_reads(manager):
    handle, told = manager.secret("A"), []
    handle.on_change(told.append)
    for number in range(3):
        manager.set_secret("another", str(number))
        store, watcher = manager._access.engine.store, manager._shared.live(manager._access)._watcher
        state = live_watcher.state_of(store)
        wait_until(lambda state=state, watcher=watcher: watcher._before == state)
    assert handle.value == "first"
    manager._shared.live(manager._access).flush()
    assert gets(manager) == [(1, None), (1, 1)]


def test_counted_reads_are_on_record_when_the_program_ends(manager, url, tmp_path):
    program = (
        "import sys, strongroom\n"
        "handle = strongroom.open(sys.argv[1], audit='file:' + sys.argv[2]).secret('A')\n"
        "for _ in range(7): handle.value\n"
    )
    subprocess.run([sys.executable, "-c", program, url, f"{tmp_path}/audit.log"], check=True)
    assert gets(manager) == [(1, None), (1, 7)]


def test_a_child_process_goes_on_with_values_and_callbacks(manager):
    handle = manager.secret("A")
    seen = []
    handle.on_change(lambda changed: seen.append(changed.version))
    child = os.fork()
    if child == 0:
        try:
            manager.set_secret("A", "from the child")
            wait_until(lambda: seen)
            os._exit(0 if (handle.value, seen) == ("from the child", [2]) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    wait_until(lambda: seen)
    assert (handle.value, seen) == ("from the child", [2])


def test_a_deleted_secret_raises_and_comes_back(manager):
    handle = manager.secret("A")
    manager.delete_secret("A")
    with pytest.raises(SecretNotFoundError):
        _ = handle.value
    manager.undelete_secret("A")
    assert handle.value == "first"


def test_a_value_that_expires_is_not_returned_after_its_time(manager, monkeypatch):
    manager.set_secret("A", "short", expires_in=100)
    handle = manager.secret("A")
    assert handle.value == "short"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 101)
    with pytest.raises(SecretNotFoundError):
        _ = handle.value


def test_a_forged_record_raises(manager):
    handle = manager.secret("A")
    store = manager._access.engine.store
    with store.transaction() as tx:
        stored = tx.get("secret/A")
        tx.put("secret/A", stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(TamperedError):
        _ = handle.value


def test_a_handle_does_not_show_its_value_by_accident(manager):
    handle = manager.secret("A")
    assert "first" not in repr(handle)
    with pytest.raises(TypeError):
        pickle.dumps(handle)
    with pytest.raises(TypeError):
        copy.deepcopy(handle)


def test_what_is_no_name_and_what_is_not_there_is_refused(manager):
    with pytest.raises(InvalidNameError):
        manager.secret("../A")
    with pytest.raises(SecretNotFoundError):
        manager.secret("missing")


def test_closing_ends_the_thread(manager):
    manager.secret("A")
    thread = manager._shared.live(manager._access)._watcher._thread
    assert thread.is_alive()
    manager.close()
    assert not thread.is_alive()


def test_a_child_of_a_process_that_has_closed_starts_no_thread(manager):
    manager.secret("A")
    manager.close()
    child = os.fork()
    if child == 0:
        os._exit(0 if manager._shared.live(manager._access)._watcher._thread is None else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_change_between_the_last_read_and_the_callback_is_told(manager):
    handle = manager.secret("A")
    manager.set_secret("A", "second")
    store = manager._access.engine.store
    state = live_watcher.state_of(store)
    wait_until(lambda: manager._shared.live(manager._access)._watcher._before == state)
    told = []
    handle.on_change(lambda changed: told.append(changed.seen))
    wait_until(lambda: told)
    assert told == [2]


def test_a_change_that_was_read_before_the_callback_is_not_told(manager):
    handle = manager.secret("A")
    manager.set_secret("A", "second")
    assert handle.value == "second"
    told = []
    handle.on_change(lambda changed: told.append(changed.seen))
    manager.set_secret("A", "third")
    wait_until(lambda: told)
    assert told == [3]


def test_a_change_that_was_read_before_a_second_callback_is_told_to_the_first_alone(manager):
    handle, told = manager.secret("A"), []
    with manager._shared.live(manager._access)._lock:  # so that nobody looks in between
        handle.on_change(lambda changed: told.append(("first", changed.seen)))
        manager.set_secret("A", "second")
        assert handle.value == "second"
        handle.on_change(lambda changed: told.append(("second", changed.seen)))
    wait_until(lambda: told)
    manager.set_secret("A", "third")
    wait_until(lambda: len(told) == 3)
    time.sleep(4 * live_watcher.TICK)
    assert told == [("first", 2), ("first", 3), ("second", 3)]


@pytest.mark.parametrize("url", ["file"], indirect=True)
def test_another_file_of_the_same_revision_is_told_of(manager, url, tmp_path):
    handle, told = manager.secret("A"), []
    handle.on_change(lambda changed: told.append((changed.seen, changed.value)))
    path, branch = url.removeprefix("file:"), f"{tmp_path}/branch"
    shutil.copy(path, branch)
    manager.set_secret("A", "ours")
    wait_until(lambda: told)
    with strongroom.open(f"file:{branch}", audit="memory:") as other:
        other.set_secret("A", "theirs")
        revisions = {each._access.engine.store.revision() for each in (manager, other)}
    assert len(revisions) == 1
    watch = Watch(manager)
    watch.looking()
    os.replace(branch, path)
    assert watch.due()
    wait_until(lambda: len(told) == 2)
    assert told == [(2, "ours"), (2, "theirs")]


def test_a_forged_record_silences_no_other_callback_and_is_not_read_again_and_again(manager):
    manager.set_secret("B", "first")
    told = []
    for name in ("A", "B"):
        manager.secret(name).on_change(lambda changed: told.append((changed.name, changed.seen)))
    store = manager._access.engine.store
    authentic = store.get("secret/B")
    manager.set_secret("B", "second")
    wait_until(lambda: told)
    with store.transaction() as tx:
        stored = tx.get("secret/A")
        tx.put("secret/A", stored[:-1] + bytes([stored[-1] ^ 1]))
        tx.put("secret/B", authentic)
    wait_until(lambda: len(told) == 2)
    time.sleep(8 * live_watcher.TICK)
    assert told == [("B", 2), ("B", 1)]
    # Once while the commit is under way, and once after it.
    assert len(manager.get_audit_logs(limit=None, name="A", outcome="failed")) <= 2


def test_sixty_four_readers_see_no_value_of_an_earlier_version(manager):
    handle = manager.secret("A")
    manager.set_secret("A", "1")
    newest, stale, stop = [1], [], threading.Event()

    def read():
        while not stop.is_set():
            before = newest[0]
            if int(handle.value) < before:
                stale.append(before)
            time.sleep(0)  # else the interpreter lets each of them run for 5 ms before the writer has its turn

    readers = [threading.Thread(target=read) for _ in range(64)]
    for reader in readers:
        reader.start()
    for number in range(2, 12):
        manager.set_secret("A", str(number))
        newest[0] = number
    stop.set()
    for reader in readers:
        reader.join()
    assert stale == []


def test_two_threads_that_ask_first_get_the_same_handle(manager):
    start, got = threading.Barrier(8), []

    def ask():
        start.wait()
        got.append(manager.secret("A"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, got))) == 1


def test_a_callback_that_is_removed_is_called_no_more_and_the_others_are(manager):
    handle, told = manager.secret("A"), []
    first = handle.on_change(lambda changed: told.append("first"))
    handle.on_change(lambda changed: told.append("second"))
    for _ in range(2):
        handle.off_change(first)
    manager.set_secret("A", "second")
    wait_until(lambda: told)
    time.sleep(4 * live_watcher.TICK)
    assert told == ["second"]


def test_counted_reads_are_on_record_after_a_while(manager, monkeypatch):
    monkeypatch.setattr(live_watcher, "FLUSH_EVERY", 0.05)
    handle = manager.secret("A")
    for _ in range(10):
        assert handle.value == "first"
    wait_until(lambda: sum(count or 0 for _, count in gets(manager)) == 10)


def test_callbacks_go_on_after_a_store_that_could_not_be_read_for_a_while(manager, monkeypatch):
    handle, told, refused = manager.secret("A"), [], []
    handle.on_change(lambda changed: told.append(changed.seen))
    store = manager._access.engine.store

    def refuse():
        refused.append(True)
        raise StoreError("no such device")

    with monkeypatch.context() as patch:
        patch.setattr(store, "commits" if hasattr(store, "commits") else "revision", refuse)
        wait_until(lambda: refused)
    manager.set_secret("A", "second")
    wait_until(lambda: told)
    assert told == [2]
