"""Which store an audit log knows at the address of a store: finds another store that was put there.

The first line of each stream (`OPEN`) says at which address (`address`) its process found the store. The line of a
stream of one's own store proves itself: its MAC needs no other line. A line about another store cannot be
authenticated, as its key is in that store, so it is never enough to refuse one that the log knows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strongroom.audit.authentic import Authenticator, last_event
from strongroom.audit.tail import LINE_COST
from strongroom.errors import NewerFormatError, TamperedError
from strongroom.model import AUDIT

if TYPE_CHECKING:
    from strongroom.audit.tail import Tail
    from strongroom.protocols import AuditSink, Reader

WINDOW = 256 * 1024
"""Bytes at the end of the log in which a line about another store is noticed."""
MOST_BYTES = 64 * 1024 * 1024
"""Bytes in which a line of this store is looked for then."""
START_BYTES = 1024 * 1024
"""Bytes at its beginning in which one is looked for first: whoever appends cannot push it away from there."""
_LONGEST = 64 * 1024
_OPENED = b'-1","ts":"'


def other_store_at(
    address: str, sink: AuditSink | Tail, keys: Mapping[int, bytes], store: str, reader: Reader
) -> str | None:
    """Return the id of another store that the log knows at `address`, None when it knows this one or none.

    `store` is the id of the store that is there now, `keys` are its audit keys, and `reader` reads it. Raises
    `AuditError`.
    """
    here = (address, os.uname().nodename)
    other: str | None = None
    authenticator = Authenticator(keys)
    seen, window = 0, WINDOW
    for line in sink.lines_backwards():
        seen += len(line.text) + line.skipped + LINE_COST
        event = _opening(line.text) if _OPENED in line.text else None
        if event is not None and (event["address"], event["host"]) == here:
            if event["store"] != store:
                other = other or event["store"]
            elif authenticator.take(last_event(line.text), None):
                return None
        if seen > window:
            if other is None or _has_written_to(line.position.log, keys, reader):
                return None
            if window == WINDOW and _began_with(here, sink, keys, store):
                return None
            window = MOST_BYTES
        if seen > MOST_BYTES:
            break
    return other


def _began_with(here: tuple[str, str], sink: AuditSink | Tail, keys: Mapping[int, bytes], store: str) -> bool:
    """True when the log knew this store at its beginning."""
    authenticator, seen = Authenticator(keys), 0
    for line in sink.lines():
        event = _opening(line.text)
        is_mine = event is not None and (event["address"], event["host"], event["store"]) == (*here, store)
        if is_mine and authenticator.take(last_event(line.text), None):
            return True
        seen += len(line.text) + line.skipped + LINE_COST
        if seen > START_BYTES:
            break
    return False


def addresses_in(sink: AuditSink) -> set[str]:
    """Return the addresses of the stores that were opened lately, on any host; nobody has authenticated these lines."""
    found, seen = set(), 0
    for line in sink.lines_backwards():
        seen += len(line.text) + line.skipped + LINE_COST
        event = _opening(line.text) if _OPENED in line.text else None
        if event is not None:
            found.add(event["address"])
        if seen > WINDOW:
            break
    return found


def _opening(text: bytes) -> dict[str, Any] | None:
    """Return the event when `text` is the first line of a stream, which says where its store is."""
    # A line may follow the torn end of another process's line.
    text = last_event(text)
    if _OPENED not in text[:40] or len(text) > _LONGEST or not text.endswith(b'"}'):
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("action") != "OPEN":
        return None
    return event if all(type(event.get(word)) is str for word in ("address", "host", "store")) else None


def _has_written_to(log: str, keys: Mapping[int, bytes], reader: Reader) -> bool:
    """True when the store has a checkpoint of this log, which each commit with this log leaves."""
    from strongroom.audit.checkpoint import decode_checkpoint

    stored = reader.get(AUDIT + log)
    try:
        return stored is not None and decode_checkpoint(stored, keys).position.log == log
    except (TamperedError, NewerFormatError):
        return False
