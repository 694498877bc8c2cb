"""Many watched secrets: each new version is told once, and what did not change is not read."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import strongroom
from strongroom.errors import StrongroomError
from strongroom.live import watcher as live_watcher

WATCHED = 2_000
OTHER = """
import json, sys, strongroom
secrets = strongroom.open(sys.argv[1], audit="memory:")
for line in sys.stdin:
    secrets.set_secrets(json.loads(line))
    print("done", flush=True)
"""
KILLED = """
import os, signal, sys, strongroom
from strongroom.stores.generation import Generation
secrets = strongroom.open(sys.argv[1], audit="memory:")
Generation.end = lambda self, number: os.kill(os.getpid(), signal.SIGKILL)
secrets.set_secret("N0", "second")
"""

UNCOUNTED = """
import sys, strongroom
from strongroom.stores.generation import Generation
secrets = strongroom.open(sys.argv[1], audit="memory:")
Generation.begin = lambda self, paths: 0
Generation.end = lambda self, number: None
secrets.set_secret("N1", "second")
"""


@pytest.fixture(params=["sqlite", "file", "memory"])
def url(request, tmp_path):
    return f"{request.param}:" + ("" if request.param == "memory" else f"{tmp_path}/secrets.x")


@pytest.fixture
def manager(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", strongroom.generate_master_key())
    with strongroom.init(url, audit=f"file:{tmp_path}/audit.log") as manager:
        manager.set_secrets({f"N{number}": "first" for number in range(WATCHED)})
        yield manager


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "nothing happened for 30 s"
        time.sleep(0.005)


def watch(manager, count=WATCHED):
    """Watch the secrets; return name → versions that its callback was called for."""
    told = {f"N{number}": [] for number in range(count)}
    for name, versions in told.items():
        manager.secret(name).on_change(lambda handle, versions=versions: versions.append(handle.seen))
    return told


def count_reads(manager, monkeypatch):
    """Return a list that grows by the name of each handle that is read anew."""
    names, refresh = [], manager._shared.live(manager._access).refresh

    def counting(handle):
        names.append(handle.name)
        return refresh(handle)

    monkeypatch.setattr(manager._shared.live(manager._access), "refresh", counting)
    return names


def settle(manager):
    """Wait until the watcher has looked at everything that was committed."""
    store, watcher = manager._access.engine.store, manager._shared.live(manager._access)._watcher
    wait_until(lambda: watcher._before == live_watcher.state_of(store))
    time.sleep(2 * live_watcher.TICK)


def test_of_thousands_of_watched_secrets_each_change_is_told_once_and_no_other(manager):
    told, chance, final = watch(manager), random.Random(1), dict.fromkeys(range(WATCHED), 1)
    for size in (1, 1, 1, 50, 1, 1, 500, 1, 1, 1):
        changed = chance.sample(range(WATCHED // 2), size)
        manager.set_secrets({f"N{number}": f"value {final[number]}" for number in changed})
        for number in changed:
            final[number] += 1
    wait_until(lambda: all((told[f"N{number}"] or [1])[-1] == version for number, version in final.items()))
    settle(manager)
    for number, version in final.items():
        versions = told[f"N{number}"]
        assert versions == sorted(set(versions)), "told twice, or of an older version after a newer one"
        assert versions[-1:] == ([version] if version > 1 else [])


@pytest.mark.parametrize("url", ["sqlite", "file"], indirect=True)
def test_changes_of_another_process_are_told_one_after_the_other(manager, url):
    told = watch(manager)
    other = subprocess.Popen([sys.executable, "-c", OTHER, url], stdin=-1, stdout=-1, text=True)
    for number in range(20):
        other.stdin.write(f'{{"N{number}": "second", "N{number + 20}": "second"}}\n')
        other.stdin.flush()
        assert other.stdout.readline() == "done\n"
        wait_until(lambda number=number: told[f"N{number}"] and told[f"N{number + 20}"])
    other.communicate()
    settle(manager)
    assert {name: versions for name, versions in told.items() if versions} == {f"N{n}": [2] for n in range(40)}


def test_only_what_changed_is_read_after_a_commit(manager, monkeypatch, url):
    watch(manager)
    settle(manager)
    names = count_reads(manager, monkeypatch)
    manager.set_secret("N7", "second")
    wait_until(lambda: "N7" in names)
    settle(manager)
    # With marks, a secret may share one with another that changed, or with the store's own entries: 1 in 16,384.
    assert len(set(names)) <= (15 if url.startswith("sqlite") else 1)


@pytest.mark.parametrize("how", ["deleted", "forged"])
def test_what_cannot_be_read_is_on_record_once_and_not_at_each_commit(manager, how):
    told = watch(manager, 2)
    settle(manager)
    store = manager._access.engine.store
    if how == "deleted":
        manager.delete_secret("N0")
    else:
        with store.transaction() as tx:
            stored = tx.get("secret/N0")
            tx.put("secret/N0", stored[:-1] + bytes([stored[-1] ^ 1]))
        # Twice, so that one of the looks at it comes after the commit has ended.
        settle(manager)
    for number in range(10):
        manager._access.checkpoint()
        if how == "deleted":
            manager.set_secret("N1", f"value {number}")
        settle(manager)
    outcome = "not_found" if how == "deleted" else "failed"
    # Once after the commit, and now and then while one is under way: it is not known then what will be there.
    assert 1 <= len(manager.get_audit_logs(limit=None, name="N0", action="GET", outcome=outcome)) <= 5
    assert told["N0"] == []
    if how == "deleted":
        manager.undelete_secret("N0")
        manager.set_secret("N0", "third")
        wait_until(lambda: told["N0"] == [2])


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_change_whose_writer_was_killed_before_it_could_say_so_is_told(manager, url):
    told = watch(manager, 2)
    settle(manager)
    done = subprocess.run([sys.executable, "-c", KILLED, url], check=False)
    assert done.returncode == -signal.SIGKILL
    begun, ended = manager._access.engine.store.commits()
    assert begun != ended
    wait_until(lambda: told["N0"])
    assert told == {"N0": [2], "N1": []}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_callbacks_go_on_when_the_counters_were_removed_or_somebody_wrote_without_them(manager, url):
    told = watch(manager, 2)
    os.unlink(url.removeprefix("sqlite:") + "-gen")
    manager.set_secret("N0", "second")
    wait_until(lambda: told["N0"] == [2])
    subprocess.run([sys.executable, "-c", UNCOUNTED, url], check=True)
    wait_until(lambda: told["N1"] == [2])
    assert manager.secret("N1").value == "second"
    assert told == {"N0": [2], "N1": [2]}


def test_no_thread_to_be_had_is_an_error_that_says_what_to_do(make_manager, monkeypatch):
    secrets = make_manager()
    secrets.set_secret("A", "first")

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(StrongroomError, match=r"no thread can be started.*ulimit -u"):
                secrets.secret("A")
    handle, told = secrets.secret("A"), []
    handle.on_change(lambda changed: told.append(changed.version))
    secrets.set_secret("A", "second")
    wait_until(lambda: told)
    assert told == [2]


def test_the_thread_outlives_what_is_no_error_of_strongroom_and_tells_it_once(make_manager, monkeypatch):
    secrets, heard, told = make_manager(), [], []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    secrets.set_secret("A", "first")
    secrets.secret("A").on_change(lambda changed: told.append(changed.version))
    store = secrets._access.engine.store
    looks = []

    def fail():
        looks.append(1)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(store, "revision", fail)
        wait_until(lambda: len(looks) > 3)
    secrets.set_secret("A", "second")
    wait_until(lambda: told)
    assert [each.exc_type for each in heard] == [MemoryError]
