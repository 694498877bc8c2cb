"""Tells rotations which version this process holds: the other side of `consumers`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from strongroom import moment
from strongroom.access import Access
from strongroom.change import Change
from strongroom.errors import StrongroomError
from strongroom.model import ROTATION
from strongroom.places import entries
from strongroom.rotation.consumers import Consumer, consumer_path, seal_consumer
from strongroom.rotation.owner import here
from strongroom.rotation.state import IDLE, PROMOTED, State, open_state


class Handle(Protocol):
    """What of a live handle matters here."""

    name: str
    version: int


class Reporter:
    """The reports of one process on the secrets of its live handles."""

    def __init__(self, access: Access, refresh: Callable[..., object]) -> None:
        self._access = access
        self._refresh = refresh
        self._id = os.urandom(8).hex()
        self._one_at_a_time = threading.Lock()
        self._reported: dict[str, tuple[str, int]] = {}
        # A file that lies under git is not changed by a reader, unless a rotation is changing it anyway.
        self._when_idle = not access.engine.store.url.startswith("file:")

    def report(self, handles: Mapping[str, Handle]) -> bool:
        """Write what has changed since the last report, in one transaction; False when it could not be written.

        That is no error, as a reader still reads. Until it is said again, rotations do not know this process.
        """
        # An older version that is written last would stay.
        with self._one_at_a_time, suppress(StrongroomError):
            news = list(self._news(handles))
            if news:
                self._write(news)
            return True
        return False

    def withdraw(self) -> None:
        """Remove the reports: this process holds nothing any more."""
        if self._reported:
            paths = [consumer_path(name, self._id) for name in self._reported]
            self._reported = {}
            with suppress(StrongroomError), self._access.engine.change() as change:
                for path in paths:
                    if change.get(path) is not None:
                        change.delete(path)

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
        return handle.version

    def _write(self, news: list[tuple[str, str, int]]) -> None:
        service, process, now = self._access.audit.service, here(), moment.now()

        with self._access.engine.change() as change:
            for name, _, version in news:
                self._put(change, Consumer(name, self._id, service, process, version, now))
        self._reported.update({name: (rotation, version) for name, rotation, version in news})

    def _put(self, change: Change, consumer: Consumer) -> None:
        # A rotation without an attached rotator, ended meanwhile, must not leave an entry behind.
        if change.get(ROTATION + consumer.name) is not None:
            change.put(consumer_path(consumer.name, consumer.id), seal_consumer(change.records, consumer))
