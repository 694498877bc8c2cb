"""When a writer gives a checkpoint, and what it vouches for."""

import json

import pytest

from strongroom.audit.checkpoint import decode_checkpoint
from strongroom.audit.heads import LINES
from strongroom.audit.log import CHECKPOINT_AFTER
from strongroom.audit.verify import verify

KEYS = {1: b"k" * 32}


def fill(log, number):
    for n in range(number):
        last = log.record("GET", f"N{n}", "ok")
    return last


def decoded(checkpoint):
    return decode_checkpoint(checkpoint[1], KEYS)


@pytest.fixture
def clock(monkeypatch):
    """A monotonic clock, at 0 as when the machine has just started."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_checkpoint_is_due_after_so_many_events_and_some_time(memory, start, clock):
    log = start(memory, checkpoint_every=3)
    for expected in (False, False, True):
        log.record("GET", "A", "ok")
        assert log.checkpoint_due is expected
    log.checkpoint()
    clock[0] = CHECKPOINT_AFTER
    for expected in (False, False, True):
        log.record("GET", "A", "ok")
        assert log.checkpoint_due is expected
    clock[0] = CHECKPOINT_AFTER - 0.001
    assert not log.checkpoint_due


def test_without_keys_no_checkpoint_is_ever_due(memory, start, clock):
    log = start(memory, None, checkpoint_every=1)
    log.record("OPEN", None, "failed", reason="wrong_key")
    assert not log.checkpoint_due


def test_a_log_that_nobody_else_writes_to_is_not_read_again_for_a_checkpoint(memory, start):
    log = start(memory)
    log.record("GET", "A", "ok")
    log.checkpoint()
    reads = []
    backwards = memory.lines_backwards
    memory.lines_backwards = lambda: reads.append(1) or backwards()
    for name in ("B" * 100, "C", "D" * 30):
        last = log.record("SET", name, "intent")
        assert f"{decoded(log.checkpoint()).stream}-{decoded(log.checkpoint()).seq}" == last
    assert reads == []
    assert verify(memory, KEYS, dict([log.checkpoint()])).problems == ()


@pytest.mark.parametrize("name", ["A", "A" * 100])
def test_every_checkpoint_vouches_for_what_others_wrote_before_its_line(memory, start, name):
    log, other = start(memory), start(memory)
    log.record("GET", "A", "ok")
    other.record("GET", "A", "ok")
    log.checkpoint()
    for _ in range(3):
        seen = other.record("GET", name, "ok")
        log.record("GET", "A", "ok")
        assert decoded(log.checkpoint()).after == (seen,)


def test_a_checkpoint_is_given_although_others_wrote_much_since(memory, start):
    log = start(memory)
    log.record("GET", "A", "ok")
    seen = fill(start(memory), LINES + 1)
    # The sink knows where the last line of this writer is.
    place = memory.position()._replace(offset=len(memory.texts[0]) + 1)
    memory.position = lambda: place
    checkpoint = log.checkpoint()
    assert decoded(checkpoint)[:1] == (place,)
    assert decoded(checkpoint).after == (seen,)
    assert verify(memory, KEYS, dict([checkpoint])).problems == ()


def test_a_new_stream_vouches_for_its_writers_last_although_others_wrote_much_since(memory, start):
    log = start(memory)
    last = log.record("GET", "A", "ok")
    seen = fill(start(memory), LINES + 1)
    log.rekey(KEYS)
    log.record("GET", "A", "ok")
    assert json.loads(memory.texts[-2])["after"] == [last, seen]


def test_the_first_stream_of_a_writer_vouches_for_no_stream_before_it(memory, start):
    start(memory).record("GET", "A", "ok")
    assert json.loads(memory.texts[0])["after"] == []
