"""Gives a source its current value back: after a failure at once, and when an operator gives a rotation up."""

from __future__ import annotations

from strongroom.errors import RotationError, StrongroomError
from strongroom.records.data import decode_data
from strongroom.rotation import advice
from strongroom.rotation.entry import Entry
from strongroom.rotation.source import Source
from strongroom.rotation.state import State


def undo(entry: Entry, source: Source, state: State) -> None:
    """Let the source take the current value again and refuse the pending one; raises `RotationError`."""
    try:
        current, pending = entry.current(), decode_data(state.data)
        source.set(current, pending)
        source.test(current)
        if not state.is_back:
            # Of a rotation back the pending value is the previous one, whose grace time goes on.
            source.retire(pending, current)
    except RotationError as error:
        entry.failed("aborted", error)
        raise advice.failed(state, error, "Its source may have the new value") from None


def check_can_be_undone(entry: Entry, state: State) -> None:
    """Raise `RotationError` when the source never had the current value."""
    if state.drifted:
        error = RotationError(
            "its source refused the current value when the rotation began, so there is nothing to give back to it"
        )
        entry.refuse("aborted", advice.failed(state, error, "Nothing was changed"))


def put_back(entry: Entry, source: Source, state: State) -> str:
    """Try to give the source the current value back, so that it works until somebody looks; say what came of it."""
    assert state.owner is not None
    try:
        there = entry.state()
        if there is None or there.owner is None or there.owner.token != state.owner.token:
            return "Another process works on it"
        if not there.is_staged:
            # Promoted although the call failed: its event could not be written.
            return "The new value is current"
        if state.drifted:
            return "Its source refused the current value before, and was not given it back"
        source.set(entry.current(), decode_data(state.data))
    except StrongroomError:
        return "Its source could not be given the current value back, and may have the new one"
    if source.hangs:
        return (
            "Its source was given the current value back, but the call has not ended and may still change it: end this "
            "process first"
        )
    return "Its source was given the current value back"
