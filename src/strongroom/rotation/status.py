"""What is known of rotations, never a value."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.errors import SecretNotFoundError
from strongroom.model import SECRET
from strongroom.protocols import Reader
from strongroom.rotation.consumers import Consumer, Reported, consumers
from strongroom.rotation.state import State
from strongroom.unlock import Unlocked


class RotationStatus(NamedTuple):
    """A secret's rotator and rotation. Times are seconds since 1970, spans are seconds."""

    name: str
    step: str
    """`idle`, `pending`, `set`, `tested` or `promoted`."""
    rotator: str | None
    every: float | None
    grace: float | None
    due: float | None
    """When the next rotation is due; None without `every`."""
    version: int
    """The current one."""
    started: float | None
    grace_ends: float | None
    """When the previous value is retired whoever still holds it."""
    error: str | None
    """The class of the last error."""
    running: bool
    """A process works on it now."""
    consumers: tuple[Consumer, ...]
    """The live processes that reported the version that they hold."""
    laggards: tuple[Consumer, ...]
    """Those of them that keep the previous value from being retired."""


def status_of(view: Reader, unlocked: Unlocked, state: State, reported: Reported, now: float) -> RotationStatus:
    """Return what is known of one secret; raises `SecretNotFoundError`."""
    stored = view.get(SECRET + state.name)
    if stored is None:
        raise SecretNotFoundError(f"there is no secret {state.name!r}", name=state.name)
    info = unlocked.records.open_info(state.name, stored)
    alive = tuple(consumers(unlocked.records, reported, state.name))
    return RotationStatus(
        name=state.name,
        step=state.step,
        rotator=state.url,
        every=state.every,
        grace=state.grace,
        due=None if state.every is None else info.versions[-1].created + state.every,
        version=info.current,
        started=state.started,
        grace_ends=state.grace_ends,
        error=state.error,
        running=state.owner is not None and state.owner.is_working(now),
        consumers=alive,
        laggards=tuple(consumer for consumer in alive if consumer.lags(state)),
    )
