"""The ring's files: what was put in comes into the log once, and what was changed outside is found."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from strongroom.audit.collecting import left_over
from strongroom.audit.ring_file import DRAINED, RECORD, RingFile, counted, place_of
from strongroom.errors import AuditError

from .conftest import CAPACITY, KEYS, STORE
from .rings import events, file_of, files, numbers, other_process, problems, put


@pytest.mark.parametrize(
    "count", [1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 2 * CAPACITY, 2 * CAPACITY + 1, 7 * CAPACITY + 3]
)
def test_each_record_is_one_event_in_order(ring, sink, count):
    put(ring, count)
    ring.drain()
    assert numbers(sink) == list(range(1, count + 1))
    assert {(event["action"], event["outcome"], event["name"], event["version"]) for event in events(sink)} == {
        ("GET", "ok", "name", 1)
    }
    assert not any("drainer" in event for event in events(sink))
    state = RingFile.open(ring._file.base).state()
    assert (state.good, state.pending) == (True, 0)
    assert problems(sink) == []


def test_draining_again_and_closing_add_nothing(ring, sink):
    put(ring, 5)
    ring.drain()
    ring.drain()
    put(ring, 2)
    ring.close()
    assert numbers(sink) == list(range(1, 8))
    assert files(sink) == []
    with pytest.raises(ValueError, match="closed"):
        ring.write(bytes(16))


def test_the_ring_of_a_process_that_is_gone_is_drained_and_removed(ring, sink, start):
    put(ring, CAPACITY + 5)
    put(ring, 2, 'näme"\\', 7)
    ring.abandon()
    other_process(start, sink).collect(only_dead=True)
    assert numbers(sink) == list(range(1, CAPACITY + 8))
    last = events(sink)[-1]
    assert (last["name"], last["version"], last["actor"], last["drainer"]) == ('näme"\\', 7, "alice", os.getpid())
    assert files(sink) == []
    assert problems(sink) == []


def test_the_ring_of_a_living_process_is_drained_by_who_asks_for_all(ring, sink, start):
    other = other_process(start, sink)
    put(ring, 3)
    other.collect(only_dead=True)
    assert events(sink) == []
    other.collect()
    assert numbers(sink) == [1, 2, 3]
    put(ring, CAPACITY)
    ring.drain()
    other.collect()
    assert numbers(sink) == list(range(1, CAPACITY + 4))
    assert files(sink) == ["names", "ring"]
    assert problems(sink) == []


def test_the_rings_of_another_store_or_another_key_are_left_to_those_who_know_it(ring, sink, start):
    put(ring, 3)
    ring.abandon()
    start(sink, store="6" * 32).collect()
    start(sink, keys={2: b"n" * 32}).collect()
    assert files(sink) == ["names", "ring"]
    start(sink, keys=KEYS | {2: b"n" * 32}).collect()
    assert numbers(sink) == [1, 2, 3]


@pytest.mark.parametrize("written", [0, 1, 2, 4, 5])
def test_a_batch_that_was_cut_short_is_finished_and_not_repeated(ring, sink, start, log, written, monkeypatch):
    put(ring, 5)
    record_reads = log.record_reads

    def die(reads):
        if written:
            record_reads(reads[:written])
        raise AuditError("killed")

    monkeypatch.setattr(log, "record_reads", die)
    with pytest.raises(AuditError):
        ring.drain()
    monkeypatch.undo()
    assert RingFile.open(ring._file.base).state().pending == 5
    put(ring, 2)
    ring.abandon()
    other_process(start, sink).collect()
    assert numbers(sink) == list(range(1, 8))
    assert problems(sink) == []


def test_an_owner_goes_on_after_a_foreign_drainer_that_died(ring, sink, start, monkeypatch):
    put(ring, 5)
    with monkeypatch.context() as patch:
        patch.setattr(RingFile, "put", lambda file, cell, *values: put_until_done(file, cell, *values))
        with pytest.raises(KeyboardInterrupt):
            other_process(start, sink).collect()
    put(ring, 1)
    ring.drain()
    assert numbers(sink) == [1, 2, 3, 4, 5, 6]


_put = RingFile.put


def put_until_done(file, cell, *values):
    if cell in (DRAINED, DRAINED + 2):
        raise KeyboardInterrupt
    _put(file, cell, *values)


@pytest.mark.parametrize("half", [0, 1])
def test_where_a_batch_that_was_cut_short_ended_is_kept_in_the_ring(ring, sink, start, log, half, monkeypatch):
    put(ring, half * CAPACITY)
    ring.drain()
    put(ring, CAPACITY)
    record_reads = log.record_reads

    def die(reads):
        record_reads(reads)
        raise AuditError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(log, "record_reads", die)
        with pytest.raises(AuditError):
            ring.drain()
    # This one has nothing to write, so that nothing else mends the counters.
    other_process(start, sink).collect()
    state = RingFile.open(ring._file.base).state()
    assert (state.good, state.drained[half], state.pending) == (True, CAPACITY, 0)
    put(ring, 1)
    ring.drain()
    assert numbers(sink) == list(range(1, (half + 1) * CAPACITY + 2))


def test_a_batch_is_found_where_another_line_follows_without_a_line_feed(ring, sink, start, log, monkeypatch):
    put(ring, 2)
    record_reads = log.record_reads

    def die(reads):
        record_reads(reads)
        raise AuditError("killed")

    monkeypatch.setattr(log, "record_reads", die)
    with pytest.raises(AuditError):
        ring.drain()
    path = Path(sink.url.removeprefix("file:"))
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 1)
        file.seek(0, 2)
        file.write(b'{"id":"0011223344556677-1","ts":"","seq":1,"stream":"0011223344556677","action":"GET","outcome":"ok",'
                   b'"store":"%b"}\n' % STORE.encode())  # fmt: skip
    ring.abandon()
    other_process(start, sink).collect()
    assert path.read_bytes().count(b'"ring":') == 2
    assert files(sink) == []


@pytest.mark.parametrize("torn", [1, 7, 8, 9, 15])
def test_a_record_that_was_cut_short_was_not_answered(ring, sink, start, torn):
    put(ring, 3)
    now = time.time_ns()
    record = RECORD.pack(now, now ^ ring.token("alice", "name", 1))
    half = ring._halves[0]
    half.write(record[:torn] if torn <= 8 else bytes(16 - torn) + record[16 - torn :])
    ring.abandon()
    other_process(start, sink).collect()
    told = [event["outcome"] for event in events(sink)]
    # Within 8 bytes no processor stops; if one did, it would be found.
    assert told == ["ok"] * 3 or (torn not in (8,) and told == ["ok"] * 3 + ["failed"])


def test_no_changed_byte_of_a_record_or_a_name_passes(ring, sink, start, tmp_path):
    put(ring, 3)
    put(ring, 3, "other")
    ring.abandon()
    names, records = file_of(sink, "names"), file_of(sink, "ring")
    whole = names.read_bytes(), records.read_bytes()
    line = whole[0].index(b"\n") + 1
    places = [(0, at) for at in range(line, len(whole[0]))]
    places += [(1, at) for at in range(place_of(0, CAPACITY), place_of(0, CAPACITY) + 6 * RECORD.size)]
    for which, at in places:
        path, content = (names, records)[which], bytearray(whole[which])
        content[at] ^= 1 << at % 8
        path.write_bytes(content)
        log = other_process(start, sink)
        log.collect()
        found = events(sink)
        assert any(event["outcome"] == "failed" and event["reason"] == "ring_damaged" for event in found), (which, at)
        # What cannot be told is not told: never another name, another time or one read more.
        assert all(event["name"] in ("name", "other", None) for event in found)
        assert sum(event.get("count", 1) for event in found) == 6
        assert any("damaged" in problem for problem in problems(sink))
        log.close()
        os.unlink(tmp_path / "audit.log")
        names.write_bytes(whole[0])
        records.write_bytes(whole[1])


def test_no_changed_byte_of_what_a_ring_says_of_its_process_passes(ring, sink, start, tmp_path):
    put(ring, 3)
    ring.abandon()
    names, records = file_of(sink, "names"), file_of(sink, "ring")
    whole = names.read_bytes(), records.read_bytes()
    for at in range(whole[0].index(b"\n") + 1):
        content = bytearray(whole[0])
        content[at] ^= 1 << at % 8
        names.write_bytes(content)
        log = other_process(start, sink)
        log.collect()
        log.close()
        # A ring of another store, or under an unknown key, stays where it is, and `doctor` tells of it.
        left = left_over(sink.rings)
        assert [event["reason"] for event in events(sink)] == ([] if left == (1, 0) else ["ring_damaged"]), at
        for path in [tmp_path / "audit.log", *Path(sink.rings).iterdir()]:
            path.unlink(missing_ok=True)
        names.write_bytes(whole[0])
        records.write_bytes(whole[1])


def test_no_changed_byte_of_the_counters_passes(ring, sink, start, tmp_path):
    put(ring, CAPACITY + 3)
    ring.drain()
    put(ring, 3)
    ring.abandon()
    names, records = file_of(sink, "names"), file_of(sink, "ring")
    whole, before = (names.read_bytes(), records.read_bytes()), (tmp_path / "audit.log").read_bytes()
    for at in range(8 * 6):
        content = bytearray(whole[1])
        content[at] ^= 1 << at % 8
        records.write_bytes(content)
        log = other_process(start, sink)
        log.collect()
        log.close()
        assert events(sink)[-1]["reason"] == "ring_damaged", at
        assert "a ring was damaged" in problems(sink)[0]
        assert files(sink) == ["names.damaged", "ring.damaged"]
        for path in Path(sink.rings).iterdir():
            path.unlink()
        names.write_bytes(whole[0])
        records.write_bytes(whole[1])
        (tmp_path / "audit.log").write_bytes(before)
    # Those that say where a batch was begun may at worst bring reads into the log twice, and that is found.
    for at in range(8 * 6, 8 * 9):
        content = bytearray(whole[1])
        content[at] ^= 1 << at % 8
        records.write_bytes(content)
        log = other_process(start, sink)
        log.collect()
        log.close()
        assert sorted(set(numbers(sink))) == list(range(1, CAPACITY + 7))
        names.write_bytes(whole[0])
        (tmp_path / "audit.log").write_bytes(before)


@pytest.mark.parametrize("what", ["first line", "no line", "cut", "longer"])
def test_a_ring_that_cannot_be_read_is_put_aside_with_an_event(ring, sink, start, what):
    put(ring, 3)
    ring.abandon()
    names, records = file_of(sink, "names"), file_of(sink, "ring")
    if what == "cut":
        records.write_bytes(records.read_bytes()[:-1])
    elif what == "longer":
        records.write_bytes(records.read_bytes() + b"\0")
    else:
        names.write_bytes(b"" if what == "no line" else b"{}\n")
    other_process(start, sink).collect()
    (event,) = events(sink)
    assert (event["action"], event["outcome"], event["reason"]) == ("AUDIT", "failed", "ring_damaged")
    assert files(sink) == ["names.damaged", "ring.damaged"]
    other_process(start, sink).collect()
    assert len(events(sink)) == 1


def test_an_owner_restores_counters_that_were_changed_and_loses_nothing(ring, sink):
    put(ring, 5)
    ring.drain()
    put(ring, 5)
    for cell in range(6):
        with open(file_of(sink, "ring"), "r+b") as file:
            file.seek(8 * cell)
            file.write(b"\xff" * 8)
        put(ring, 1)
        ring.drain()
    told = [event for event in events(sink) if "ring" in event]
    assert [int(event["ring"].partition("-")[2]) for event in told] == list(range(1, 17))
    assert sum(event.get("reason") == "ring_damaged" for event in events(sink)) == 6


def test_an_owner_finds_records_that_were_removed_before_they_were_drained(ring, sink):
    put(ring, 5)
    with open(file_of(sink, "ring"), "r+b") as file:
        file.seek(place_of(0, CAPACITY) + RECORD.size)
        file.write(bytes(2 * RECORD.size))
    ring.drain()
    assert [(event["outcome"], event.get("count", 1)) for event in events(sink)] == [
        ("ok", 1), ("failed", 2), ("ok", 1), ("ok", 1)
    ]  # fmt: skip
    (problem,) = problems(sink)
    assert "2 reads up to" in problem
    # Who looks for the heads of streams reads lines without taking them apart.
    assert all(b'","pid":' in line.text and b'": ' not in line.text for line in list(sink.lines())[1:])


def test_reads_that_were_skipped_or_repeated_are_problems_of_the_log(ring, sink, start):
    put(ring, 2)
    ring.drain()
    put(ring, 6)
    with open(file_of(sink, "ring"), "r+b") as file:
        file.seek(8 * DRAINED)
        file.write(counted(4).to_bytes(8, "little"))
    ring.drain()
    assert ["-3 to" in problem and "missing" in problem for problem in problems(sink)] == [True]
    ring.abandon()
    with open(file_of(sink, "ring"), "r+b") as file:
        file.seek(8 * DRAINED)
        file.write(counted(6).to_bytes(8, "little"))
    other_process(start, sink).collect()
    assert sum("in the log twice" in problem for problem in problems(sink)) == 2


def test_what_a_process_left_that_died_while_it_made_or_removed_a_ring_goes_away(ring, sink, start):
    put(ring, 1)
    ring.drain()
    ring.abandon()
    base = file_of(sink, "names").with_suffix("")
    os.rename(f"{base}.names", f"{base}.names.new")
    start(sink).collect()
    assert files(sink) == []
    assert os.fstat(1), "standard output was closed with it"


def test_a_name_is_there_before_a_record_of_it(ring, sink):
    before = file_of(sink, "names").read_bytes()
    ring.token("alice", "name", 1)
    assert file_of(sink, "names").read_bytes() == before + b'{"actor":"alice","name":"name","version":1}\n'
    ring.token("alice", "name", 1)
    assert ring.names == 1


def test_a_drainer_that_stands_still_holds_nobody_for_ever(ring, sink, monkeypatch):
    monkeypatch.setattr("strongroom.audit.ring_file.LOCK_TIMEOUT", 0.05)
    put(ring, 1)
    with RingFile.open(ring._file.base).locked(), pytest.raises(AuditError, match="too long"):
        ring.drain()
    ring.drain()
    assert numbers(sink) == [1]


def test_an_old_event_that_was_drained_late_does_not_hide_newer_ones(ring, sink, start, monkeypatch):
    from strongroom.audit.query import query

    start(sink).record("LIST", None, "ok")
    token, old = ring.token("alice", "name", 1), time.time_ns() - 10 * 86_400 * 10**9
    ring.write(RECORD.pack(old, old ^ token))
    ring.abandon()
    other_process(start, sink).collect()
    assert [event["action"] for event in query(sink, since="1d", action="LIST")] == ["LIST"]
    assert query(sink, since="1d", action="GET") == []


def test_what_is_read_while_another_looks_for_the_end_is_drained_in_order(ring, log, sink, monkeypatch):
    read = RingFile.read

    def read_and_be_overtaken(file, *place):
        found = read(file, *place)
        monkeypatch.undo()
        put(ring, 2 * CAPACITY)
        return found

    monkeypatch.setattr(RingFile, "read", read_and_be_overtaken)
    log.collect()
    ring.drain()
    assert numbers(sink) == list(range(1, 2 * CAPACITY + 1))
    assert problems(sink) == []
