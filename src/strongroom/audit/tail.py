"""The newest store revision that a log has seen, found without reading the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strongroom.protocols import AuditSink


_revision = b'"revision":'
_accepted = b'"outcome":"ok","reason":"accept"'
MORE_LINES = 16


def last_revision(sink: AuditSink, store: str, window: int = 262_144) -> int | None:
    """Return the highest store revision near the end of the log for the store id `store`, or None.

    Reads backwards to the newest write or opening and `MORE_LINES` beyond it, since two processes may log their writes
    in the other order than they committed them; gives up after `window` bytes. What lies before an acceptance
    (`verify --accept`) does not count: the operator went back behind it on purpose. A store that is older than this was
    restored from a copy. The lines are not authenticated here: `verify` does that.

    Raises `AuditError` when the log cannot be read.
    """
    mine = b'"store":"%b"' % store.encode()
    newest: int | None = None
    more = MORE_LINES
    for line in sink.lines_backwards():
        text = line.text
        if _revision in text and mine in text:
            found = _read(text[max(text.rfind(b'{"id":"'), 0) :])
            newest = max(newest or 0, found)
            if _accepted in text:
                break
        window -= len(text)
        more -= newest is not None
        if window < 0 or more < 0:
            break
    return newest


def _read(text: bytes) -> int:
    try:
        revision = json.loads(text)["revision"]
    except (ValueError, KeyError, TypeError):
        return 0
    return revision if type(revision) is int else 0
