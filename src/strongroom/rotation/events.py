"""Events of rotations: what somebody must hear of who does not look at `rotate status`.

`ObservedRotation` does what `Rotation` does, and tells an observer and a hook when a rotation failed, stopped half-way,
or ended although a process holds the previous value. That cannot fail a rotation: an observer that raises, or a hook
that fails, is a `StrongroomWarning`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import update_wrapper
from typing import Any, NamedTuple

from strongroom.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    InvalidInputError,
    MissingExtraError,
    StrongroomError,
)
from strongroom.info import VersionInfo
from strongroom.rotation.calls import TIMEOUT, Calls
from strongroom.rotation.clock import Clock
from strongroom.rotation.consumers import reported
from strongroom.rotation.rotation import Rotation
from strongroom.rotation.state import IDLE, State, load
from strongroom.rotation.status import RotationStatus, status_of
from strongroom.system.frames import methods_leave_no_values
from strongroom.system.warning import StrongroomWarning

FAILED, UNFINISHED, LAGGARDS = "failed", "unfinished", "laggards"
SETTLE = 1.0
"""Seconds that processes have to report the new version before they are called laggards."""
POLL = 0.05


class RotationEvent(NamedTuple):
    """Something that an operator must know of a rotation. It holds no value."""

    event: str
    """`failed`: it did not begin, or was undone, and the current value is valid. `unfinished`: it stopped half-way.
    `laggards`: it ended, and processes still hold the previous value, which the source refuses."""
    name: str
    step: str
    """As in `RotationStatus`."""
    version: int
    """The current one."""
    error: str | None
    """The class of what was raised."""
    reason: str | None
    """What it said, unless it is no error of strongroom."""
    advice: str | None
    """The command that mends it."""
    laggards: tuple[str, ...]
    """The live processes that hold the previous value."""
    time: float
    """Seconds since 1970."""


Observer = Callable[[RotationEvent], object]


@methods_leave_no_values
class ObservedRotation(Rotation):
    """Rotations that are observed. `hook` is the URL of a program or a service, empty for none."""

    _observer: Observer | None = None
    _hook = ""

    def observed(self, observer: Observer | None, hook: str) -> ObservedRotation:
        """Tell `observer` and `hook` from now on, and return this object."""
        self._observer, self._hook = observer, hook
        return self

    def with_clock(self, clock: Clock, *, timeout: float = TIMEOUT) -> ObservedRotation:
        """Return the same rotations by another clock."""
        made = ObservedRotation(self._access, self._connect, self._keep, clock=clock, timeout=timeout)
        return made.observed(self._observer, self._hook)

    def rotate(self, name: str, *arguments: Any, **more: Any) -> VersionInfo:
        """See `Rotation.rotate`."""
        with self._told(name):
            return super().rotate(name, *arguments, **more)

    def resume(self, name: str, *arguments: Any, **more: Any) -> VersionInfo:
        """See `Rotation.resume`."""
        with self._told(name):
            return super().resume(name, *arguments, **more)

    def abort(self, name: str, *arguments: Any, **more: Any) -> None:
        """See `Rotation.abort`."""
        with self._told(name):
            super().abort(name, *arguments, **more)

    def retire(self, name: str, *arguments: Any, **more: Any) -> None:
        """See `Rotation.retire`."""
        with self._told(name):
            super().retire(name, *arguments, **more)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Tell what became of the call inside. What a call raised that it made itself is told once."""
        try:
            yield
            self._tell_of_laggards(name)
        except BaseException as error:
            # At the exception, and not in a variable: an interrupt between two lines could leave that as it was.
            if not getattr(error, "is_told", False):
                error.is_told = True  # type: ignore[attr-defined]
                self._tell_of_failure(name, error)
            raise

    def _tell_of_failure(self, name: str, error: BaseException) -> None:
        known = None if _is_callers_mistake(error) else self._known(name)
        if known is None or known.running:
            return
        kind = FAILED if known.step == IDLE else UNFINISHED
        reason = str(error) if isinstance(error, StrongroomError) else None
        self._tell(self._event(kind, known, error=type(error).__name__, reason=reason))

    def _tell_of_laggards(self, name: str) -> None:
        """A rotation that has ended leaves those who hold an older version without a value that the source accepts."""
        ends = self._clock.now() + SETTLE
        while (late := self._late(name)) is not None and late[1] and self._clock.now() < ends:
            self._clock.sleep(POLL)
        if late is None or not late[1]:
            return
        with suppress(StrongroomError):
            self._access.refused("ROTATE", name, LAGGARDS, count=len(late[1]), stage="retired")
        self._tell(self._event(LAGGARDS, late[0], laggards=late[1]))

    def _late(self, name: str) -> tuple[RotationStatus, tuple[str, ...]] | None:
        """Return the status and the labels of those that hold an older version; None while a rotation is under way."""
        known = self._known(name)
        if known is None or known.step != IDLE:
            return None
        return known, tuple(consumer.label for consumer in known.consumers if consumer.version < known.version)

    def _known(self, name: str) -> RotationStatus | None:
        """Return the status, which is no event of its own; None when there is no such secret."""
        with suppress(StrongroomError):
            rows = reported(self._access.engine.store, name)
            with self._access.engine.view() as (view, unlocked):
                state = load(view, unlocked.records, name) or State(name)
                return status_of(view, unlocked, state, rows, self._clock.now())
        return None

    def _event(
        self, kind: str, known: RotationStatus, *, error: str | None = None, reason: str | None = None,
        laggards: tuple[str, ...] = (),
    ) -> RotationEvent:  # fmt: skip
        advice = known.advice if kind != LAGGARDS else "restart these processes, or read their logs"
        return RotationEvent(
            kind, known.name, known.step, known.version, error, reason, advice, laggards, self._clock.now()
        )

    def _tell(self, event: RotationEvent) -> None:
        if self._observer is not None:
            try:
                self._observer(event)
            except Exception as error:
                _warn(f"on_rotation_event raised {type(error).__name__}; the rotation itself is not affected")
        if self._hook:
            try:
                self._run_hook(event)
            except StrongroomError as error:
                with suppress(StrongroomError):
                    self._access.refused("ROTATE", event.name, error.code, stage="hook")
                _warn(f"the rotation hook failed: {error}. The rotation itself is not affected")

    def _run_hook(self, event: RotationEvent) -> None:
        hook: Any = self._rotators.made(self._hook)
        audit = self._access.audit
        about = event._asdict() | {
            "store": self._access.engine.store.url, "actor": self._access.actor, "service": audit.service,
            "host": os.uname().nodename, "instance": audit.instance,
        }  # fmt: skip
        limit = getattr(hook, "timeout", None)
        Calls(TIMEOUT).ask(
            event.name, "hook", hook.notify, event.event, about, timeout=limit, stop=getattr(hook, "stop", None)
        )


for _name in ("rotate", "resume", "abort", "retire"):
    # What is asked of them, and what help() shows, is what is asked of those that they stand before.
    update_wrapper(vars(ObservedRotation)[_name], vars(Rotation)[_name])


def _is_callers_mistake(error: BaseException) -> bool:
    """True for what says nothing of the rotation: another one is under way, or the call cannot be."""
    if isinstance(error, ConfigError | MissingExtraError):
        return False  # the rotator's URL, or what it needs
    return isinstance(error, ConflictError | DeniedError | InvalidInputError)


def _warn(text: str) -> None:
    # Where warnings are errors, one must not take the place of what the rotation raised.
    with suppress(StrongroomWarning):
        warnings.warn(text, StrongroomWarning, stacklevel=8)
