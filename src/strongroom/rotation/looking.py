"""The look before the leap: asks the source whether a rotation would begin well, before anything is changed."""

from __future__ import annotations

from strongroom.errors import ConflictError, RotationError
from strongroom.records.data import Data, Value, decode_data
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry, Live
from strongroom.rotation.source import Source
from strongroom.rotation.state import State


def look(entry: Entry, source: Source, live: Live, clock: Clock) -> list[str]:
    """Return what the source says; raises `RotationError`, on record and kept for `status`.

    Raises `ConflictError` when another process has rotated the secret meanwhile, and the source said no for that.
    """
    try:
        return source.check(decode_data(live.data))
    except RotationError as error:
        failure = error
    check_unchanged(entry, live, clock, "checked")
    entry.access.refused("ROTATE", entry.name, failure.code, stage="checked")
    if entry.has_rotator():
        note(entry, failure, clock)
    raise failure


def check_unchanged(entry: Entry, live: Live, clock: Clock, stage: str) -> None:
    """Raise `ConflictError` when what the source was asked for is no longer what the store has, or not for long."""
    state = entry.state() or State(entry.name)
    is_new = state.id not in ("", live.state.id)
    if is_new or state.is_running(clock.now()) or entry.version() != live.version.version:
        entry.refuse(stage, ConflictError(
            f"{entry.name!r} was rotated or written by another process meanwhile, and nothing was changed here; "
            f"`strongroom rotate status {entry.name}` says how far that is", name=entry.name,
        ))  # fmt: skip


def note(entry: Entry, failure: RotationError, clock: Clock) -> None:
    """Keep for `status` what a look at the source has found."""
    now = clock.now()
    entry.change("checked", lambda change: steps.look_failed(change, entry.name, failure, now))


def is_drifted(
    entry: Entry, source: Source, live: Live, new_value: Value | Data | None, clock: Clock, *, force: bool
) -> bool:
    """Return False when the source accepts the current value, True when a rotation begins although it does not.

    That is so with `force`, and when the source accepts the operator's own new value already. Raises
    `RotationError` otherwise.
    """
    try:
        look(entry, source, live, clock)
    except RotationError as error:
        if force or (new_value is not None and source.accepts(decode_data(source.adopt(new_value, live.data)))):
            return True
        name = entry.name
        raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None
    return False
