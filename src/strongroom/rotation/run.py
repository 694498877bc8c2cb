"""One rotation at work: its steps in order, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from strongroom import changing
from strongroom.access import Access
from strongroom.change import Change
from strongroom.data import decode_data
from strongroom.errors import ConflictError, RotationError, SecretNotFoundError, StrongroomError
from strongroom.info import VersionInfo
from strongroom.model import SECRET
from strongroom.protocols import Rotator
from strongroom.rotation import steps
from strongroom.rotation.calls import Calls
from strongroom.rotation.clock import Clock, utc
from strongroom.rotation.consumers import Consumer, consumers, reported, sweep
from strongroom.rotation.owner import LEASE, release
from strongroom.rotation.state import GRACE, PENDING, PROMOTED, SET, TESTED, State, load

SETTLE = 1.0
"""Seconds after promotion before the previous value is retired.

A process with a live handle reports within some 50 ms of a rotation's begin. One that is stopped before it could is
known only when a rotator was attached before, as it then reported when it made its handle.
"""
POLL = 0.05


class Run:
    """A rotation that this thread owns, and the rotator that it asks."""

    def __init__(self, access: Access, calls: Calls, clock: Clock, keep: int, state: State, rotator: Rotator) -> None:
        self._access = access
        self._calls = calls
        self._clock = clock
        self._keep = keep
        self._rotator = rotator
        self.state = state

    @contextmanager
    def owned(self) -> Iterator[Run]:
        """Work on the rotation, and leave it to others afterwards, whatever happened."""
        assert self.state.owner is not None
        try:
            yield self
        except Exception as error:
            self._let_go(error)
            raise
        finally:
            release(self.state.owner.token)

    def forward(self, wait: float) -> VersionInfo:
        """Go from a durable pending value to the end.

        A rotation that is resumed asks for `set` and `test` again, whatever it had recorded: nobody knows what became
        of the source meanwhile, and both are idempotent.
        """
        stage = SET
        try:
            pending = decode_data(self.state.data)
            self._ask("set", self._rotator.set, pending, self._current())
            self._record(SET)
            stage = TESTED
            self._ask("test", self._rotator.test, pending)
            self._record(TESTED)
            stage = PROMOTED
            made = self._promote(wait)
        except Exception as error:
            self._refused(stage, error)
            found = self._try_to_put_back()
            if isinstance(error, RotationError):
                raise self._advised(error, found) from None
            raise
        self.wait_and_retire(wait)
        return made

    def undo(self) -> None:
        """Let the source take the current value again and refuse the pending one, then end the rotation."""
        # From here on the source may have the current value again, so that no step counts as done.
        self._record(PENDING)
        try:
            current, pending = self._current(), decode_data(self.state.data)
            self._ask("set", self._rotator.set, current, pending)
            self._ask("test", self._rotator.test, current)
            self._ask("retire", self._rotator.retire, pending, current)
        except RotationError as error:
            self._refused("aborted", error)
            raise self._advised(error, "Its source may have the new value") from None
        self.end("aborted")

    def end(self, stage: str) -> None:
        """Remove the rotation, and what is left of processes that are gone."""
        self._change(stage, lambda change: steps.end(change, self.state))
        sweep(self._access.engine, self.state)

    def wait_and_retire(self, wait: float) -> None:
        """Retire the previous value when that is due within `wait` seconds, else leave it to `resume` or `retire`."""
        until = self._clock.now() + wait
        while not self.is_ready():
            if self._clock.now() >= until or not self._may_be_ready(until):
                self._let_go(None)
                return
            self._clock.sleep(POLL)
        self.retire()

    def retire(self) -> None:
        """Let the source refuse the previous value, then end the rotation."""
        try:
            self._ask("retire", self._rotator.retire, decode_data(self.state.data), self._current())
        except RotationError as error:
            self._refused("retired", error)
            raise self._advised(error, "The new value is current; the previous one may still be accepted") from None
        self.end("retired")

    def is_ready(self) -> bool:
        """True when nobody needs the previous value any more, or the grace time has ended."""
        now = self._clock.now()
        if now >= (self.state.grace_ends or 0):
            return True
        known = self._consumers()
        # Where no process reports, some may hold the value without a live handle: they have the grace time.
        return self._is_settled() and bool(known) and not any(consumer.lags(self.state) for consumer in known)

    def check_ready(self) -> None:
        """Raise `ConflictError`, naming the laggards, unless the previous value may be retired."""
        if self.is_ready():
            return
        late = [consumer.label for consumer in self._consumers() if consumer.lags(self.state)]
        who = f"is still held by {', '.join(late)}" if late else "has its grace time"
        raise ConflictError(
            f"the previous value of {self.state.name!r} {who}, until {utc(self.state.grace_ends or 0)} at the latest; "
            f"wait, or `strongroom rotate retire {self.state.name} --force`",
            name=self.state.name,
        )

    def _may_be_ready(self, until: float) -> bool:
        return until >= (self.state.grace_ends or 0) or not self._is_settled() or bool(self._consumers())

    def _is_settled(self) -> bool:
        return self._clock.now() >= (self.state.promoted or 0) + SETTLE

    def _consumers(self) -> list[Consumer]:
        engine, name = self._access.engine, self.state.name
        rows = reported(engine.store, name)
        with engine.view() as (_, unlocked):
            return consumers(unlocked.records, rows, name)

    def _promote(self, wait: float) -> VersionInfo:
        now = self._clock.now()
        usual = float(getattr(self._rotator, "grace", GRACE))
        grace = usual if self.state.grace is None else self.state.grace
        state = self._renewed(wait)
        promoted: list[State] = []

        def step(change: Change) -> VersionInfo:
            made, after = steps.promote(change, state, now, grace, self._keep)
            promoted.append(after)
            return made

        made: VersionInfo = self._change(PROMOTED, step)
        self.state = promoted[0]
        return made

    def _record(self, step: str) -> None:
        state = self._renewed(0)._replace(step=step, error=None)
        self.state = self._change(step, lambda change: steps.record(change, state))

    def _renewed(self, wait: float) -> State:
        assert self.state.owner is not None
        until = self._clock.now() + wait + self._calls.timeout + LEASE
        return self.state._replace(owner=self.state.owner._replace(until=until))

    def _try_to_put_back(self) -> str:
        """Give the source the current value back, so that it works until somebody looks; say what came of it."""
        try:
            with self._access.engine.view() as (view, unlocked):
                found = load(view, unlocked.records, self.state.name)
            if found is None or found.owner is None or found.owner.token != self.state.owner.token:  # type: ignore[union-attr]
                return "Another process works on it"
            if not found.is_staged:
                # Promoted although the call failed: its event could not be written.
                return "The new value is current"
            self._ask("set", self._rotator.set, self._current(), decode_data(self.state.data))
        except StrongroomError:
            return "Its source could not be given the current value back, and may have the new one"
        return "Its source was given the current value back"

    def _current(self) -> dict[str, Any]:
        name = self.state.name
        with self._access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + name)
            if stored is None:
                raise SecretNotFoundError(f"there is no secret {name!r} any more", name=name)
            return decode_data(unlocked.records.open_data(name, stored))

    def _ask(self, step: str, call: Callable[..., Any], *arguments: Any) -> None:
        self._calls.ask(self.state.name, step, call, *arguments)

    def _change(self, stage: str, step: Callable[[Change], Any]) -> Any:
        return changing.change(self._access, "ROTATE", "update", self.state.name, step, stage=stage)

    def _refused(self, stage: str, error: Exception) -> None:
        with suppress(StrongroomError):
            self._access.refused("ROTATE", self.state.name, getattr(error, "code", type(error).__name__), stage=stage)

    def _let_go(self, error: Exception | None) -> None:
        """A failure in here must not hide the one before: the owner's end is noticed without it too."""
        kind = None if error is None else type(error).__name__
        with suppress(StrongroomError):
            self._change("released", lambda change: steps.let_go(change, self.state, kind))

    def _advised(self, error: RotationError, found: str) -> RotationError:
        name = self.state.name
        todo = f"`strongroom rotate resume {name}` tries again"
        if self.state.step != PROMOTED:
            todo += f", `strongroom rotate abort {name}` gives up"
        return RotationError(f"{name!r}: {error}. {found}; {todo}", name=name)
