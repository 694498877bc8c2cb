"""The suite for audit sinks: what `strongroom.protocols.AuditSink` promises, and its optional Protocols.

class TestMySink(AuditSinkSuite):
    def make(self, tmp_path): return MySink(str(tmp_path / "log"))
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from strongroom import abilities
from strongroom.protocols import AuditSink
from strongroom.urls import shows_credentials

Part = TypeVar("Part")


class AuditSinkSuite:
    """What holds for every audit sink; a subclass says how to make one."""

    def make(self, tmp_path: Path) -> AuditSink:
        """Return a sink on a place of its own, with nothing in it."""
        raise NotImplementedError

    @pytest.fixture
    def sink(self, tmp_path: Path) -> AuditSink:
        """One new sink for each test."""
        return self.make(tmp_path)

    def test_a_new_log_has_no_events(self, sink: AuditSink) -> None:
        """A sink may have lines of its own, such as a header, but not before anything was written."""
        assert list(sink.lines()) == []
        assert list(sink.lines_backwards()) == []

    def test_lines_come_back_in_order_and_unchanged(self, sink: AuditSink) -> None:
        """As many as do not fit into one read."""
        written = [b'{"n":%d,"text":"%b"}' % (n, b"\\u00e9" * (n % 97)) for n in range(500)]
        for line in written:
            sink.segment()
            sink.append(line + b"\n")
        assert _events(sink) == written

    def test_backwards_is_forwards_reversed(self, sink: AuditSink) -> None:
        """Positions too."""
        for n in range(300):
            sink.append(b'{"n":%d,"text":"%b"}\n' % (n, b"x" * (n * 7 % 331)))
        assert list(sink.lines_backwards()) == list(sink.lines())[::-1]

    def test_position_is_where_the_last_line_begins(self, sink: AuditSink) -> None:
        """So that a checkpoint names it."""
        for n in range(3):
            sink.append(b'{"n":%d}\n' % n)
            assert sink.position() == list(sink.lines())[-1].position

    def test_before_the_first_line_position_is_the_end_of_the_log(self, sink: AuditSink) -> None:
        """So that a stream can say what was there before it."""
        end = sink.position()
        sink.append(b'{"n":1}\n')
        assert sink.position() == end

    def test_every_line_of_a_log_has_the_same_log_id(self, sink: AuditSink) -> None:
        """16 hex digits."""
        sink.append(b'{"n":1}\n')
        sink.append(b'{"n":2}\n')
        (log,) = {line.position.log for line in sink.lines()}
        assert len(bytes.fromhex(log)) == 8

    def test_the_segment_is_the_one_that_the_next_line_goes_to(self, sink: AuditSink) -> None:
        """The writer starts a new stream when it changes."""
        segment = sink.segment()
        sink.append(b'{"n":1}\n')
        assert list(sink.lines())[-1].position.segment == segment == sink.position().segment

    def test_closing_twice_is_no_error(self, sink: AuditSink) -> None:
        """Nor is closing what was never used."""
        sink.append(b'{"n":1}\n')
        sink.close()
        sink.close()

    def test_the_url_names_the_sink_and_no_credentials(self, sink: AuditSink) -> None:
        """`scheme:rest`."""
        assert ":" in sink.url
        assert not shows_credentials(sink.url)

    # Optional

    def test_a_line_is_there_after_it_was_made_durable(self, sink: AuditSink) -> None:
        """`DurableLog`."""
        durable = _or_skip(abilities.durable(sink))
        sink.append(b'{"n":1}\n')
        durable.sync()
        assert _events(sink) == [b'{"n":1}']

    def test_where_the_log_is_stays_the_same(self, sink: AuditSink) -> None:
        """`PlacedLog`: whether it was written to or not."""
        placed = _or_skip(abilities.placed(sink))
        before = placed.where()
        sink.append(b'{"n":1}\n')
        assert placed.where() == before
        assert before.count(" ") == 1

    def test_a_line_is_looked_up_at_its_position(self, sink: AuditSink) -> None:
        """`SearchableLog`: by the id that it begins with and the MAC that it ends with."""
        searchable = _or_skip(abilities.searchable(sink))
        sink.append(b'{"id":"a-1","mac":"00"}\n')
        sink.append(b'{"id":"a-2","mac":"01"}\n')
        assert searchable.holds(sink.position(), "a-2", "01")
        assert not searchable.holds(sink.position(), "a-1", "00")
        assert not searchable.holds(sink.position(), "a-2", "00")

    def test_nothing_was_done_to_a_log_that_was_let_alone(self, sink: AuditSink) -> None:
        """`WatchedLog`."""
        watched = _or_skip(abilities.watched(sink))
        sink.append(b'{"n":1}\n')
        assert watched.take_harm() is None

    def test_a_sink_that_was_reopened_goes_on_at_the_end(self, sink: AuditSink) -> None:
        """`ForkableLog`."""
        forkable = _or_skip(abilities.forkable(sink))
        sink.append(b'{"n":1}\n')
        forkable.reopen()
        sink.segment()
        sink.append(b'{"n":2}\n')
        assert _events(sink) == [b'{"n":1}', b'{"n":2}']

    def test_no_segment_of_a_new_log_is_compressed(self, sink: AuditSink) -> None:
        """`PackedLog`."""
        packed = _or_skip(abilities.packed(sink))
        sink.append(b'{"n":1}\n')
        assert packed.compressed() == []


def _or_skip(part: Part | None) -> Part:
    if part is None:
        pytest.skip("this sink does not have that optional Protocol")
    return part


def _events(sink: AuditSink) -> list[bytes]:
    return [line.text for line in sink.lines() if not line.text.startswith(b'{"strongroom_audit"')]
