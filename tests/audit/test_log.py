import json
import os
import threading
import time

import pytest

from strongroom.audit.log import AuditLog
from strongroom.audit.verify import verify
from strongroom.audit_sinks.memory import MemorySink
from strongroom.caller import Caller
from strongroom.errors import AuditError

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def events(sink):
    return [json.loads(line.text) for line in sink.lines() if b"strongroom_audit" not in line.text]


def frozen_log(sink):
    """A writer whose clock, randomness, process and host are fixed."""
    log = AuditLog(sink, {7: bytes(range(32))}, store=STORE, actor="älice", service='say "hi"', source="cli")
    log._clock = lambda: 1_767_225_599_000_042_999
    log._random = lambda size: bytes(range(size))
    return log


def test_frozen_vector(memory, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 4242)
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "web-1", "", "", "")))
    memory.log = "00000000000000ff"
    log = frozen_log(memory)
    log.record("GET", "auth/db\u2028/pässword", "ok", version=3)
    log.record("SET", None, "failed", stage="pending", reason="cas", revision=9, intent="0001020304050607-2", count=4)
    who = (
        b'"actor":"\\u00e4lice","service":"say \\"hi\\"","pid":4242,"host":"web-1","source":"cli",'
        b'"store":"55555555555555555555555555555555"'
    )
    head = b'{"id":"0001020304050607-%d","ts":"2025-12-31T23:59:59.000042Z","seq":%d,"stream":"0001020304050607",'
    assert memory.texts == [
        head % (1, 1) + b'"action":"OPEN","name":null,"outcome":"ok",' + who
        + b',"key":7,"log":"00000000000000ff","segment":1,"at":0,"after":[],"mac":"114a58ed4d1ffcb06ccf6a5b0192a29a"}',
        head % (2, 2) + b'"action":"GET","name":"auth/db\\u2028/p\\u00e4ssword","version":3,"outcome":"ok",' + who
        + b',"mac":"7cb8da68d7b4fa50bfde4254d1e17c9b"}',
        head % (3, 3) + b'"action":"SET","name":null,"stage":"pending","outcome":"failed","reason":"cas",'
        b'"intent":"0001020304050607-2","revision":9,"count":4,' + who + b',"mac":"832fee832dd5636cec151b498672f21f"}',
    ]  # fmt: skip


def test_the_id_of_an_event_is_returned_and_links_the_outcome_to_its_intent(memory, start):
    log = start(memory)
    intent = log.record("SET", "A", "intent")
    log.record("SET", "A", "ok", intent=intent, revision=5)
    _, first, second = events(memory)
    assert first["id"] == intent == second["intent"]
    assert (second["seq"], second["revision"]) == (3, 5)


def test_every_field_that_is_given_is_written(memory, start):
    fields = {"version": 3, "stage": "pending", "reason": "cas", "revision": 9, "count": 4}
    fields["intent"] = "0001020304050607-2"
    caller = Caller("bob", "http", "10.0.0.7", "f00-1")
    start(memory).record("SET", "A", "failed", **fields, caller=caller)
    event = events(memory)[-1]
    assert {field: event[field] for field in fields} == fields
    assert tuple(event[field] for field in Caller._fields) == caller
    assert (event["action"], event["name"], event["outcome"]) == ("SET", "A", "failed")


def test_a_second_is_rendered_once(memory, start, monkeypatch):
    log = start(memory)
    rendered = []
    strftime = time.strftime
    monkeypatch.setattr("time.strftime", lambda *given: rendered.append(given) or strftime(*given))
    for now in (1_999_999_999_000_000_000, 1_999_999_999_999_999_999, 2_000_000_000_000_000_000):
        log._clock = lambda now=now: now
        log.record("GET", "A", "ok")
    assert len(rendered) == 2
    assert [event["ts"] for event in events(memory)[-3:]] == [
        "2033-05-18T03:33:19.000000Z", "2033-05-18T03:33:19.999999Z", "2033-05-18T03:33:20.000000Z"
    ]  # fmt: skip


def test_the_memory_of_a_writer_does_not_grow_with_the_number_of_actors(memory, start):
    log = start(memory)
    most = 0
    for n in range(1100):
        log.record("GET", "A", "ok", caller=Caller(f"actor {n}"))
        most = max(most, len(log._whos))
    assert most <= 1000
    assert events(memory)[-1]["actor"] == "actor 1099"


def test_an_actor_can_be_given_for_one_event(memory, start):
    log = start(memory)
    log.record("GET", "A", "ok", caller=Caller("bob"))
    log.record("GET", "A", "ok")
    assert [event["actor"] for event in events(memory)] == ["alice", "bob", "alice"]


