"""Sessions at the source that were opened with a value that is not current: counted, and ended after its retirement."""

from __future__ import annotations

from strongroom.errors import RotationError
from strongroom.protocols import Sessions
from strongroom.records.data import decode_data
from strongroom.rotation.advice import SessionsLeft
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry, Live
from strongroom.rotation.source import Source

LATE = 0.1
"""Seconds that it may take until the source counts.

A session that was opened so shortly before the promotion is spared, so that none is ended that a consumer has opened
just after it.
"""


def sessions(entry: Entry, source: Source, live: Live, clock: Clock) -> list[Sessions]:
    """Return the open sessions that were not opened with the current value; raises `RotationError`."""
    try:
        source.about(live.state.id)
        found = source.sessions(decode_data(live.data), _age(live.version.created, clock))
    except RotationError as error:
        entry.failed("sessions", error)
        raise
    entry.access.ok("ROTATE", entry.name, stage="sessions", count=sum(each.open for each in found))
    return [each for each in found if each.open]


def end_sessions(entry: Entry, source: Source, clock: Clock) -> RotationError | None:
    """End them where the rotator is to, after the previous value was retired; return what went wrong, on record.

    That is no failure of the rotation: the previous value is retired whoever has a session.
    """
    info, current = entry.info(), entry.current_if_any()
    if info is None or current is None or not source.terminates:
        return None
    try:
        ended = source.end_sessions(current, _age(info.versions[-1].created, clock))
    except RotationError as error:
        entry.failed("sessions", error)
        return SessionsLeft(f"open sessions of the previous value were not ended: {error}", name=entry.name)
    entry.access.ok("ROTATE", entry.name, stage="sessions", count=ended)
    return None


def _age(created: float, clock: Clock) -> float:
    return max(0.0, clock.now() - created) + LATE
