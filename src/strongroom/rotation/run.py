"""One rotation at work: its steps in order, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from typing import Any

from strongroom.access import changing
from strongroom.access.access import Access
from strongroom.engine import versions
from strongroom.engine.change import Change
from strongroom.errors import ConflictError, RotationError, SecretNotFoundError, SourceRefusedError, StrongroomError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.model import SECRET
from strongroom.records.data import decode_data
from strongroom.rotation import steps
from strongroom.rotation.clock import Clock, utc
from strongroom.rotation.consumers import Consumer, consumers, reported, sweep
from strongroom.rotation.owner import LEASE, release
from strongroom.rotation.readers import Readers, readers
from strongroom.rotation.source import Source, is_refusal
from strongroom.rotation.state import GRACE, PENDING, PROMOTED, SET, TESTED, State, load

SETTLE = 1.0
"""Seconds after promotion before the previous value is retired.

A process with a live handle reports within some 50 ms of a rotation's begin. One that is stopped before it could is
known only when a rotator was attached before, as it then reported when it made its handle.
"""
POLL = 0.05
READERS_EVERY = 1.0
"""Seconds between two looks into the audit log for processes that have read the secret once."""


class Run:
    """A rotation that this thread owns, and the source that it asks."""

    def __init__(self, access: Access, clock: Clock, keep: int, state: State, source: Source, *, fresh: bool) -> None:
        """`fresh` is True for a rotation that begins here: its source has not been asked for anything yet."""
        self._access = access
        self._clock = clock
        self._keep = keep
        self._source = source
        self._fresh = fresh
        self._read: tuple[float, Readers] | None = None
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
            self._source.set(pending, self._current())
            self._record(SET)
            stage = TESTED
            self._source.test(pending)
            self._record(TESTED)
            stage = PROMOTED
            made = self._promote(wait)
        except Exception as error:
            self._refused(stage, error)
            if stage == SET and self._fresh and is_refusal(error):
                # A definite no to the first thing that was asked: there is nothing to put back and nothing to resume.
                self.end("aborted", undone=True)
                raise SourceRefusedError(
                    f"{self.state.name!r} was not rotated, and nothing was changed: {error}", name=self.state.name
                ) from None
            found = self._try_to_put_back()
            if isinstance(error, RotationError):
                raise self._advised(error, found) from None
            raise
        self.wait_and_retire(wait)
        return made

    def undo(self) -> None:
        """Let the source take the current value again and refuse the pending one, then end the rotation."""
        if self.state.drifted:
            raise self._advised(
                RotationError("its source refused the current value when the rotation began, so there is nothing to "
                              "give back to it"), "Nothing was changed")  # fmt: skip
        # From here on the source may have the current value again, so that no step counts as done.
        self._record(PENDING)
        try:
            current, pending = self._current(), decode_data(self.state.data)
            self._source.set(current, pending)
            self._source.test(current)
            if not self.state.is_back:
                # Of a rotation back the pending value is the previous one, whose grace time goes on.
                self._source.retire(pending, current)
        except RotationError as error:
            self._refused("aborted", error)
            raise self._advised(error, "Its source may have the new value") from None
        self.end("aborted", undone=True)

    def end(self, stage: str, *, undone: bool = False) -> None:
        """Remove the rotation, and what is left of processes that are gone."""
        self._change(stage, lambda change: steps.end(change, self.state, undone=undone))
        sweep(self._access.engine, self.state)

    def mend(self) -> None:
        """Make sure that the source accepts the current value of a promoted rotation, which it may have forgotten."""
        if (current := self._current_if_any()) is None:
            return
        try:
            self._make_accepted(current)
        except RotationError as error:
            self._refused("retired", error)
            raise self._advised(error, self._promised()) from None

    def wait_and_retire(self, wait: float) -> None:
        """Retire the previous value when that is due within `wait` seconds, else leave it to `resume` or `retire`.

        Where the source refuses the previous value already, this only waits for the consumers to switch.
        """
        until = self._clock.now() + wait
        while not self._is_done_waiting():
            if self._clock.now() >= until or not self._may_be_ready(until):
                if not self.state.keeps_previous:
                    break
                self._let_go(None)
                return
            self._clock.sleep(POLL)
        self.retire()

    def retire(self) -> None:
        """Let the source refuse the previous value, then end the rotation.

        Never the current one: what somebody has written in the grace time must be accepted by the source first.
        """
        current = self._current_if_any()
        if current is not None:
            try:
                self._make_accepted(current)
                for old in self._to_retire(current):
                    self._source.retire(old, current)
            except RotationError as error:
                self._refused("retired", error)
                raise self._advised(error, self._promised()) from None
        self.end("retired")

    def is_ready(self) -> bool:
        """True when nobody needs the previous value any more, or the grace time has ended."""
        return self._clock.now() >= (self.state.grace_ends or 0) or self._all_have_switched()

    def check_ready(self) -> None:
        """Raise `ConflictError`, naming the laggards, unless the previous value may be retired."""
        if self.is_ready():
            return
        late = [consumer.label for consumer in self._consumers() if consumer.lags(self.state)]
        late += [holder.label for holder in self._readers().holders]
        who = f"is still held by {', '.join(late)}" if late else "has its grace time"
        raise ConflictError(
            f"the previous value of {self.state.name!r} {who}, until {utc(self.state.grace_ends or 0)} at the latest; "
            f"wait, or `strongroom rotate retire {self.state.name} --force`",
            name=self.state.name,
        )

    def _promised(self) -> str:
        before = "may still be accepted" if self.state.keeps_previous else "is refused already"
        return f"The new value is current; the previous one {before}"

    def _is_done_waiting(self) -> bool:
        return self.is_ready() if self.state.keeps_previous else self._all_have_switched()

    def _all_have_switched(self) -> bool:
        known = self._consumers()
        # Where no process reports, some may hold the value without a live handle: they have the grace time.
        if not self._is_settled() or not known or any(consumer.lags(self.state) for consumer in known):
            return False
        read = self._readers()
        return read.complete and not read.holders

    def _make_accepted(self, current: dict[str, Any]) -> None:
        """Raise `RotationError` unless the source accepts the current value, in the end."""
        try:
            self._source.test(current)
        except RotationError as error:
            if self._version() != self.state.after:
                raise RotationError(
                    f"{error}. The current version {self._version()} was written in the grace time, and its source was "
                    f"not told; `strongroom rollback {self.state.name} {self.state.after}` goes back to the one that "
                    "was rotated",
                    name=self.state.name,
                ) from None
            # The source was put back to an earlier state, or replaced: it gets what is current once more.
            self._source.set(current, decode_data(self.state.data) if self.state.data else {})
            self._source.test(current)

    def _to_retire(self, current: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the previous value, and the one that this rotation made when somebody has written another since."""
        found = [decode_data(self.state.data)] if self.state.data else []
        if self._version() != self.state.after:
            with self._access.engine.view() as (view, unlocked):
                made = versions.read(view, unlocked.records, self.state.name, self.state.after)
            found += [decode_data(made)] if made is not None else []
        return [data for data in found if data != current]

    def _may_be_ready(self, until: float) -> bool:
        if not self.state.keeps_previous:
            return bool(self._consumers())
        return until >= (self.state.grace_ends or 0) or not self._is_settled() or bool(self._consumers())

    def _is_settled(self) -> bool:
        return self._clock.now() >= (self.state.promoted or 0) + SETTLE

    def _readers(self) -> Readers:
        """Return who has read the previous value, looked up once a second: the log may be long."""
        now = monotonic()
        if self._read is None or now >= self._read[0] + READERS_EVERY:
            info = self._info()
            before = None if info is None else info.version(self.state.before)
            since = self.state.started or 0.0 if before is None else before.created
            read = readers(self._access, self.state.name, self.state.before, self.state.after, since)
            self._read = monotonic(), read
        return self._read[1]

    def _consumers(self) -> list[Consumer]:
        engine, name = self._access.engine, self.state.name
        rows = reported(engine.store, name)
        with engine.view() as (_, unlocked):
            return consumers(unlocked.records, rows, name)

    def _promote(self, wait: float) -> VersionInfo:
        now, keeps = self._clock.now(), self._source.keeps_previous
        grace = self._source.grace(GRACE) if self.state.grace is None else self.state.grace
        state = self._renewed(wait)
        promoted: list[State] = []

        def step(change: Change) -> VersionInfo:
            made, after = steps.promote(change, state, now, grace, self._keep, keeps)
            promoted.append(after)
            return made

        made: VersionInfo = self._change(PROMOTED, step)
        self.state = promoted[0]
        return made

    def _record(self, step: str) -> None:
        state = self._renewed(0)._replace(step=step, error=None, reason=None, failed=None)
        self.state = self._change(step, lambda change: steps.record(change, state))

    def _renewed(self, wait: float) -> State:
        assert self.state.owner is not None
        until = self._clock.now() + wait + self._source.timeout + LEASE
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
            if self.state.drifted:
                return "Its source refused the current value before, and was not given it back"
            self._source.set(self._current(), decode_data(self.state.data))
        except StrongroomError:
            return "Its source could not be given the current value back, and may have the new one"
        if self._source.hangs:
            return (
                "Its source was given the current value back, but the call has not ended and may still change it: end "
                "this process first"
            )
        return "Its source was given the current value back"

    def _current(self) -> dict[str, Any]:
        current = self._current_if_any()
        if current is None:
            name = self.state.name
            raise SecretNotFoundError(f"there is no secret {name!r} any more, or it is destroyed", name=name)
        return current

    def _current_if_any(self) -> dict[str, Any] | None:
        info = self._info()
        if info is None or info.versions[-1].destroyed:
            return None
        with self._access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + self.state.name)
            return None if stored is None else decode_data(unlocked.records.open_data(self.state.name, stored))

    def _version(self) -> int:
        info = self._info()
        return 0 if info is None else info.current

    def _info(self) -> SecretInfo | None:
        with self._access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + self.state.name)
            return None if stored is None else unlocked.records.open_info(self.state.name, stored)

    def _change(self, stage: str, step: Callable[[Change], Any]) -> Any:
        return changing.change(self._access, "ROTATE", "update", self.state.name, step, stage=stage)

    def _refused(self, stage: str, error: Exception) -> None:
        with suppress(StrongroomError):
            self._access.refused("ROTATE", self.state.name, getattr(error, "code", type(error).__name__), stage=stage)

    def _let_go(self, error: Exception | None) -> None:
        """A failure in here must not hide the one before: the owner's end is noticed without it too."""
        now = self._clock.now()
        with suppress(StrongroomError):
            self._change("released", lambda change: steps.let_go(change, self.state, error, now))

    def _advised(self, error: RotationError, found: str) -> RotationError:
        name = self.state.name
        todo = f"`strongroom rotate resume {name}` tries again"
        if self.state.step != PROMOTED:
            todo += f", `strongroom rotate abort {name}` gives up (--force when its source is gone for good)"
        else:
            todo += f", `strongroom rotate abort {name} --force` leaves the source as it is, when that is gone for good"
        return RotationError(f"{name!r}: {error}. {found}; {todo}", name=name)
