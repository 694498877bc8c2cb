"""Takes the lines of a log apart, torn ones included."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]
"""One event: the fields that `AuditLog` describes, as JSON gives them."""
BEGIN = b'{"id":"'
_SHORTEST = 100
"""Bytes that the fields which every event has need at least; there can be millions of shorter lines."""
_HEX = frozenset(b"0123456789abcdef")


def pieces(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Split a line where an event begins, and say at which byte each piece starts.

    A whole line is one piece. When a process was torn off in the middle of its line, the next line of another process
    follows on the same line. Quotes inside of values are escaped, so `BEGIN` stands nowhere else.
    """
    start = 0
    while (end := text.find(BEGIN, start + 1)) > 0:
        yield start, _whole(text[start:end])
        start = end
    yield start, _whole(text[start:])


def _whole(piece: bytes) -> bytes:
    """Take off the zeros that a power loss left in the place of a line feed, and after it."""
    return piece.rstrip(b"\0") if piece.endswith(b"\0") and piece.rstrip(b"\0").endswith(b"}") else piece


def event_id(piece: bytes) -> tuple[str, int] | None:
    """Return stream and seq of an event, or None when it does not begin with an id that a writer gives."""
    if piece[:7] != BEGIN or piece[23:24] != b"-":
        return None
    stream, seq = piece[7:23], piece[24:60].partition(b'"')[0]
    if not seq.isdigit() or len(seq) > 18 or seq[0] == 48 or not _HEX.issuperset(stream):
        return None
    return stream.decode(), int(seq)


def parse(piece: bytes) -> Event | None:
    """Return the event, or None when the piece is not one."""
    if len(piece) < _SHORTEST:
        return None
    try:
        event = json.loads(piece)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict) or type(event.get("seq")) is not int:
        return None
    words = ("id", "stream", "action", "outcome", "ts", "store")
    return event if all(type(event.get(word)) is str for word in words) else None


def is_torn(piece: bytes) -> bool:
    """True for the beginning of an event that a crash or a full disk cut off (NULs are what power loss leaves)."""
    piece = piece.strip(b"\0")
    return not piece.endswith(b"}") and (piece.startswith(BEGIN) or BEGIN.startswith(piece))
