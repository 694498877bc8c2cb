"""A live handle tells which values to accept from others: the current one, and for a while the one before."""

from __future__ import annotations

import threading
import time

import pytest

from strongroom.errors import DeniedError, SecretNotFoundError


@pytest.fixture(params=["sqlite", "file", "memory"])
def manager(request, make_manager):
    manager = make_manager(request.param)
    manager.set_secret("KEY", "first")
    return manager


@pytest.fixture
def later(monkeypatch):
    """Let time go by."""
    real, gone = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + gone[0])

    def pass_by(seconds):
        gone[0] += seconds

    return pass_by


def reads(manager):
    return [event["version"] for event in manager.get_audit_logs(limit=None, action="GET", outcome="ok")][::-1]


def test_the_value_before_is_accepted_for_an_hour(manager, later):
    handle = manager.secret("KEY")
    assert handle.accepted() == ["first"]
    manager.set_secret("KEY", "second")
    assert handle.accepted() == ["second", "first"]
    later(3599)
    assert handle.accepted() == ["second", "first"]
    later(2)
    assert handle.accepted() == ["second"]
    assert handle.accepted(grace=4000) == ["second", "first"]
    manager.set_secret("KEY", "third")
    assert handle.accepted() == ["third", "second"]
    assert handle.accepted(grace=0) == ["third"]


def test_each_version_is_on_record_once(manager):
    handle = manager.secret("KEY")
    manager.set_secret("KEY", "second")
    for _ in range(5):
        handle.accepted()
    manager.set_secret("another", "x")
    handle.accepted()
    assert reads(manager) == [1, 2, 1]


@pytest.mark.parametrize("end", ["delete_secret", "destroy_secret"])
def test_a_value_before_that_is_taken_away_is_accepted_no_more(manager, end):
    manager.set_secret("KEY", "second")
    handle = manager.secret("KEY")
    assert handle.accepted() == ["second", "first"]
    getattr(manager, end)("KEY", [1])
    assert handle.accepted() == ["second"]
    manager.undelete_secret("KEY", [1])
    assert handle.accepted() == (["second", "first"] if end == "delete_secret" else ["second"])


def test_the_value_two_before_never_stands_in_for_one_that_is_gone(manager):
    manager.set_secret("KEY", "second")
    manager.set_secret("KEY", "third")
    manager.destroy_secret("KEY", [2])
    assert manager.secret("KEY").accepted() == ["third"]


def test_a_value_before_that_has_expired_is_not_accepted(manager, later):
    manager.set_secret("KEY", "second", expires_in=100)
    manager.set_secret("KEY", "third")
    handle = manager.secret("KEY")
    assert handle.accepted() == ["third", "second"]
    later(101)
    assert handle.accepted() == ["third"]


def test_the_grace_time_is_that_of_the_rotation(manager, later):
    manager.rotation.attach("KEY", "generate:", grace=60)
    handle = manager.secret("KEY")
    manager.rotate_secret("KEY")
    assert handle.accepted()[1:] == ["first"]
    later(61)
    assert len(handle.accepted()) == 1


def test_a_pending_value_is_nobodys_until_it_is_current(manager):
    handle, seen = manager.secret("KEY"), []

    class Source:
        def create(self, current):
            return {"value": "second"}

        def look(self, *_):
            seen.append((handle.stage, handle.accepted(), manager.get_secret("KEY")))

        set = test = retire = look

    manager.rotation.rotate("KEY", Source(), wait=0)
    # By force, as this process has read the value before, and may hold it in a variable.
    manager.rotation.retire("KEY", Source(), force=True)
    # While the current value is tried, and the new one set and tested; then when the current one is tried once more,
    # and the one before retired.
    staged, promoted = ("current", ["first"], "first"), ("current", ["second", "first"], "second")
    assert seen[:3] == [staged] * 3
    assert set(map(str, seen[3:])) == {str(promoted)}


def test_an_actor_who_may_not_read_is_refused(make_manager):
    manager = make_manager(policy=[{"actor": "alice", "name": "*", "capabilities": ["create", "update"]}])
    manager.set_secret("KEY", "first")
    with pytest.raises(DeniedError):
        manager.secret("KEY")


def test_a_deleted_secret_raises(manager):
    handle = manager.secret("KEY")
    manager.delete_secret("KEY")
    with pytest.raises(SecretNotFoundError):
        handle.accepted()


def test_the_value_before_always_is_the_one_that_the_first_replaced(manager):
    # Writes are many while one reader waits for its turn: the version before shall not be retired in between.
    manager.set_secret("KEY", "0", max_versions=100)
    manager.set_secret("KEY", "1")
    handle, wrong, stop = manager.secret("KEY"), [], threading.Event()

    def read():
        while not stop.is_set():
            values = handle.accepted()
            if [int(value) for value in values[1:]] != [int(values[0]) - 1]:
                wrong.append(values)

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    for number in range(2, 22):
        manager.set_secret("KEY", str(number))
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
