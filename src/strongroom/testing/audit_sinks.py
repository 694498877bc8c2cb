"""The conformance suite for audit sinks.

class TestMySink(AuditSinkSuite):
    def make(self, tmp_path): return MySink(str(tmp_path / "log"))
"""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.protocols import AuditSink


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

    def test_the_url_names_the_sink(self, sink: AuditSink) -> None:
        """`scheme:rest`."""
        assert ":" in sink.url


def _events(sink: AuditSink) -> list[bytes]:
    return [line.text for line in sink.lines() if not line.text.startswith(b'{"strongroom_audit"')]
