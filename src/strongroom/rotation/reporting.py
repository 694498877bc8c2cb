"""Tells rotations which version this process holds: the other side of `consumers`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from strongroom import abilities
from strongroom.access.access import Access
from strongroom.errors import StrongroomError
from strongroom.model import ROTATION
from strongroom.protocols import Reports
from strongroom.records.context import entries
from strongroom.rotation.consumers import Consumer, consumer_key, seal_consumer
from strongroom.rotation.owner import here
from strongroom.rotation.state import IDLE, PROMOTED, State, open_state
from strongroom.system import moment


class Handle(Protocol):
    """What of a live handle matters here."""

    name: str
    version: int

    @property
    def held(self) -> int:
        """The version that the program holds."""
        ...


class Reporter:
    """The reports of one process on the secrets of its live handles."""

    def __init__(self, access: Access, reports: Reports, refresh: Callable[..., object]) -> None:
        self._access = access
        self._reports = reports
        self._refresh = refresh
        self._id = os.urandom(8).hex()
        self._one_at_a_time = threading.Lock()
        self._lags = False
        self._reported: dict[str, tuple[str, int]] = {}
        self._since: dict[str, tuple[int, float]] = {}
        """Name → the version that was reported last, and when it was first."""
        # Beside a file that lies under git a reader leaves nothing, unless a rotation is changing that file anyway.
        self._when_idle = not abilities.moves_with_git(access.engine.store)

    def report(self, handles: Mapping[str, Handle]) -> bool:
        """Write what has changed since the last report; False when there will be more to say without another commit.

        So it is when it could not be written, and while the program holds a value that a rotation has replaced.

        That is no error, as a reader still reads. Until it is said again, rotations do not know this process.
        Nobody waits for a process that is stopped in here: reports are no part of the store.
        """
        # An older version that is written last would stay.
        with self._one_at_a_time, suppress(StrongroomError):
            self._lags = False
            for name, rotation, version in self._news(handles):
                self._write(name, rotation, version)
            return not self._lags
        return False

    def withdraw(self) -> None:
        """Remove the reports: this process holds nothing any more."""
        names, self._reported = list(self._reported), {}
        for name in names:
            with suppress(StrongroomError):
                self._reports.remove(consumer_key(name, self._id))

    def _news(self, handles: Mapping[str, Handle]) -> list[tuple[str, str, int]]:
        """Return name, rotation and version of what is to be said."""
        with self._access.engine.view() as (view, unlocked):
            states = [
                open_state(unlocked.records, path.removeprefix(ROTATION), stored)
                for path, stored in entries(view, ROTATION)
                if path.removeprefix(ROTATION) in handles
            ]
        news = []
        for state in states:
            if state.step == IDLE and not self._when_idle:
                continue
            version = self._version(handles[state.name], state)
            if self._reported.get(state.name) != (state.id, version):
                news.append((state.name, state.id, version))
        return news

    def _version(self, handle: Handle, state: State) -> int:
        if state.step == PROMOTED and handle.version < state.after:
            with suppress(StrongroomError):
                self._refresh(handle)
        self._lags = self._lags or handle.held < state.kept_from(handle.version)
        return handle.held

    def _write(self, name: str, rotation: str, version: int) -> None:
        now = moment.now()
        if self._since.get(name, (0, 0.0))[0] != version:
            self._since[name] = version, now
        since = self._since[name][1]
        audit = self._access.audit
        consumer = Consumer(name, self._id, audit.service, here(), version, since, now, audit.instance)
        # Under the keys that `_news` has just seen.
        report = seal_consumer(self._access.engine.unlocked.records, consumer)
        self._reports.put(consumer_key(name, self._id), report)
        self._reported[name] = rotation, version
