"""What is known of rotations, never a value."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.engine.unlock import Unlocked
from strongroom.errors import SecretNotFoundError
from strongroom.model import SECRET
from strongroom.protocols import Reader
from strongroom.rotation.consumers import Consumer, Reported, consumers
from strongroom.rotation.readers import Holder, Readers
from strongroom.rotation.state import PROMOTED, State
from strongroom.urls import shown_rotator


class RotationStatus(NamedTuple):
    """A secret's rotator and rotation. Times are seconds since 1970, spans are seconds."""

    name: str
    step: str
    """`idle`, `pending`, `set`, `tested` or `promoted`."""
    rotator: str | None
    """Its URL as it is shown, without credentials."""
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
    reason: str | None
    """What it said, unless it was an exception of a rotator's own."""
    failed: float | None
    """When that was."""
    known: int
    """The version that the source is known to accept; 0 when it was never asked."""
    keeps_previous: bool
    """The source accepts the previous value until it is retired."""
    advice: str | None
    """What is not as it should be, and the command that mends it."""
    running: bool
    """A process works on it now."""
    consumers: tuple[Consumer, ...]
    """The live processes that reported the version that they hold."""
    laggards: tuple[Consumer, ...]
    """Those of them that keep the previous value from being retired."""
    before: int = 0
    """The version before, while its value is not retired."""
    holders: tuple[Holder, ...] = ()
    """Those who have read the previous value and say nothing more; the current value while nothing is under way."""
    all_known: bool = True
    """False when the audit log did not tell all of them."""

    def with_readers(self, read: Readers) -> RotationStatus:
        """Return the same with what the audit log tells."""
        return self._replace(holders=read.holders, all_known=read.complete)


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
        rotator=None if state.url is None else shown_rotator(state.url),
        every=state.every,
        grace=state.grace,
        due=None if state.every is None else info.versions[-1].created + state.every,
        version=info.current,
        started=state.started,
        grace_ends=state.grace_ends,
        error=state.error,
        reason=state.reason,
        failed=state.failed,
        known=state.known,
        keeps_previous=state.keeps_previous,
        advice=_advice(state, info.current, now),
        running=state.owner is not None and state.owner.is_working(now),
        consumers=alive,
        laggards=tuple(consumer for consumer in alive if consumer.lags(state)),
        before=state.before if state.step == PROMOTED else 0,
    )


def _advice(state: State, version: int, now: float) -> str | None:
    name, failure = state.name, f" ({state.reason or state.error})" if state.error else ""
    if state.owner is not None and state.owner.is_working(now):
        return None
    if state.is_staged:
        return (
            f"a rotation stopped in the middle{failure}, and its source may have another value than the current one: "
            f"`strongroom rotate resume {name}` finishes it, `strongroom rotate abort {name}` undoes it"
        )
    if state.step == PROMOTED:
        if version != state.after:
            return (
                f"version {version} was written here in the grace time, and its source was not told{failure}: "
                f"`strongroom rotate resume {name}` asks it, `strongroom rollback {name} {state.after}` goes back to "
                "the version that it was given"
            )
        return None if not failure else f"not finished{failure}: `strongroom rotate resume {name}` tries again"
    if state.url is None or (version == state.known and not failure):
        return None
    told = "" if version == state.known else f"version {version} was written here, and its source was not told"
    if not state.known:
        told = "its source was never asked whether it accepts the current value"
    known = f", `strongroom rollback {name} {state.known}` goes back to version {state.known}" if told else ""
    said = "; ".join(part for part in (told, state.reason or state.error or "") if part)
    return f"{said}: `strongroom rotate check {name}` asks it{known if state.known else ''}"
