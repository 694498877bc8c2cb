"""Takes over a rotation that is under way and that nobody works on."""

from __future__ import annotations

from strongroom.engine.change import Change
from strongroom.errors import InvalidInputError, StrongroomError
from strongroom.protocols import Rotator
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock
from strongroom.rotation.entry import Entry
from strongroom.rotation.owner import LEASE, claim, release
from strongroom.rotation.rotators import Rotators
from strongroom.rotation.source import Source
from strongroom.rotation.state import State


def take_over(
    entry: Entry, rotators: Rotators, clock: Clock, rotator: Rotator | None, *, needed: bool
) -> tuple[State, Source]:
    """Return a rotation that this thread owns from now on, and its source; a rotator is not made unless it is `needed`.

    Raises `ConflictError` when no rotation is under way, or while another process works on it.
    """
    name = entry.name
    owner = claim(clock.now() + rotators.timeout + LEASE)

    def step(change: Change) -> State:
        state = steps.take_over(change, name, owner, clock.now())
        if rotator is None and needed and not state.by_url:
            raise InvalidInputError(f"the rotation of {name!r} began with a rotator object: pass it again")
        return state

    state: State | None = None
    try:
        state = entry.change("resumed", step)
        return state, _source(rotators, state, rotator, needed=needed)
    except BaseException as error:
        if state is not None:
            taken, now = state, clock.now()
            if isinstance(error, StrongroomError):
                entry.failed("resumed", error)
            entry.change("released", lambda change: steps.let_go(change, taken, None, now))
        release(owner.token)
        raise


def _source(rotators: Rotators, state: State, rotator: Rotator | None, *, needed: bool) -> Source:
    if not needed:
        return rotators.none(state.name)
    source = rotators.under_way(state) if rotator is None else rotators.source(state.name, rotator)
    source.about(state.id)
    return source
