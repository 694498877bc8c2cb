"""The look before the leap: asks the source whether a rotation would begin well, before anything is changed."""

from __future__ import annotations

from strongroom.data import Data, Value, decode_data
from strongroom.errors import RotationError
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry
from strongroom.rotation.source import Source


def look(entry: Entry, source: Source, current: bytes, clock: Clock) -> list[str]:
    """Return what the source says; raises `RotationError`, on record and kept for `status`."""
    try:
        return source.check(decode_data(current))
    except RotationError as error:
        failure = error
    entry.access.refused("ROTATE", entry.name, failure.code, stage="checked")
    if entry.has_rotator():
        note(entry, failure, clock)
    raise failure


def note(entry: Entry, failure: RotationError, clock: Clock) -> None:
    """Keep for `status` what a look at the source has found."""
    now = clock.now()
    entry.change("checked", lambda change: steps.look_failed(change, entry.name, failure, now))


def is_drifted(
    entry: Entry, source: Source, current: bytes, new_value: Value | Data | None, clock: Clock, *, force: bool
) -> bool:
    """Return False when the source accepts the current value, True when a rotation begins although it does not.

    That is so with `force`, and when the source accepts the operator's own new value already. Raises
    `RotationError` otherwise.
    """
    try:
        look(entry, source, current, clock)
    except RotationError as error:
        if force or (new_value is not None and source.accepts(decode_data(source.adopt(new_value, current)))):
            return True
        name = entry.name
        raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None
    return False
