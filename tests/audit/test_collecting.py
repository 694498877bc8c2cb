"""What another process finds in a ring, whatever its owner had done when it died or while it goes on."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.audit.collecting import collect, left_over
from strongroom.audit.ring import Ring
from strongroom.audit.ring_file import RECORD, SEGMENT, RingFile, place_of
from strongroom.errors import AuditError

from .conftest import CAPACITY
from .rings import events, file_of, files, numbers, other_process, problems, put


def test_what_is_no_ring_is_left_alone(ring, sink, start, tmp_path):
    put(ring, 1)
    ring.abandon()
    names = file_of(sink, "names")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(names.read_bytes())
    for ending in ("names", "names.new"):
        (names.parent / f"link.{ending}").symlink_to(elsewhere)
    (names.parent / "link.ring").write_bytes(b"not a ring")
    start(sink).collect()
    assert numbers(sink) == [1]
    assert files(sink) == ["names", "names.new", "ring"]


def test_what_nobody_has_drained_and_what_was_damaged_is_counted(log, sink, tmp_path):
    assert left_over(sink.rings) == (0, 0)
    log.record("GET", "name", "ok")
    assert left_over(str(tmp_path / "audit.log")) == (0, 0)
    rings = [Ring(log, sink.rings, CAPACITY) for _ in range(6)]
    assert left_over(sink.rings) == (0, 0)
    for number, ring in enumerate(rings):
        if number < 5:
            ring.abandon()
        if number < 2:
            ring._file.put_aside()
    (Path(sink.rings) / "link.names").symlink_to(tmp_path / "elsewhere")
    (Path(sink.rings) / f"{rings[2].id}.notes").write_text("somebody's")
    assert left_over(sink.rings) == (3, 2)
    rings[-1].close()


def put_a_hole(sink, number: int, count: int = 1) -> bytes:
    """Overwrite records of the first half with zeros, and return what was there."""
    place = place_of(0, CAPACITY) + (number - 1) * RECORD.size
    with open(file_of(sink, "ring"), "r+b") as file:
        file.seek(place)
        before = file.read(count * RECORD.size)
        file.seek(place)
        file.write(bytes(len(before)))
    return before


def test_records_that_were_removed_from_the_ring_of_a_dead_process_are_found(ring, sink, start):
    put(ring, 5)
    put_a_hole(sink, 2, 2)
    ring.abandon()
    other_process(start, sink).collect()
    told = events(sink)
    assert [(event["outcome"], event.get("count", 1)) for event in told] == [
        ("ok", 1), ("failed", 2), ("ok", 1), ("ok", 1)
    ]  # fmt: skip
    # Nobody knows when they were written: they bear the time at which they were missed.
    assert told[1]["ts"] >= told[0]["ts"]
    assert files(sink) == []


def test_a_record_that_is_not_seen_yet_holds_up_those_behind_it_until_it_is(ring, sink, start):
    other = other_process(start, sink)
    put(ring, 2)
    other.collect()
    put(ring, 4)
    late = put_a_hole(sink, 4)
    other.collect()
    assert numbers(sink) == [1, 2, 3]
    with open(file_of(sink, "ring"), "r+b") as file:
        file.seek(place_of(0, CAPACITY) + 3 * RECORD.size)
        file.write(late)
    other.collect()
    assert numbers(sink) == [1, 2, 3, 4, 5, 6]
    assert problems(sink) == []


def test_a_first_record_that_was_cut_short_leaves_nothing(ring, sink, start):
    ring._halves[0].write(b"\1" * 8)
    ring.abandon()
    other_process(start, sink).collect()
    assert events(sink) == []
    assert files(sink) == []


@pytest.mark.parametrize("byte", b"X \n\xff")
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_record_may_end_in_any_byte(ring, sink, start, byte, is_gone):
    now = time.time_ns()
    tokens = (ring.token("alice", "name", version) for version in range(1, 9999))
    ring.write(RECORD.pack(now, next(now ^ token for token in tokens if (now ^ token) >> 56 == byte)))
    if is_gone:
        ring.abandon()
    other_process(start, sink).collect()
    assert [event["outcome"] for event in events(sink)] == ["ok"]


def test_what_a_living_process_is_about_to_make_is_left_alone(ring, sink, start):
    base = file_of(sink, "names").with_suffix("")
    os.rename(f"{base}.names", f"{base}.names.new")
    start(sink).collect()
    assert files(sink) == ["names.new", "ring"]
    ring.abandon()
    start(sink).collect()
    assert files(sink) == []


def test_what_a_process_left_that_died_before_it_had_room_goes_away(ring, sink, start):
    base = file_of(sink, "names").with_suffix("")
    ring.abandon()
    os.rename(f"{base}.names", f"{base}.names.new")
    os.unlink(f"{base}.ring")
    start(sink).collect()
    assert files(sink) == []
    RingFile(str(base), -1, -1).remove_unfinished()


def test_the_younger_half_is_looked_at_first(ring):
    put(ring, 1)
    file = RingFile.open(ring._file.base)
    assert file.state().youngest_first() == [1, 0]
    put(ring, CAPACITY)
    ring.drain()
    assert file.state().youngest_first() == [0, 1]
    file.close()


def test_each_event_bears_the_time_of_its_read_and_no_drainer_within_its_process(ring, sink, start):
    token, second = ring.token("alice", "name", 1), 1_700_000_123_000_000_000
    for now in (second, second + 999_999_999, second + 1_000_000_000, second + 1_456_789_012, second - 1):
        ring.write(RECORD.pack(now, now ^ token))
    other_process(start, sink).collect()
    assert [event["ts"] for event in events(sink)] == [
        "2023-11-14T22:15:23.000000Z", "2023-11-14T22:15:23.999999Z", "2023-11-14T22:15:24.000000Z",
        "2023-11-14T22:15:24.456789Z", "2023-11-14T22:15:22.999999Z",
    ]  # fmt: skip
    assert not any("drainer" in event for event in events(sink))


def test_names_that_are_none_do_not_keep_the_others_from_being_drained(ring, sink, start):
    put(ring, 1)
    with open(file_of(sink, "names"), "ab") as file:
        file.write(b'3\n[]\n{}\nno json\n{"name":3,"version":1,"actor":"a"}\n')
    ring.abandon()
    other_process(start, sink).collect()
    assert [event["outcome"] for event in events(sink)] == ["ok"]
    assert files(sink) == []


def test_each_run_of_removed_records_is_an_event_of_its_own(ring, sink, start):
    put(ring, 5)
    put_a_hole(sink, 1)
    put_a_hole(sink, 3, 2)
    ring.abandon()
    (Path(sink.rings) / "lone.names").write_text("without records")
    other_process(start, sink).collect()
    told = [(event["outcome"], event.get("count", 1)) for event in events(sink)]
    assert told == [("failed", 1), ("ok", 1), ("failed", 2), ("ok", 1)]
    assert files(sink) == ["names"]


def test_an_owner_whose_ring_was_cut_tells_how_many_reads_are_lost(ring, sink):
    put(ring, 4)
    os.truncate(file_of(sink, "ring"), place_of(0, CAPACITY) + 2 * RECORD.size)
    ring.drain()
    told = [(event["outcome"], event.get("count", 1)) for event in events(sink) if "ring" in event]
    assert told == [("ok", 1), ("ok", 1), ("failed", 2)]


@pytest.mark.parametrize("what", ["counters", "names"])
def test_the_damaged_ring_of_a_living_process_is_left_to_it(ring, sink, start, what):
    put(ring, 3)
    with open(file_of(sink, {"counters": "ring", "names": "names"}[what]), "r+b") as file:
        file.write(b"\xff" * 8)
    other_process(start, sink).collect()
    assert events(sink) == []
    assert files(sink) == ["names", "ring"]


def test_a_ring_that_somebody_else_drains_first_is_not_drained_again(ring, sink, start, monkeypatch):
    locked = RingFile.locked

    @contextmanager
    def wait(file, timeout=None):
        monkeypatch.setattr(RingFile, "locked", locked)
        ring.close()
        with locked(file, timeout):
            yield

    put(ring, 3)
    monkeypatch.setattr(RingFile, "locked", wait)
    other_process(start, sink).collect()
    assert numbers(sink) == [1, 2, 3]
    assert files(sink) == []


def test_a_batch_of_which_nothing_came_is_looked_for_to_the_beginning_of_the_log(ring, sink, start, log, monkeypatch):
    def die(reads):
        raise AuditError("killed")

    put(ring, 5)
    with monkeypatch.context() as patch:
        patch.setattr(log, "record_reads", die)
        with pytest.raises(AuditError):
            ring.drain()
    # Where in the log the batch began was lost.
    RingFile.open(ring._file.base).put(SEGMENT, 0, 0)
    ring.abandon()
    other_process(start, sink).collect()
    assert numbers(sink) == [1, 2, 3, 4, 5]
    assert problems(sink) == []


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_directory_of_rings_that_vanishes_or_is_closed_to_us_has_none(log, sink, monkeypatch, error):
    def refuse(path):
        raise error(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        collect(log, sink.rings, only_dead=False)
    assert events(sink) == []
