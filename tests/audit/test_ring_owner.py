"""The ring in its own process: full halves, their order, and whoever reads meanwhile."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager

import pytest

from strongroom.audit.ring_file import RECORD, RingFile

from .conftest import CAPACITY
from .rings import events, file_of, files, numbers, problems, put


def test_room_is_made_by_draining_the_older_half_alone_and_without_waiting(ring, sink, monkeypatch):
    waits = []
    locked = RingFile.locked

    @contextmanager
    def look_on(file, timeout=None):
        waits.append(timeout)
        with locked(file, timeout):
            yield

    monkeypatch.setattr(RingFile, "locked", look_on)
    put(ring, 2 * CAPACITY)
    ring.make_room()
    assert numbers(sink) == list(range(1, CAPACITY + 1))
    ring.drain()
    assert numbers(sink) == list(range(1, 2 * CAPACITY + 1))
    assert waits == [0, None]


def test_halves_begin_anew_in_the_order_in_which_they_were_filled(ring, sink):
    put(ring, CAPACITY)
    ring.drain()
    # Now the second half is the older one.
    for _ in range(2):
        put(ring, 2 * CAPACITY)
        ring.drain()
    put(ring, 1)
    ring.drain()
    assert numbers(sink) == list(range(1, 5 * CAPACITY + 2))
    assert problems(sink) == []


def test_halves_that_could_not_be_emptied_are_emptied_the_next_time(ring, sink, monkeypatch):
    def fail(*_):
        raise OSError("no such device")

    put(ring, 2 * CAPACITY)
    with monkeypatch.context() as patch:
        patch.setattr(RingFile, "clear", fail)
        with pytest.raises(OSError, match="no such device"):
            ring.drain()
    ring.drain()
    put(ring, 2 * CAPACITY)
    ring.drain()
    assert numbers(sink) == list(range(1, 4 * CAPACITY + 1))


class _Overtaken:
    """A half of a ring that somebody writes to right after it has told how far it is."""

    def __init__(self, half, write) -> None:
        self._half = half
        self._write = write

    def tell(self) -> int:
        told = self._half.tell()
        self._write()
        return told


@pytest.mark.parametrize("older", [0, 1])
def test_no_read_is_counted_before_the_one_that_precedes_it(ring, older):
    put(ring, older * CAPACITY)
    ring.drain()
    put(ring, CAPACITY - 1)
    halves, record = ring._halves, bytes(RECORD.size)

    def write() -> None:
        # The older half becomes full and the younger begins, between the two looks.
        if halves[older].tell() < CAPACITY * RECORD.size:
            halves[older].write(record)
            halves[1 - older].write(record)

    ring._halves = [_Overtaken(half, write) for half in halves]
    counted = ring._written()
    ring._halves = halves
    assert (counted[older], counted[1 - older]) == (CAPACITY, 0)


@pytest.mark.parametrize("late", [0, 1, 3])
def test_what_a_thread_writes_while_the_ring_closes_is_on_record(ring, sink, late, monkeypatch):
    put(ring, CAPACITY + 2)
    written = ring._written

    def overtaken():
        found = written()
        monkeypatch.undo()
        put(ring, late)
        return found

    monkeypatch.setattr(ring, "_written", overtaken)
    ring.close()
    assert numbers(sink) == list(range(1, CAPACITY + 3 + late))
    assert {event["outcome"] for event in events(sink)} == {"ok"}
    assert files(sink) == []


def test_a_name_that_there_is_no_room_for_is_no_token_and_can_be_written_later(ring, sink, monkeypatch):
    pwrite = os.pwrite
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", lambda fd, data, at: pwrite(fd, data[:-3], at))
        with pytest.raises(OSError, match="no room") as caught:
            ring.token("alice", "name", 1)
    assert caught.value.errno == errno.ENOSPC
    assert ring.names == 0
    put(ring, 1)
    put(ring, 1, "other")
    ring.drain()
    assert [event["name"] for event in events(sink)] == ["name", "other"]
    assert len(RingFile.open(ring._file.base).lines()) == 3


def test_a_name_is_written_once(ring, sink):
    ring.token("alice", "name", 1)
    once = file_of(sink, "names").read_bytes()
    ring.token("alice", "name", 1)
    assert file_of(sink, "names").read_bytes() == once


def test_who_has_nothing_to_drain_waits_for_nobody(ring, sink):
    put(ring, 1)
    ring.drain()
    with RingFile.open(ring._file.base).locked():
        ring.drain(timeout=0)
    assert numbers(sink) == [1]