def test_an_unknown_action_or_outcome_is_not_written(memory, start):
    log = start(memory)
    with pytest.raises(KeyError):
        log.record("STEAL", "A", "ok")
    with pytest.raises(KeyError):
        log.record("GET", "A", "fine")
    assert [event["action"] for event in events(memory)] == ["OPEN"]


def test_nothing_is_written_before_the_first_event(sink, start, tmp_path):
    start(sink).close()
    assert list(tmp_path.iterdir()) == []


def test_the_newest_key_writes(memory, start):
    start(memory, {1: b"a" * 32, 3: b"c" * 32, 2: b"b" * 32}).record("GET", "A", "ok")
    assert events(memory)[0]["key"] == 3


def test_rekey_begins_a_stream_that_vouches_for_the_one_before(memory, start):
    log = start(memory)
    last = log.record("GET", "A", "ok")
    both = {**KEYS, 2: b"n" * 32}
    log.rekey(both)
    log.record("GET", "A", "ok")
    opened = events(memory)[2]
    assert (opened["action"], opened["key"], opened["after"]) == ("OPEN", 2, [last])
    assert verify(memory, both, {}).problems == ()
    assert "audit key 2" in verify(memory, KEYS, {}).problems[0].message


def test_without_keys_lines_carry_no_mac(memory, start):
    log = start(memory, None)
    log.record("OPEN", None, "failed", reason="wrong_key")
    (event,) = events(memory)
    assert list(event)[-1] == "mac"
    assert event["mac"] is None
    with pytest.raises(AuditError, match="unlock"):
        log.checkpoint()


def test_after_a_failed_write_a_new_stream_begins(memory, start):
    log = start(memory)
    log.record("GET", "A", "ok")

    class Full(MemorySink):
        def append(self, line):
            raise AuditError("disk full")

    log.sink = Full()
    with pytest.raises(AuditError):
        log.record("GET", "B", "ok")
    log.sink = memory
    log.record("GET", "C", "ok")
    assert [event["action"] for event in events(memory)] == ["OPEN", "GET", "OPEN", "GET"]
    assert verify(memory, KEYS, {}).problems == ()


def test_a_line_that_was_written_although_the_write_failed_does_no_harm(memory, start):
    """A failed `fsync` leaves the line in the file."""
    log = start(memory)
    log.record("GET", "A", "ok")
    append = memory.append

    def append_and_fail(line):
        append(line)
        raise AuditError("fsync failed")

    memory.append = append_and_fail
    with pytest.raises(AuditError):
        log.record("GET", "B", "ok")
    del memory.append
    log.record("GET", "C", "ok")
    assert verify(memory, KEYS, {}).problems == ()
    assert len({event["id"] for event in events(memory)}) == 5


def test_threads_share_a_log(sink, start):
    log = start(sink)
    threads = [threading.Thread(target=lambda: [log.record("GET", "A", "ok") for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = verify(sink, KEYS, {})
    assert (report.events, report.streams, report.problems) == (401, 1, ())


def test_a_forked_child_writes_its_own_stream_with_its_own_pid(sink, start):
    log = start(sink)
    log.record("GET", "PARENT", "ok")
    child = os.fork()
    if child == 0:
        log.record("GET", "CHILD", "ok")
        log.checkpoint()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    log.record("GET", "PARENT", "ok")
    found = [event for event in events(sink) if event["action"] == "GET"]
    assert [(event["name"], event["pid"]) for event in found] == [
        ("PARENT", os.getpid()), ("CHILD", child), ("PARENT", os.getpid()),
    ]  # fmt: skip
    report = verify(sink, KEYS, dict([log.checkpoint()]))
    assert (report.streams, report.problems) == (2, ())


def test_a_checkpoint_is_due_after_so_many_events(memory, start):
    log = start(memory, checkpoint_every=3)
    for _ in range(3):
        assert not log.checkpoint_due
        log.record("GET", "A", "ok")
    assert log.checkpoint_due
    log.checkpoint()
    assert not log.checkpoint_due


def test_a_checkpoint_before_the_first_event_starts_the_stream(memory, start):
    log, stored = start(memory).checkpoint()
    assert log == memory.log
    assert verify(memory, KEYS, {log: stored}).problems == ()


def test_the_repr_shows_no_key(memory, start):
    assert repr(start(memory)) == "AuditLog(memory:)"


def test_a_signal_handler_amid_an_event_is_an_error_and_no_deadlock(memory, start):
    log, append, refused = start(memory), memory.append, []

    def append_and_be_interrupted(line):
        if b'"GET"' in line:
            with pytest.raises(AuditError, match="signal handler") as caught:
                log.record("GET", "B", "ok")
            refused.append(caught)
        append(line)

    memory.append = append_and_be_interrupted
    log.record("GET", "A", "ok")
    assert len(refused) == 1
    assert verify(memory, KEYS, {}, store=STORE).ok
    assert [event["name"] for event in events(memory)] == [None, "A"]
