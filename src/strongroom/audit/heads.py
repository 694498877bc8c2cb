"""The last lines of a log: what a new stream and a checkpoint vouch for besides their own stream."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from strongroom.frozen import Frozen

if TYPE_CHECKING:
    from strongroom.model import Position
    from strongroom.protocols import AuditSink


LINES = 20
"""How far back heads are looked for; a checkpoint is taken with each write, so this costs some microseconds only."""
UNSEALED_LINES = 1000
_begin = b'{"id":"'
_HEX = frozenset(b"0123456789abcdef")


class Head(Frozen):
    """The last line of a stream."""

    __slots__ = ("seq", "position")  # noqa: RUF023

    def __init__(self, seq: int, position: Position) -> None:
        self.seq = seq
        self.position = position


def recent_heads(sink: AuditSink, store: str) -> dict[str, Head]:
    """Return the streams that wrote the newest lines for `store`, each with its last line.

    A stream that vouches for the lines before it makes it impossible to remove another stream as a whole, even
    where padding takes its place.
    """
    mine = b'"store":"%b"' % store.encode()
    heads: dict[str, Head] = {}
    seen = 0
    for line in islice(sink.lines_backwards(), UNSEALED_LINES):
        text = line.text
        # A line without MAC does not count, or anybody could push the others out of sight.
        if text.endswith(b'"}'):
            # A line may follow the torn end of another process's line.
            start = max(text.rfind(_begin), 0)
            found = _id(text, start)
            if found and mine in text and found[0] not in heads:
                heads[found[0]] = Head(found[1], line.position._replace(offset=line.position.offset + start))
            seen += 1
            if seen == LINES:
                break
    return heads


def _id(text: bytes, start: int) -> tuple[str, int] | None:
    """Return stream and seq of the event that begins at `start`, or None when there is none."""
    stream, _, seq = text[start : start + 50].removeprefix(_begin).partition(b'"')[0].partition(b"-")
    if not text.startswith(_begin, start) or len(stream) != 16 or not _HEX.issuperset(stream):
        return None
    return (stream.decode(), int(seq)) if seq.isdigit() and len(seq) <= 18 else None


def as_ids(heads: Mapping[str, Head]) -> list[str]:
    """Return the ids of the events that `heads` names."""
    return [f"{stream}-{head.seq}" for stream, head in heads.items()]
