"""SIGKILL at any moment of a rotation, then `resume` or `abort`: source and store agree, and nobody is locked out."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

import strongroom
from strongroom.access.access import Access
from strongroom.errors import ConflictError

from .source import Source


@pytest.fixture(params=["single", "alternating"])
def source(request, tmp_path):
    source = Source(tmp_path / "source", request.param)
    source.accept("first")
    source.grace = 0.0
    return source


@pytest.fixture
def url(make_manager):
    manager = make_manager("sqlite")
    manager.set_secret("A", "first")
    return manager._access.engine.store.url


def in_child(url, work):
    """Run `work(manager)` in a forked child, and return its process number."""
    pid = os.fork()
    if pid:
        return pid
    try:
        with strongroom.open(url, audit="memory:") as manager:
            work(manager)
    finally:
        os._exit(0)


def kill_myself(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def recover(url, source, how="resume"):
    with strongroom.open(url, audit="memory:") as manager:
        status = manager.rotation.status("A")[0]
        assert not status.running
        if status.step != "idle":
            # Whatever happened, the store has what brings the source back.
            held = {manager.get_secret("A")} | {pending(manager)}
            assert held & set(source.accepted())
            if how == "abort" and status.step != "promoted":
                manager.rotation.abort("A", source)
            else:
                manager.rotation.resume("A", source, wait=5)
        assert source.accepted() == [manager.get_secret("A")]
        assert manager.rotation.status("A")[0].step == "idle"
        assert manager.verify().ok
        return manager.get_secret("A")


def pending(manager):
    from strongroom.records.data import decode_value
    from strongroom.rotation.state import load

    with manager._access.engine.view() as (view, unlocked):
        return decode_value(load(view, unlocked.records, "A").data)


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["set", "test", "retire"])
def test_killed_around_each_call_of_the_rotator(url, source, step, moment, how):
    method = getattr(source, step)

    def dies(*arguments):
        if moment == "after":
            method(*arguments)
        kill_myself()

    setattr(source, step, dies)
    os.waitpid(in_child(url, lambda manager: manager.rotation.rotate("A", source)), 0)
    delattr(source, step)
    recover(url, source, how)


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("moment", ["in", "after"])
@pytest.mark.parametrize("number", range(1, 6))
def test_killed_around_each_transaction(url, source, number, moment, how, monkeypatch):
    change, count = Access.change, []

    def counted(access, action, capability, name, step, *, stage=None):
        count.append(stage)

        def dies(inside):
            result = step(inside)
            if moment == "in" and len(count) == number:
                kill_myself()
            return result

        result = change(access, action, capability, name, dies, stage=stage)
        if len(count) == number:
            kill_myself()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Access, "change", counted)
        pid = in_child(url, lambda manager: manager.rotation.rotate("A", source))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    recover(url, source, how)


@pytest.mark.parametrize("attempt", range(25))
def test_killed_at_a_random_moment(url, source, attempt):
    generator = random.Random(attempt)
    pid = in_child(url, lambda manager: manager.rotation.rotate("A", source))
    time.sleep(generator.uniform(0.0, 0.06))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    recover(url, source, generator.choice(["resume", "abort"]))


def test_killed_again_and_again_while_it_recovers(url, source):
    generator = random.Random(7)
    for _ in range(10):

        def work(manager):
            try:
                manager.rotation.resume("A", source)
            except ConflictError:
                manager.rotation.rotate("A", source)

        pid = in_child(url, work)
        time.sleep(generator.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    recover(url, source)


def test_killed_while_it_is_undone(url, source):
    for step in ("set", "test", "retire"):
        source.test = lambda pending: kill_myself()
        os.waitpid(in_child(url, lambda manager: manager.rotation.rotate("A", source)), 0)
        del source.test
        setattr(source, step, kill_myself)
        os.waitpid(in_child(url, lambda manager: manager.rotation.abort("A", source)), 0)
        delattr(source, step)
        recover(url, source)
