"""Every attack on a log, and the accidents that are none."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.audit.log import AuditLog
from strongroom.audit.parsing import is_torn
from strongroom.audit.verify import verify
from strongroom.audit_sinks.file import FileSink
from strongroom.audit_sinks.memory import MemorySink
from strongroom.errors import AuditError

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def fill(sink, number=6, **more):
    log = AuditLog(sink, KEYS, store=STORE, actor="alice", service="shop", **more)
    for n in range(number - 1):
        log.record("GET", f"N{n}", "ok", version=n)
    return log


def problems(sink, checkpoints=(), **more):
    return [problem.message for problem in verify(sink, KEYS, dict(checkpoints), **more).problems]


@pytest.fixture
def texts(memory):
    fill(memory)
    return memory.texts


def test_a_log_as_it_was_written_has_no_problems_and_no_notes(memory, texts):
    log = fill(memory, 4)
    report = verify(memory, KEYS, dict([log.checkpoint()]))
    assert report == (10, 2, 1, None, (), ())


def test_an_empty_log_has_no_problems(memory):
    assert verify(memory, KEYS, {}) == (0, 0, 0, None, (), ())


# Attacks on lines


def test_a_changed_line_is_one_problem_at_that_line(memory, texts):
    texts[3] = texts[3].replace(b'"N2"', b'"N9"')
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 4)
    assert [(problem.line, "changed or forged" in problem.message) for problem in report.problems] == [(4, True)]


def test_a_removed_line_is_a_problem_at_the_next(memory, texts):
    del texts[2]
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 3)
    assert len(report.problems) == 1
    assert "is missing" in report.problems[0].message


def test_several_removed_lines_are_named(memory, texts):
    stream = json.loads(texts[0])["stream"]
    del texts[1:4]
    assert f"{stream}-2 to {stream}-4 is missing" in problems(memory)[0]


def test_the_first_line_of_a_stream_cannot_be_removed(memory, texts):
    del texts[0]
    assert "is missing" in problems(memory)[0]


def test_lines_cannot_change_places(memory, texts):
    texts[2], texts[3] = texts[3], texts[2]
    assert verify(memory, KEYS, {}).first_bad == (1, 3)


def test_a_line_cannot_be_repeated(memory, texts):
    texts.append(texts[3])
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 7)
    assert "repeated" in report.problems[0].message


def test_a_line_cannot_be_forged_at_the_end(memory, texts):
    event = json.loads(texts[-1])
    event |= {"seq": event["seq"] + 1, "id": f"{event['stream']}-{event['seq'] + 1}"}
    texts.append(json.dumps(event, separators=(",", ":")).encode())
    assert "changed or forged" in problems(memory)[0]


def test_a_stream_cannot_be_forged_without_the_key(memory, texts):
    forger = AuditLog(memory, {1: b"w" * 32}, store=STORE, actor="eve", service="shop")
    forger.record("GET", "A", "ok")
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 7)
    assert len(report.problems) == 1


def test_an_unknown_audit_key_is_one_problem_for_each_stream(memory, texts):
    AuditLog(memory, {2: b"n" * 32}, store=STORE, actor="a", service="s").record("GET", "A", "ok")
    assert ["audit key 2, which is not here" in problem for problem in problems(memory)] == [True]


def test_an_id_belongs_to_its_stream_and_number(memory, texts):
    texts[2] = texts[2].replace(b'-3","ts"', b'-4","ts"')
    assert "its id is not its stream and number" in problems(memory)


def test_text_that_is_no_event_is_a_problem(memory, texts):
    texts.insert(2, b'{"note":"nothing to see here"}')
    assert "not an event" in problems(memory)[0]


def test_a_refusal_without_authentication_is_a_note(memory, texts):
    AuditLog(memory, None, store=STORE, actor="a", service="s").record("OPEN", None, "failed", reason="wrong_key")
    report = verify(memory, KEYS, {})
    assert report.problems == ()
    assert "unauthenticated refusal" in report.notes[0].message


def test_only_a_refusal_may_go_without_authentication(memory, texts):
    AuditLog(memory, None, store=STORE, actor="a", service="s").record("GET", "A", "ok")
    assert "no refusal" in problems(memory)[0]


def test_the_mac_of_a_line_cannot_be_taken_away(memory, texts):
    texts[-1] = texts[-1][: texts[-1].rindex(b',"mac"')].replace(b'"ok"', b'"failed"') + b',"mac":null}'
    assert "no refusal" in problems(memory)[0]


# Attacks on streams and logs


def test_a_stream_that_a_later_one_has_seen_cannot_be_removed(memory, texts):
    fill(memory, 2)
    del texts[:6]
    found = problems(memory)
    assert any("bytes before this line are missing" in problem for problem in found)


def test_padding_does_not_hide_the_removal_of_a_stream(memory, texts):
    fill(memory, 2)
    size = sum(len(text) + 1 for text in texts[:6])
    refusals = MemorySink()
    AuditLog(refusals, None, store=STORE, actor="", service="").record("OPEN", None, "failed", reason="wrong_key")
    (refusal,) = refusals.texts
    padding = []
    while size > 2 * len(refusal):
        padding.append(refusal)
        size -= len(refusal) + 1
    texts[:6] = [*padding, refusal.replace(b'"actor":""', b'"actor":"%b"' % (b"x" * (size - 1 - len(refusal))))]
    found = problems(memory)
    assert len(found) == 1
    assert "has seen event" in found[0]


def test_the_end_of_a_stream_that_a_later_one_has_seen_cannot_be_cut(memory, texts):
    fill(memory, 2)
    texts[5] = b""
    assert any("has seen event" in problem for problem in problems(memory))


def test_a_stream_of_another_log_is_a_problem(memory, texts):
    other = MemorySink()
    fill(other, 3)
    texts += other.texts
    assert "written to another log" in problems(memory)[0]


def test_the_end_cannot_be_cut_before_the_checkpoint(memory):
    log = fill(memory)
    checkpoint = log.checkpoint()
    del memory.texts[-1]
    assert ["names event" in problem for problem in problems(memory, [checkpoint])] == [True]


def test_a_checkpoint_holds_where_its_line_was(memory, texts):
    """So that streams before it, of which nothing else is known, cannot be removed."""
    log = fill(memory, 3)
    checkpoint = log.checkpoint()
    opened = json.loads(texts[6])
    assert opened["after"] == [json.loads(texts[5])["id"]]
    texts.insert(2, b"")
    assert "the checkpoint in the store has this line elsewhere or otherwise" in problems(memory, [checkpoint])


def test_a_checkpoint_vouches_for_other_streams_too(memory):
    first, second = fill(memory, 2), fill(memory, 2)
    first.record("GET", "LAST", "ok")
    checkpoint = second.checkpoint()
    assert problems(memory, [checkpoint]) == []
    del memory.texts[-1]
    assert "has seen event" in problems(memory, [checkpoint])[0]


def test_a_log_that_was_replaced_at_its_place_is_a_problem(memory):
    checkpoint = fill(memory).checkpoint()
    empty = MemorySink()
    assert "gone or replaced" in problems(empty, [checkpoint])[0]
    fill(empty)
    assert "gone or replaced" in problems(empty, [checkpoint])[0]


def test_the_log_of_another_machine_is_a_note(memory):
    checkpoint = fill(memory).checkpoint()
    here = MemorySink()
    here.url = "memory:here"
    report = verify(here, KEYS, dict([checkpoint]))
    assert report.problems == ()
    assert "another log" in report.notes[0].message


def test_a_log_of_writes_needs_a_checkpoint(memory):
    """An old store was restored, or the entry was removed from it."""
    log = fill(memory)
    log.record("SET", "A", "ok", revision=7)
    assert "no checkpoint" in problems(memory)[0]
    assert problems(memory, [log.checkpoint()]) == []


def test_a_forged_checkpoint_is_a_problem(memory):
    log, stored = fill(memory).checkpoint()
    for forged in (
        stored.replace(b'"seq":6', b'"seq":5'),
        b"",
        b"{}",
        b"[]",
        stored[:-3],
        stored.replace(b'"v":1', b'"v":2'),
    ):
        assert problems(memory, {log: forged}) != []
    assert "newer" in problems(memory, {log: stored.replace(b'"v":1', b'"v":2')})[0]


def test_a_checkpoint_under_an_unknown_key_is_a_problem(memory):
    log, stored = AuditLog(MemorySink(), {9: b"k" * 32}, store=STORE, actor="a", service="s").checkpoint()
    assert "audit key 9" in problems(memory, {log: stored})[0]


def test_streams_of_another_store_are_notes_when_the_store_is_known(memory, texts):
    AuditLog(memory, {1: b"o" * 32}, store="6" * 32, actor="a", service="s").record("GET", "A", "ok")
    report = verify(memory, KEYS, {}, store=STORE)
    assert report.problems == ()
    assert "written for the store 666" in report.notes[0].message


def test_a_stream_cannot_be_passed_off_as_another_stores(memory, texts):
    fill(memory, 2)
    texts[:6] = [text.replace(STORE.encode(), b"6" * 32) for text in texts[:6]]
    assert "has seen event" in problems(memory, store=STORE)[0]


# Attacks on segments


@pytest.fixture
def rotated(tmp_path):
    """A log of several segments, and its checkpoint."""
    sink = FileSink(str(tmp_path / "audit.log"), max_bytes=1500)
    checkpoint = fill(sink, 20).checkpoint()
    assert len(list(tmp_path.glob("audit.log.0*"))) >= 3
    return sink, checkpoint


def test_rotation_does_not_break_the_chain(rotated):
    sink, checkpoint = rotated
    report = verify(sink, KEYS, dict([checkpoint]))
    assert (report.problems, report.notes) == ((), ())
    assert report.segments >= 4


def test_a_segment_cannot_be_removed_from_the_middle(rotated, tmp_path):
    sink, checkpoint = rotated
    (tmp_path / "audit.log.000002").unlink()
    assert "segments 2 to 2 are missing" in problems(sink, [checkpoint])[0]


def test_the_newest_segment_cannot_be_removed(rotated, tmp_path):
    sink, checkpoint = rotated
    (tmp_path / "audit.log").unlink()
    assert "is not in the log" in problems(sink, [checkpoint])[0]


def test_the_end_of_a_segment_cannot_be_cut(rotated, tmp_path):
    sink, checkpoint = rotated
    old = tmp_path / "audit.log.000001"
    old.write_bytes(b"".join(old.read_bytes().splitlines(keepends=True)[:-1]))
    assert "has seen event" in problems(sink, [checkpoint])[0]


def test_a_line_cannot_move_to_another_segment(rotated, tmp_path):
    sink, checkpoint = rotated
    line = (tmp_path / "audit.log.000001").read_bytes().splitlines(keepends=True)[2]
    with (tmp_path / "audit.log").open("ab") as file:
        file.write(line)
    assert "belongs into segment 1" in problems(sink, [checkpoint])[0]


def test_the_oldest_segments_may_be_deleted_and_a_note_says_so(rotated, tmp_path):
    sink, checkpoint = rotated
    (tmp_path / "audit.log.000001").unlink()
    (tmp_path / "audit.log.000002").unlink()
    report = verify(sink, KEYS, dict([checkpoint]))
    assert report.problems == ()
    assert "segments 1 to 2 are not here" in report.notes[0].message


def test_a_checkpoint_in_a_deleted_segment_is_a_note(tmp_path):
    sink = FileSink(str(tmp_path / "audit.log"), max_bytes=1500)
    log = fill(sink, 2)
    checkpoint = log.checkpoint()
    for _ in range(8):
        log.record("GET", "A", "ok")
    (tmp_path / "audit.log.000001").unlink()
    report = verify(sink, KEYS, dict([checkpoint]))
    assert report.problems == ()
    assert any("not here" in note.message for note in report.notes)


# Accidents


def test_a_torn_line_is_a_note(memory, texts):
    texts.append(texts[-1][:100])
    report = verify(memory, KEYS, {})
    assert report.problems == ()
    assert "torn" in report.notes[0].message


def test_a_line_behind_a_torn_one_still_counts(memory, texts):
    log = fill(memory, 2)
    log.record("GET", "B", "ok")
    texts[-1] = texts[0][:100] + texts[-1]
    report = verify(memory, KEYS, {})
    assert (report.events, report.problems) == (9, ())
    assert len(report.notes) == 1


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_changed_byte_is_accepted_silently(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "flipped.log"
    with suppress(FileNotFoundError):
        path.unlink()
    sink = FileSink(str(path))
    log = fill(sink, 3)
    checkpoint = log.checkpoint()
    fill(sink, 2)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        report = verify(sink, KEYS, dict([checkpoint]))
    except AuditError:
        return
    assert report.problems or report.notes


def test_a_denied_open_without_authentication_is_a_note(memory, texts):
    AuditLog(memory, None, store=STORE, actor="a", service="s").record("OPEN", None, "denied")
    report = verify(memory, KEYS, {})
    assert report.problems == ()
    assert report.notes[0][:2] == (1, 7)


def test_an_old_checkpoint_beside_the_newest_takes_nothing_from_it(memory):
    first = fill(memory, 2)
    old = first.checkpoint()[1]
    second = fill(memory, 2)
    first.record("GET", "LAST", "ok")
    log, newest = second.checkpoint()
    assert problems(memory, {log: newest, "old": old}) == []
    del memory.texts[-1]
    assert any("has seen event" in problem for problem in problems(memory, {log: newest, "old": old}))


@pytest.mark.parametrize(
    ("piece", "torn"),
    [
        (b'{"id":"00', True),
        (b'{"i', True),
        (b'\0\0{"id":"00\0', True),
        (b"\0\0\0", True),
        (b'{"id":"00"}', False),
        (b"words", False),
        (b' {"id":"00', False),
        (b'X{"id":"00X', False),
    ],
)
def test_only_the_beginning_of_an_event_is_taken_for_torn(piece, torn):
    assert is_torn(piece) is torn


@pytest.mark.parametrize("key", [b"null", b'"1"', b"true", b"[1]", b"1.0"])
def test_a_stream_whose_first_line_names_no_key_is_a_problem(memory, key):
    # Without a key there is nothing to check its lines against: whoever forges it must not get away with that.
    fill(memory, 3)
    memory.texts[:] = [text.replace(b'"key":1,', b'"key":' + key + b",") for text in memory.texts]
    report = verify(memory, KEYS, {})
    assert report.first_bad == (1, 1)
    assert "does not begin with the line that opens it" in report.problems[0].message


def test_a_reader_that_found_a_revision_needs_no_checkpoint(memory, start):
    start(memory, revision=7).record("GET", "A", "ok")
    assert verify(memory, KEYS, {}, store=STORE).ok
