"""Begins a rotation: the pending value is made, and is durable before its source is asked to take it."""

from __future__ import annotations

import os
from contextlib import suppress

from strongroom.data import Data, Value, decode_data, encode
from strongroom.errors import RotationError, StrongroomError
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry, Live
from strongroom.rotation.looking import is_drifted
from strongroom.rotation.owner import LEASE, Owner, claim, release
from strongroom.rotation.source import Source
from strongroom.rotation.state import PENDING, PROMOTED, Back, State


class Beginning:
    """A rotation that has not begun: of one secret, at one source."""

    def __init__(self, entry: Entry, source: Source, clock: Clock, live: Live, new_value: Value | Data | None) -> None:
        """`new_value` is the operator's own, None for one that the rotator makes."""
        self._entry = entry
        self._source = source
        self._clock = clock
        self._live = live
        self._new_value = new_value
        self.back = _back(live, new_value)
        """What it turns round, None for a rotation that goes forward."""

    def begin(self, *, by_url: bool, cas: int | None, force: bool) -> State:
        """Return the rotation that has begun, which this thread owns."""
        now, source = self._clock.now(), self._source
        drifted = is_drifted(self._entry, source, self._live.data, self._new_value, self._clock, force=force)
        owner = claim(now + source.timeout + LEASE)
        try:
            if self._live.state.url is not None and self.back is None:
                # Before `create` is asked, which may make a key at a vendor: only one process asks it.
                self._entry.change(
                    "claimed", lambda change: steps.reserve(change, self._entry.name, owner, self._clock.now())
                )
            new = State(
                self._entry.name, step=PENDING, id=os.urandom(8).hex(), by_url=by_url,
                before=self._live.version.version, data=self._pending(), started=self._clock.now(), owner=owner,
                drifted=drifted, back=self.back, keeps_previous=source.keeps_previous,
            )  # fmt: skip
            begun: State = self._entry.change(PENDING, lambda change: steps.begin(change, new, cas))
        except BaseException as error:
            self._leave(owner, error)
            raise
        return begun

    def _pending(self) -> bytes:
        if self.back is not None:
            return self._live.state.data
        name, current = self._entry.name, self._live.data
        try:
            return (
                self._source.create(current)
                if self._new_value is None
                else self._source.adopt(self._new_value, current)
            )
        except RotationError as error:
            self._entry.access.refused("ROTATE", name, error.code, stage=PENDING)
            raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None

    def _leave(self, owner: Owner, error: BaseException) -> None:
        """Let others begin the rotation that this process claimed."""
        failure, now = error if isinstance(error, Exception) else None, self._clock.now()
        mine = State(self._entry.name, owner=owner)
        try:
            # That it fails is no harm: the next one notices that this process has ended.
            with suppress(StrongroomError):
                if self._entry.has_rotator():
                    self._entry.change("released", lambda change: steps.let_go(change, mine, failure, now))
        finally:
            release(owner.token)


def _back(live: Live, new_value: Value | Data | None) -> Back | None:
    """Return what a rotation back turns round, None when `new_value` is not the previous value."""
    state = live.state
    is_promoted = state.step == PROMOTED and live.version.version == state.after
    if (
        new_value is None
        or not is_promoted
        or not state.data
        or decode_data(encode(new_value)) != decode_data(state.data)
    ):
        return None
    return Back(state.before, state.after, state.promoted or 0.0, state.grace_ends or 0.0)
