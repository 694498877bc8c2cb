"""Waits until nobody needs the previous value of a promoted rotation any more."""

from __future__ import annotations

from time import monotonic

from strongroom.errors import ConflictError
from strongroom.rotation.clock import Clock, utc
from strongroom.rotation.consumers import Consumer, consumers, reported
from strongroom.rotation.entry import Entry
from strongroom.rotation.readers import Readers, readers
from strongroom.rotation.state import State

SETTLE = 1.0
"""Seconds after promotion before the previous value is retired.

A process with a live handle reports within some 50 ms of a rotation's begin. One that is stopped before it could is
known only when a rotator was attached before, as it then reported when it made its handle.
"""
SWITCHING = 5.0
"""Seconds after promotion that live consumers have to switch before open sessions are ended."""
POLL = 0.05
READERS_EVERY = 1.0
"""Seconds between two looks into the audit log for processes that have read the secret once."""


class Waiting:
    """Who still needs the previous value of one promoted rotation, and for how long."""

    def __init__(self, entry: Entry, clock: Clock, state: State, *, terminates: bool = False) -> None:
        """`terminates` says that open sessions end with the retirement."""
        self._entry = entry
        self._clock = clock
        self._state = state
        self._terminates = terminates
        self._read: tuple[float, Readers] | None = None

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the consumers to switch; True when the previous value is to be retired now.

        It is not while somebody needs it. Where the source refuses it already, that helps nobody.
        """
        until = self._clock.now() + seconds
        while (verdict := self.verdict(until)) is None:
            self._clock.sleep(POLL)
        return verdict

    def verdict(self, until: float) -> bool | None:
        """Return True when the previous value is to be retired, False when it stays, None to ask again soon.

        `until` is how long somebody waits for that.
        """
        if self._is_ready() if self._state.keeps_previous else self._all_have_switched():
            return True
        if self._clock.now() >= until or not self._may_be_ready(until):
            return not self._state.keeps_previous and not self._would_cut_off()
        return None

    def check_ready(self) -> None:
        """Raise `ConflictError`, naming the laggards, unless the previous value may be retired."""
        if self._is_ready():
            return
        state, name = self._state, self._state.name
        late = {consumer.label: consumer.service for consumer in self._consumers() if consumer.lags(self._kept())}
        late |= {holder.label: holder.service for holder in self._readers().holders}
        is_over = self._clock.now() >= (state.grace_ends or 0)
        held = [label for label, service in late.items() if self._needs(service) or not is_over]
        end = max([state.grace_ends or 0.0, *(state.needed_until(late[label]) for label in held)])
        end = end if held else state.last_end
        who = f"is still held by {', '.join(held)}" if held else "has its grace time"
        self._entry.refuse("retired", ConflictError(
            f"the previous value of {name!r} {who}, until {utc(end)} at the latest; wait, or "
            f"`strongroom rotate retire {name} --force`",
            name=name,
        ))  # fmt: skip

    def _is_ready(self) -> bool:
        """True when nobody needs the previous value any more."""
        now, state = self._clock.now(), self._state
        if now >= state.last_end or self._all_have_switched():
            return True
        # What is left are grace times that services have for themselves.
        return now >= (state.grace_ends or 0) and not self._is_needed()

    def _may_be_ready(self, until: float) -> bool:
        if not self._state.keeps_previous:
            return bool(self._consumers())
        return until >= (self._state.grace_ends or 0) or not self._is_settled() or bool(self._consumers())

    def _all_have_switched(self) -> bool:
        # Where no process reports, some may hold the value without a live handle: they have the grace time.
        return self._is_settled() and bool(self._consumers()) and not self._is_needed()

    def _is_needed(self) -> bool:
        """True while somebody holds the previous value whose grace time has not ended, as far as can be known."""
        if any(consumer.lags(self._kept()) and self._needs(consumer.service) for consumer in self._consumers()):
            return True
        read = self._readers()
        return not read.complete or any(self._needs(holder.service) for holder in read.holders)

    def _needs(self, service: str) -> bool:
        return not self._state.keeps_previous or self._clock.now() < self._state.needed_until(service)

    def _would_cut_off(self) -> bool:
        """True while sessions would end of live consumers that have had no time to switch."""
        is_new = self._clock.now() < (self._state.promoted or 0) + SWITCHING
        return self._terminates and is_new and any(consumer.lags(self._kept()) for consumer in self._consumers())

    def _is_settled(self) -> bool:
        return self._clock.now() >= (self._state.promoted or 0) + SETTLE

    def _kept(self) -> int:
        return self._state.kept_from(self._entry.version())

    def _readers(self) -> Readers:
        """Return who has read the previous value, looked up once a second: the log may be long."""
        now = monotonic()
        if self._read is None or now >= self._read[0] + READERS_EVERY:
            state, info = self._state, self._entry.info()
            before = None if info is None else info.version(state.before)
            # One that is no version any more (max_versions) may have been read at any time.
            since = 0.0 if before is None else before.created
            read = readers(self._entry.access, state.name, state.before, self._kept(), since)
            self._read = monotonic(), read
        return self._read[1]

    def _consumers(self) -> list[Consumer]:
        engine, name = self._entry.access.engine, self._entry.name
        rows = reported(engine.store, name)
        with engine.view() as (_, unlocked):
            return consumers(unlocked.records, rows, name)
