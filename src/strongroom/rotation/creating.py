"""What `create` makes for one rotation, which may be a key at a vendor: used, or removed again, and never forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strongroom.errors import RotationError
from strongroom.records.data import decode_data
from strongroom.rotation.entry import Entry
from strongroom.rotation.source import Source


class Creation:
    """What was made for a rotation of one secret."""

    def __init__(self, entry: Entry, source: Source, current: bytes) -> None:
        self._entry = entry
        self._source = source
        self._current = current
        self._made: Mapping[str, Any] | None = None
        self.is_spent = False
        """True once nothing of it is left at the source."""

    def make(self) -> bytes:
        """Return encoded pending data; raises `RotationError` for what cannot replace the current value."""
        made = self._source.create(self._current)
        if isinstance(made, Mapping):
            self._made = dict(made)
        return self._source.shaped(made, self._current, "create()")

    def discard(self) -> str:
        """Remove what was made, since no rotation uses it; return what there is to say of that, usually nothing.

        A failure is on record and keeps the id, so that the next rotation is given the same value, or removes it.
        """
        if self._made is None:
            return ""
        try:
            self._source.discard(self._made, decode_data(self._current))
        except RotationError as error:
            self._entry.failed("discarded", error)
            return f". What its create() made was not removed ({error}); the next rotation takes it up, or removes it"
        self._made, self.is_spent = None, True
        return ""
