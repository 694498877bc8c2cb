"""Whether the process that works on a rotation still lives, and until when another machine is trusted to."""

from __future__ import annotations

import os

import pytest

from strongroom.rotation import owner


@pytest.fixture
def without_proc(monkeypatch):
    """Look at processes as where there is no /proc."""

    def missing(path, *_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(owner, "open", missing, raising=False)
    monkeypatch.setattr(os.path, "exists", lambda path: False)
    owner._machine.cache_clear()
    yield
    owner._machine.cache_clear()


def test_a_lease_of_another_machine_ends_with_its_time():
    mine = owner.claim(100.0)
    there = mine._replace(process=mine.process._replace(host="elsewhere"))
    owner.release(mine.token)
    assert not mine.is_working(0)
    assert there.is_working(99)
    assert not there.is_working(101)


def test_a_process_is_told_from_a_later_one_with_its_number():
    me = owner.here()
    assert me.is_alive
    assert not me._replace(started=me.started + 1).is_alive
    assert me._replace(started=0, machine="another namespace").is_alive


def test_a_process_that_has_ended_is_not_alive_although_its_number_is_taken():
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    process = owner.here()._replace(pid=child, started=owner._start_time(child))
    assert process.is_alive
    os.close(write)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    # Nobody has asked for its exit code yet.
    assert not process.is_alive
    os.waitpid(child, 0)
    assert not process.is_alive


def test_without_proc_a_process_is_alive_for_as_long_as_its_number_is_known(without_proc):
    me = owner.here()
    assert (me.machine, me.started) == ("", 0)
    assert me.is_here
    assert me.is_alive
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert not me._replace(pid=child).is_alive


def test_without_proc_the_process_of_another_user_counts_as_alive(without_proc, monkeypatch):
    def refuse(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert owner.here()._replace(pid=1).is_alive


def test_a_process_that_ends_while_it_is_looked_at_is_gone(monkeypatch):
    def end(path, *_):
        raise ProcessLookupError(path)

    me = owner.here()
    monkeypatch.setattr(owner, "open", end, raising=False)
    assert not me.is_alive
