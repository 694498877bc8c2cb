"""Ends the life of a previous value at its source, and never that of the current one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from strongroom.engine import versions
from strongroom.errors import RotationError
from strongroom.records.data import decode_data
from strongroom.rotation import advice
from strongroom.rotation.entry import Entry
from strongroom.rotation.source import Source
from strongroom.rotation.state import State


class Retiring:
    """The retirement of one promoted rotation."""

    def __init__(self, entry: Entry, source: Source, state: State) -> None:
        self._entry = entry
        self._source = source
        self._state = state

    def mend(self) -> int:
        """Make sure that the source accepts the current value, which it may have forgotten; return its version."""
        version, current = self._entry.version(), self._entry.current_if_any()
        if current is None:
            return self._state.known
        with self._advised():
            self._make_accepted(current)
        return version

    def retire(self) -> int:
        """Let the source refuse the previous value; return the version that it accepts.

        Never the current one: what somebody has written in the grace time must be accepted by the source first.
        """
        version, current = self._entry.version(), self._entry.current_if_any()
        if current is None:
            return self._state.known
        with self._advised():
            self._make_accepted(current)
            for old in self._to_retire(current):
                self._source.retire(old, current)
        return version

    @contextmanager
    def _advised(self) -> Iterator[None]:
        try:
            yield
        except RotationError as error:
            self._entry.failed("retired", error)
            before = "may still be accepted" if self._state.keeps_previous else "is refused already"
            raise advice.failed(self._state, error, f"The new value is current; the previous one {before}") from None

    def _make_accepted(self, current: dict[str, Any]) -> None:
        """Raise `RotationError` unless the source accepts the current value, in the end."""
        name, state = self._entry.name, self._state
        try:
            self._source.test(current)
        except RotationError as error:
            version = self._entry.version()
            if version != state.after:
                raise RotationError(
                    f"{error}. The current version {version} was written in the grace time, and its source was not "
                    f"told; `strongroom rollback {name} {state.after}` goes back to the one that was rotated",
                    name=name,
                ) from None
            # The source was put back to an earlier state, or replaced: it gets what is current once more.
            self._source.set(current, decode_data(state.data) if state.data else {})
            self._source.test(current)

    def _to_retire(self, current: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the previous value, and the one that this rotation made when somebody has written another since."""
        name, state = self._entry.name, self._state
        olds = [decode_data(state.data)] if state.data else []
        if self._entry.version() != state.after:
            with self._entry.access.engine.view() as (view, unlocked):
                made = versions.read(view, unlocked.records, name, state.after)
            olds += [decode_data(made)] if made is not None else []
        return [old for old in olds if old != current]
