"""Which revision of the store the end of a log has on record."""

import json
from itertools import islice

import pytest

from strongroom.audit import tail
from strongroom.audit.tail import newest_revision

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def newest(sink, revision=0, checkpoint=None, keys=KEYS, **more):
    return newest_revision(sink, keys, STORE, revision, lambda log: checkpoint[1] if checkpoint else None, **more)


@pytest.fixture
def read(memory):
    """The lines that were read so far."""
    lines = []
    backwards = memory.lines_backwards
    memory.lines_backwards = lambda: (lines.append(line) or line for line in backwards())
    return lines


def write(log, revision, **more):
    intent = log.record("SET", "A", "intent")
    return log.record("SET", "A", "ok", revision=revision, intent=intent, **more)


def test_an_empty_log_knows_no_revision_and_has_no_end(memory):
    recorded = newest(memory, 7)
    assert (recorded.revision, recorded.complete, recorded.end) == (7, True, None)


def test_the_newest_revision_is_found_wherever_it_is(memory, start):
    log = start(memory)
    for revision in (3, 5, 4):
        write(log, revision)
        log.record("GET", "A", "ok")
    assert newest(memory).revision == 5


def test_the_end_is_where_the_next_line_will_begin(memory, start):
    start(memory).record("GET", "A", "ok")
    end = newest(memory).end
    start(memory).record("GET", "A", "ok")
    assert list(memory.lines())[2].position == end


def test_a_store_at_that_revision_or_a_newer_one_is_not_old(memory, start):
    write(start(memory), 5)
    assert [newest(memory, revision).revision for revision in (4, 5, 6)] == [5, 5, 6]


def test_the_revisions_of_another_store_do_not_count(memory, start):
    write(start(memory), 5)
    write(start(memory, store="6" * 32), 500)
    assert newest(memory).revision == 5


def test_a_revision_under_an_older_key_counts(memory, start):
    write(start(memory), 5)
    assert newest(memory, keys={**KEYS, 2: b"n" * 32}).revision == 5


def test_what_lies_before_the_checkpoint_of_the_store_does_not_count(memory, start, read):
    log = start(memory)
    for revision in range(1, 200):
        write(log, revision)
    checkpoint = log.checkpoint()
    for _ in range(tail.FEW_LINES):
        log.record("GET", "A", "ok")
    read.clear()
    recorded = newest(memory, 4, checkpoint)
    assert (recorded.revision, recorded.complete) == (4, True)
    assert len(read) <= tail.FEW_LINES + 3


def test_a_write_after_the_checkpoint_of_the_store_counts(memory, start):
    log = start(memory)
    write(log, 8)
    checkpoint = log.checkpoint()
    write(log, 9)
    assert newest(memory, 8, checkpoint).revision == 9


@pytest.mark.parametrize("damage", [lambda stored: stored[:-3], lambda stored: b"{}", lambda stored: b"\xff"])
def test_a_damaged_checkpoint_ends_no_search(memory, start, damage):
    log = start(memory)
    write(log, 9)
    log_id, stored = log.checkpoint()
    assert newest(memory, 4, (log_id, damage(stored))).revision == 9


def test_what_a_process_found_when_it_opened_the_store_ends_the_search_where_it_looked(memory, start, read):
    log = start(memory)
    for revision in range(1, 200):
        write(log, revision)
    found = newest(memory)
    start(memory, revision=found.revision, searched=found.end).record("GET", "A", "ok")
    read.clear()
    assert newest(memory).revision == 199
    assert len(read) == 3


def test_what_was_written_between_the_look_of_a_process_and_its_first_line_counts(memory, start):
    log = start(memory)
    write(log, 5)
    found = newest(memory)
    late = start(memory, revision=found.revision, searched=found.end)
    write(log, 6)
    late.record("GET", "A", "ok")
    assert newest(memory).revision == 6


def test_what_a_process_found_before_the_checkpoint_does_not_count_after_it(memory, start):
    log = start(memory)
    write(log, 9)
    found = newest(memory)
    late = start(memory, revision=found.revision, searched=found.end)
    log.record("VERIFY", None, "intent", reason="accept")
    checkpoint = log.checkpoint()
    log.record("VERIFY", None, "ok", reason="accept", revision=4)
    late.record("GET", "A", "ok")
    assert newest(memory, 4, checkpoint).revision == 4


def test_the_revision_that_was_found_at_open_is_said_once(memory, start):
    log = start(memory, revision=7)
    log.record("GET", "A", "ok")
    assert newest(memory).revision == 7
    log.rekey({2: b"l" * 32})
    log.record("GET", "A", "ok")
    assert b'"action":"OPEN"' in memory.texts[-2]
    assert b'"revision"' not in memory.texts[-2]


def test_a_search_that_comes_to_no_end_says_so(memory, start):
    log = start(memory)
    write(log, 5)
    for _ in range(20):
        log.record("GET", "A", "ok")
    cost = sum(len(text) + tail.LINE_COST for text in memory.texts)
    for window, expected in ((cost, (5, True)), (cost - 1, (5, False)), (1000, (0, False))):
        recorded = newest(memory, window=window)
        assert (recorded.revision, recorded.complete) == expected


def test_a_revision_behind_a_torn_line_counts(memory, start):
    log = start(memory)
    write(log, 5)
    memory.texts[-1:] = [memory.texts[-2][:70] + memory.texts[-1]]
    assert newest(memory).revision == 5


def test_a_torn_or_forged_line_is_no_error_and_counts_for_nothing(memory, start):
    write(start(memory), 5)
    mine = b',"store":"%b"' % STORE.encode()
    memory.texts += [
        b'{"id":"x","revision":9' + mine, b'{"revision":"9"' + mine + b"}", b'["revision":' + mine,
        memory.texts[-1].replace(b'"revision":5', b'"revision":9'),
        memory.texts[0].replace(b'"outcome":"ok"', b'"outcome":"ok","revision":9,"searched":[1,99999]'),
    ]  # fmt: skip
    assert newest(memory).revision == 5


def test_a_flood_of_forged_writes_hides_none(memory, start, monkeypatch):
    monkeypatch.setattr(tail, "MOST_WAITING", 10_000)
    write(start(memory), 5)
    event = json.loads(memory.texts[-1])
    for number in range(100):
        forged = event | {"id": f"{number:016x}-2", "stream": f"{number:016x}", "revision": 10**9}
        memory.texts.append(json.dumps(forged, separators=(",", ":")).encode())
    assert newest(memory).revision == 5


@pytest.mark.parametrize("number", [0, 1, 5, 20])
def test_two_searches_read_the_end_of_a_log_once(memory, start, read, number):
    log = start(memory)
    for n in range(10):
        log.record("GET", f"N{n}", "ok")
    everything = list(memory.lines())[::-1]
    shared = tail.Tail(memory)
    first = list(islice(shared.lines_backwards(), number))
    log.record("GET", "LATER", "ok")
    assert first == everything[:number]
    assert list(shared.lines_backwards()) == everything
    assert len(read) == len(everything)


def test_what_is_too_much_for_memory_is_read_twice(memory, start, read, monkeypatch):
    monkeypatch.setattr(tail, "_KEPT", 1000)
    log = start(memory)
    for n in range(10):
        log.record("GET", f"N{n}", "ok")
    everything = list(memory.lines())[::-1]
    shared = tail.Tail(memory)
    assert list(shared.lines_backwards()) == list(shared.lines_backwards()) == everything
    assert len(read) == 2 * len(everything)
