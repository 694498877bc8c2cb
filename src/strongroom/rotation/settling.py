"""Waits once for the consumers of many rotations, not for each of them in turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry
from strongroom.rotation.state import PROMOTED
from strongroom.rotation.waiting import POLL, Waiting


def settled(entries: Iterable[Entry], clock: Clock, wait: float) -> Iterator[str]:
    """Yield the name of each promoted rotation once its previous value is to be retired.

    Waits up to `wait` seconds for all of them together, and owns none: another process may retire one first.
    """
    until = clock.now() + wait
    waiting = {entry.name: made for entry in entries if (made := _waiting(entry, clock)) is not None}
    while waiting:
        for name, verdict in [(name, each.verdict(until)) for name, each in waiting.items()]:
            if verdict is not None:
                del waiting[name]
            if verdict:
                yield name
        if waiting:
            clock.sleep(POLL)


def _waiting(entry: Entry, clock: Clock) -> Waiting | None:
    """Return None unless the rotation is promoted, and its rotator attached."""
    state = entry.state()
    if state is None or state.step != PROMOTED or not state.by_url or state.is_running(clock.now()):
        return None
    return Waiting(entry, clock, state)
