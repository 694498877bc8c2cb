"""Verifies an audit log: docs/format.md, "Audit log" and "Checkpoint"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .primitives import blake2b

Event = dict[str, Any]


def segments(path: Path) -> list[Path]:
    """Return the files of a log, oldest first."""
    return [*sorted(path.parent.glob(f"{path.name}.[0-9][0-9][0-9][0-9][0-9][0-9]")), path]


def read(path: Path, keys: Mapping[int, bytes]) -> list[Event]:
    """Return every event, or fail at the first that is not as it was written."""
    events: list[Event] = []
    before, log = 0, None
    for file in segments(path):
        first, *lines = file.read_bytes().splitlines(keepends=True)
        head = json.loads(first)
        assert head["strongroom_audit"] == 1
        assert before in (0, head["segment"] - 1)
        assert log in (None, head["log"])
        before, log = head["segment"], head["log"]
        events += segment(lines, len(first), keys, head)
    known = {event["id"] for event in events}
    oldest = json.loads(segments(path)[0].read_bytes().splitlines()[0])["segment"]
    for event in events:
        if oldest == 1:
            assert set(event.get("after", ())) <= known, event
    return events


def segment(lines: list[bytes], offset: int, keys: Mapping[int, bytes], head: Event) -> list[Event]:
    macs: dict[str, tuple[int, bytes, bytes]] = {}
    """Stream → its last event's number and MAC, and its key."""
    events = []
    for line in lines:
        event = json.loads(line)
        stream, number = event["stream"], event["seq"]
        body, _, mac = line.rpartition(b',"mac"')
        assert event["id"] == f"{stream}-{number}"
        if stream not in macs:
            assert (event["action"], number) == ("OPEN", 1)
            assert (event["log"], event["segment"]) == (head["log"], head["segment"])
            assert event["at"] <= offset
            key = blake2b(256, keys[event["key"]], b"strongroom audit", bytes.fromhex(stream))
            macs[stream] = 0, bytes(16), key
        last, chained, key = macs[stream]
        found = blake2b(128, key, b"audit line", chained + body)
        assert number == last + 1, event
        assert mac == b':"%b"}\n' % found.hex().encode(), event
        macs[stream] = number, found, key
        events.append(event | {"offset": offset, "file": head["segment"]})
        offset += len(line)
    return events


def check_checkpoint(stored: bytes, events: list[Event], keys: Mapping[int, bytes]) -> None:
    """Fail unless the log holds the event that the store remembers, where it remembers it."""
    checkpoint = json.loads(stored)
    body, _, _ = stored.rpartition(b',"check"')
    assert checkpoint["check"] == blake2b(256, keys[checkpoint["key"]], b"audit checkpoint", body).hex()
    (event,) = [event for event in events if event["id"] == f"{checkpoint['stream']}-{checkpoint['seq']}"]
    assert (event["file"], event["offset"]) == (checkpoint["segment"], checkpoint["offset"])
    assert event["mac"] == checkpoint["mac"]
    assert set(checkpoint["after"]) <= {event["id"] for event in events}
