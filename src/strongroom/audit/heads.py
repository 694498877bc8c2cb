"""The last lines of a log: what a new stream and a checkpoint vouch for besides their own stream."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from strongroom.audit.authentic import Authenticator, last_event
from strongroom.audit.parsing import event_id
from strongroom.system.frozen import Frozen

if TYPE_CHECKING:
    from strongroom.model import Position
    from strongroom.protocols import AuditSink


LINES = 20
"""How far back heads are looked for; a checkpoint is taken with each write, so this costs some microseconds only."""
MORE_LINES = 200
"""How many lines are looked at in all, while heads wait for the lines before them, or lines are not authentic."""


class Head(Frozen):
    """The last line of a stream."""

    __slots__ = ("seq", "position")  # noqa: RUF023

    def __init__(self, seq: int, position: Position) -> None:
        self.seq = seq
        self.position = position


def recent_heads(sink: AuditSink, keys: Mapping[int, bytes], store: str) -> dict[str, Head]:
    """Return the streams that wrote the newest lines for `store`, newest first, each with its last line.

    A stream that vouches for the lines before it makes it impossible to remove another stream as a whole, even
    where padding takes its place. Lines that are not authentic do not count, or anybody could push the others out of
    sight, or have a line vouched for and then remove it.
    """
    mine = b'"store":"%b"' % store.encode()
    authentic = Authenticator(keys)
    heads: dict[str, Head] = {}
    lines: dict[str, int] = {}
    seen = 0
    for line in islice(sink.lines_backwards(), MORE_LINES):
        piece = last_event(line.text)
        event_key = event_id(piece)
        if event_key is None:
            continue
        if authentic.count:
            for stream, head in authentic.meet(piece, event_key):
                if stream not in heads:
                    heads[stream] = head
                    seen += lines[stream]
        if seen >= LINES and not authentic.count:
            break
        stream, seq = event_key
        if stream in heads:
            seen += 1
        elif mine in piece and seen < LINES:
            lines[stream] = lines.get(stream, 0) + 1
            begin = line.position.offset + len(line.text) - len(piece)
            head = Head(seq, line.position._replace(offset=begin))
            if authentic.take(piece, (stream, head)):
                heads[stream] = head
                seen += lines[stream]
    newest_first = sorted(heads.items(), key=lambda item: (-item[1].position.segment, -item[1].position.offset))
    return dict(newest_first)


def as_ids(heads: Mapping[str, Head]) -> list[str]:
    """Return the ids of the events that `heads` names."""
    return [f"{stream}-{head.seq}" for stream, head in heads.items()]
