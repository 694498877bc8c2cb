"""What is known of rotations, never a value."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.access.access import Access
from strongroom.engine.unlock import Unlocked
from strongroom.errors import SecretNotFoundError
from strongroom.model import ROTATION, SECRET
from strongroom.protocols import Reader
from strongroom.records.context import entries
from strongroom.rotation.advice import advice_on
from strongroom.rotation.consumers import Consumer, Reported, consumers, reported
from strongroom.rotation.entry import Entry
from strongroom.rotation.readers import Holder, readers
from strongroom.rotation.state import PROMOTED, State, load, open_state
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
    graces: dict[str, float]
    """Service → its own grace time, in place of `grace`."""
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
    created: float = 0.0
    """When the current version was made."""


def one_status(access: Access, name: str, now: float) -> RotationStatus:
    """Return what is known of one secret; raises `SecretNotFoundError`."""
    rows = reported(access.engine.store, name)

    def step(view: Reader, unlocked: Unlocked) -> RotationStatus:
        return status_of(view, unlocked, load(view, unlocked.records, name) or State(name), rows, now)

    return access.view("ROTATE", "read", name, step)


def all_statuses(access: Access, now: float) -> list[RotationStatus]:
    """Return what is known of every secret that has a rotator or a rotation."""
    rows = reported(access.engine.store)

    def step(view: Reader, unlocked: Unlocked) -> list[RotationStatus]:
        states = [
            open_state(unlocked.records, path.removeprefix(ROTATION), stored)
            for path, stored in entries(view, ROTATION)
        ]
        known = [state for state in states if (state.url or state.id) and view.get(SECRET + state.name)]
        return [status_of(view, unlocked, state, rows, now) for state in known]

    return access.view("ROTATE", "list", "", step)


def with_readers(access: Access, status: RotationStatus) -> RotationStatus:
    """Add who has read the value that a rotation retires, or that the next one would, as the audit log tells."""
    info = Entry(access, status.name).info()
    before = status.before or status.version
    made = None if info is None else info.version(before)
    since = made.created if made else 0.0
    after = status.version if status.before else status.version + 1
    read = readers(access, status.name, before, after, since)
    return status._replace(holders=read.holders, all_known=read.complete)


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
        graces=state.graces or {},
        due=None if state.every is None else info.versions[-1].created + state.every,
        version=info.current,
        started=state.started,
        grace_ends=None if state.grace_ends is None else state.last_end,
        error=state.error,
        reason=state.reason,
        failed=state.failed,
        known=state.known,
        keeps_previous=state.keeps_previous,
        advice=advice_on(state, info, now),
        running=state.is_running(now),
        consumers=alive,
        laggards=tuple(consumer for consumer in alive if consumer.lags(state.kept_from(info.current))),
        before=state.before if state.step == PROMOTED else 0,
        created=info.versions[-1].created,
    )
