"""Begins a rotation: the pending value is made, and is durable before its source is asked to take it."""

from __future__ import annotations

from contextlib import suppress

from strongroom.engine.change import Change
from strongroom.errors import RotationError, StrongroomError
from strongroom.records.data import Data, Value, decode_data, encode
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.creating import Creation
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
        self.creation = Creation(entry, source, live.data)

    def begin(self, *, by_url: bool, cas: int | None, force: bool) -> State:
        """Return the rotation that has begun, which this thread owns."""
        source, live = self._source, self._live
        drifted = is_drifted(self._entry, source, live, self._new_value, self._clock, force=force)
        owner = claim(self._clock.now() + source.timeout + LEASE)
        try:
            rotation_id = self._reserved(owner, cas)
            new = State(
                self._entry.name, step=PENDING, id=rotation_id, by_url=by_url, before=live.version.version,
                data=self._pending(rotation_id), started=self._clock.now(), owner=owner, drifted=drifted,
                back=self.back,
                keeps_previous=source.keeps_previous,
            )  # fmt: skip
            begun: State = self._entry.change(PENDING, lambda change: steps.begin(change, new, cas))
        except Exception as error:
            left = "" if self._has_begun(owner) else self.creation.discard()
            self._leave(owner, error)
            if left and isinstance(error, StrongroomError):
                raise type(error)(f"{error}{left}", name=error.name, version=error.version) from None
            raise
        except BaseException:
            self._leave(owner, None)
            raise
        return begun

    def _reserved(self, owner: Owner, cas: int | None) -> str:
        """Return the id of the rotation. One process alone asks `create`, which may make a key at a vendor."""
        state, version = self._live.state, self._live.version.version
        creates = self._new_value is None
        if self.back is not None or (state.url is None and not (creates and self._source.makes)):
            return steps.new_id()

        def step(change: Change) -> str:
            return steps.reserve(change, self._entry.name, owner, version, cas, self._clock.now(), creates=creates)

        rotation_id: str = self._entry.change("claimed", step)
        return rotation_id

    def _pending(self, rotation_id: str) -> bytes:
        name = self._entry.name
        try:
            self._source.about(rotation_id)
            if self.back is not None:
                return self._live.state.data
            if self._new_value is None:
                return self.creation.make()
            return self._source.adopt(self._new_value, self._live.data)
        except RotationError as error:
            self._entry.access.refused("ROTATE", name, error.code, stage=PENDING)
            raise type(error)(f"{name!r} was not rotated, and nothing was changed: {error}", name=name) from None

    def _has_begun(self, owner: Owner) -> bool:
        """True unless the pending value is known not to be in the store: its event may be what failed."""
        try:
            state = self._entry.state()
        except StrongroomError:
            return True
        return state is not None and state.id != "" and state.owner is not None and state.owner.token == owner.token

    def _leave(self, owner: Owner, failure: Exception | None) -> None:
        """Let others begin the rotation that this process claimed."""
        mine, now, spent = State(self._entry.name, owner=owner), self._clock.now(), self.creation.is_spent
        try:
            # That it fails is no harm: the next one notices that this process has ended.
            with suppress(StrongroomError):
                if self._entry.state() is not None:
                    self._entry.change("released", lambda change: steps.let_go(change, mine, failure, now, spent=spent))
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
