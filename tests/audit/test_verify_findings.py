"""What a finding says, where it is, and that one deed is one finding."""

import json

import pytest

from strongroom.audit.log import AuditLog
from strongroom.audit.verify import verify
from strongroom.audit_sinks.file import FileSink

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def problems(sink, checkpoints=(), **more):
    return [problem.message for problem in verify(sink, KEYS, dict(checkpoints), **more).problems]


def fill(log, number=5):
    for n in range(number):
        log.record("GET", f"N{n}", "ok")
    return log


@pytest.fixture
def stream(memory, start) -> str:
    """The id of a stream of six lines."""
    fill(start(memory))
    return json.loads(memory.texts[0])["stream"]


@pytest.mark.parametrize(
    ("first", "last", "lost"), [(3, 3, "{0}-3"), (3, 4, "{0}-3 to {0}-4"), (2, 4, "{0}-2 to {0}-4")]
)
def test_the_events_that_are_missing_are_named_exactly(memory, stream, first, last, lost):
    del memory.texts[first - 1 : last]
    assert problems(memory) == [f"before this line, {lost.format(stream)} is missing"]


def test_the_newest_line_of_a_stream_cannot_be_repeated(memory, stream):
    memory.texts.append(memory.texts[-1])
    assert problems(memory) == [f"event {stream}-6 was repeated, moved or forged: its stream was at 6 already"]


def test_a_line_whose_mac_is_none_is_a_problem_and_the_verification_goes_on(memory, stream):
    memory.texts[2] = memory.texts[2][:-4] + b'zz"}'
    found = verify(memory, KEYS, {}).problems
    # The next line is chained to a MAC that is not there any more; from then on the chain holds again.
    assert [(problem.line, "authentication fails" in problem.message) for problem in found] == [(3, True)]
    assert found[0].consequences == (f"so event {stream}-4, which follows, cannot be authenticated",)


@pytest.mark.parametrize("added", [b"X", b" ", b"words"])
def test_text_before_an_event_is_a_problem(memory, stream, added):
    memory.texts[3] = added + memory.texts[3]
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 4)
    assert [problem.message for problem in report.problems] == ["this is not an event, and no torn one either"]


def test_a_later_stream_and_a_checkpoint_are_named_as_witnesses(memory, stream, start):
    second = start(memory)
    second.record("GET", "A", "ok")
    checkpoint = second.checkpoint()
    later = json.loads(memory.texts[6])["stream"]
    memory.texts[5] = b" " * len(memory.texts[5])
    assert problems(memory, [checkpoint])[1:] == [
        f"stream {later}, which begins here, has seen event {stream}-6, which is not before it",
        f"a checkpoint in the store has seen event {stream}-6, which is not before it",
    ]


def test_a_stream_of_another_store_is_one_note_however_long_it_is(memory, stream, start):
    fill(start(memory, {1: b"o" * 32}, "6" * 32))
    report = verify(memory, KEYS, {}, store=STORE)
    assert report.problems == ()
    assert [(note.segment, note.line) for note in report.notes] == [(1, 7)]


@pytest.mark.parametrize("torn", [b"\0\0\0", b'{"id":"00'])
def test_a_checkpoint_of_a_line_behind_a_torn_one_is_found_where_it_is(memory, start, torn):
    log = fill(start(memory))
    memory.texts[-1] = torn + memory.texts[-1]
    report = verify(memory, KEYS, dict([log.checkpoint()]))
    assert report.problems == ()
    assert [note.message for note in report.notes] == ["a torn line, from a crash or a full disk"]


def test_a_page_of_zeros_within_a_line_is_called_what_a_power_loss_leaves(memory, stream):
    memory.texts[3] = memory.texts[3][:40] + bytes(90) + memory.texts[3][130:]
    hole, missing = verify(memory, KEYS, {}).problems
    assert (hole.line, "90 NUL bytes in it: a power loss" in hole.message) == (4, True)
    assert f"{stream}-4" in missing.message
    assert "90 NUL bytes stand before it" in missing.consequences[0]


def test_zeros_are_named_where_a_later_stream_misses_the_line_that_was_there(memory, stream, start):
    start(memory).record("GET", "A", "ok")
    memory.texts[5] = bytes(len(memory.texts[5]))
    (problem,) = verify(memory, KEYS, {}).problems
    assert f"has seen event {stream}-6, which is not before it" in problem.message
    assert "a power loss leaves them" in problem.consequences[0]


def test_one_deleted_segment_is_a_note(tmp_path):
    sink = FileSink(str(tmp_path / "audit.log"), max_bytes=1500)
    checkpoint = fill(AuditLog(sink, KEYS, store=STORE, actor="alice", service="shop"), 20).checkpoint()
    (tmp_path / "audit.log.000001").unlink()
    report = verify(sink, KEYS, dict([checkpoint]))
    assert report.problems == ()
    (note,) = report.notes
    assert note.message == "segments 1 to 1 are not here: rolled out and moved away, or removed"


def test_progress_counts_the_lines_that_were_read(memory, start, monkeypatch):
    monkeypatch.setattr("strongroom.audit.verify.PROGRESS_EVERY", 3)
    fill(start(memory), 7)
    told = []
    verify(memory, KEYS, {}, progress=told.append)
    assert told == [3, 6]
