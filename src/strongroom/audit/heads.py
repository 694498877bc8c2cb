"""The last lines of a log: what a new stream and a checkpoint vouch for besides their own stream."""

from __future__ import annotations

import re
from itertools import islice

from strongroom.protocols import AuditSink

LINES = 48
STREAMS = 16
_begin = b'{"id":"'
_id = re.compile(rb'\{"id":"([0-9a-f]{16})-(\d{1,18})"')


def recent_heads(sink: AuditSink, store: str) -> dict[str, int]:
    """Return the streams that wrote the newest lines for `store`, each with the number of its last line.

    A stream that vouches for the lines before it makes it impossible to remove another stream as a whole, even
    where padding takes its place. The cost is bounded: at most `LINES` authenticated lines and `STREAMS` streams.
    """
    mine = b'"store":"%b"' % store.encode()
    heads: dict[str, int] = {}
    # Lines without MAC do not count, or anybody could push the others out of sight; but they end somewhere too.
    sealed = (line.text for line in islice(sink.lines_backwards(), 20 * LINES) if line.text.endswith(b'"}'))
    for text in islice(sealed, LINES):
        # A line may follow the torn end of another process's line.
        found = _id.match(text, max(text.rfind(_begin), 0))
        if found and mine in text and len(heads) < STREAMS:
            heads.setdefault(found[1].decode(), int(found[2]))
    return heads


def as_ids(heads: dict[str, int]) -> list[str]:
    """Return the ids of the events that `heads` names."""
    return [f"{stream}-{seq}" for stream, seq in heads.items()]
