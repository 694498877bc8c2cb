"""The thread that calls the callbacks of live handles.

After a commit it asks nobody about secrets that were not changed: with a store that has marks, a look at a handle is
a memory read; with others, a comparison of the stored bytes in one view. Whether a change is authentic, and whether it
is a new version, is decided by reading the secret. Commits in quick succession are looked at together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic, thread_time
from typing import Protocol

from strongroom import abilities
from strongroom.errors import DeniedError, SecretNotFoundError, StrongroomError, TamperedError
from strongroom.live import secret
from strongroom.live.secret import LiveSecret
from strongroom.model import MANIFEST, SECRET
from strongroom.protocols import Reader, Store
from strongroom.system.threads import start

TICK = 0.025
"""Seconds between two looks at the counter of commits, for callbacks; a look is a memory read."""
LONGEST = 0.05
"""Seconds of the longest pause between two looks."""
REST = 4
"""A look is followed by a pause of this many times the processor time that it took: many commits keep no core busy."""
UNSETTLED = 1.0
"""Seconds after which to look again while a commit has begun and not ended, as its writer may have died after it, or
while a report to rotations could not be written."""
FLUSH_EVERY = 60.0
"""Seconds after which the reads of a handle that were only counted are put on record."""


class Handles(Protocol):
    """What the watcher asks of whoever owns the handles."""

    def refresh(self, handle: LiveSecret) -> object:
        """Read the secret unless nobody has changed it since it was read."""
        ...

    def follow(self) -> None:
        """Let each handle be read again."""
        ...

    def flush(self) -> None:
        """Log the reads that were only counted."""
        ...

    def report(self) -> bool:
        """Report to rotations what this process holds; False when that must be tried again."""
        ...


class Watcher:
    """Looks whether somebody has committed, and tells the handles that have callbacks."""

    def __init__(self, handles: Handles, store: Store) -> None:
        self._handles = handles
        self._store = store
        self._counters = abilities.shared_counters(store)
        self._notices = abilities.change_notices(store)
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._pid = os.getpid()
        self._watched: list[LiveSecret] = []
        self._numbers: Sequence[int] | None = None
        self._before: object = None
        self._unsettled_until = 0.0
        self._has_reported = True
        self._failed: type[Exception] | None = None
        """What the last look failed with that is no error of strongroom's."""
        self._looked: dict[str, object] = {}
        """Name → the state of the secret for which the handle has been looked at."""

    def watch(self, handle: LiveSecret) -> None:
        """Look at a handle from now on; at all, in case something has changed while nobody was to be told."""
        self._watched.append(handle)
        self._before = None
        self._wake()

    def unwatch(self, handle: LiveSecret) -> None:
        """Look at a handle no more."""
        self._watched.remove(handle)

    def start(self) -> None:
        """Start the thread, unless it runs or has been stopped. Raises `StrongroomError` when there can be no more."""
        if self._thread is None and not self._closed.is_set():
            thread = threading.Thread(target=self._run, name="strongroom-live", daemon=True)
            start(thread)
            self._thread = thread

    def stop(self) -> None:
        """End the thread for good."""
        self._closed.set()
        self._wake()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and self._pid == os.getpid():
            thread.join(timeout=2)

    def after_fork(self) -> None:
        """Start a thread in the child, as the parent's did not come along."""
        closed, self._closed = self._closed.is_set(), threading.Event()
        if closed:
            self._closed.set()
        self._pid, self._before = os.getpid(), None
        if self._thread is not None:
            self._thread = None
            with suppress(StrongroomError):  # the next handle or callback tries again, and tells
                self.start()

    def _run(self) -> None:
        flush_at, pause = monotonic() + FLUSH_EVERY, TICK
        while not self._closed.wait(pause):
            now, used = monotonic(), thread_time()
            try:
                self._wait_for_notice()
                self._look(now)
                if now >= flush_at:
                    flush_at = now + FLUSH_EVERY
                    self._handles.flush()
            except StrongroomError:
                # A store that cannot be read, or an audit log that is full: the reader gets the error, also one whose
                # secret did not change, or a store that was deleted would be read for ever.
                self._before = None
                self._handles.follow()
            except Exception as error:
                # No memory left, or a mistake in a driver: a thread that ended here would leave callbacks untold.
                self._before = None
                if type(error) is not self._failed:
                    self._failed = type(error)
                    secret.report(error)
            else:
                self._failed = None
            pause = min(max(TICK, REST * (thread_time() - used)), LONGEST)

    def _wait_for_notice(self) -> None:
        """Wait until the store tells of a commit, where it does that and nothing else is to be done."""
        if self._notices is not None and self._numbers is None and isinstance(self._before, tuple):
            self._notices.wait(self._before[0], UNSETTLED)

    def _wake(self) -> None:
        if self._notices is not None:
            self._notices.wake()

    def _look(self, now: float) -> None:
        numbers = None if self._counters is None else self._counters.commits()
        if numbers is not self._numbers:
            self._numbers = numbers
            self._handles.follow()
            self._looked.clear()
            self._before = None
        state_now = state_of(self._store)
        done = self._is_settled() and self._has_reported
        if state_now == self._before and (done or now < self._unsettled_until):
            return
        self._before, self._unsettled_until = state_now, now + UNSETTLED
        for handle, state in self._suspects():
            if secret.has_news(handle) or state != self._looked.get(handle.name):
                self._tell(handle, state)
        self._has_reported = self._handles.report()

    def _suspects(self) -> list[tuple[LiveSecret, object]]:
        """Return the watched handles whose secret may have changed, each with what moves when it does."""
        watched = self._watched.copy()
        if self._counters is not None and self._numbers is not None and self._counters.mark(SECRET) is not None:
            return secret.suspects_by_mark(watched)
        if not watched:
            return []
        # One view for all: to read each by itself would ask the operating system for the file each time.
        with self._store.view() as view:
            stored = [_bytes_at(view, SECRET + each.name) for each in watched]
        return secret.suspects_by_record(watched, stored)

    def _is_settled(self) -> bool:
        return self._numbers is None or self._numbers[0] == self._numbers[1]

    def _tell(self, handle: LiveSecret, state: object) -> None:
        # After `state` was taken and before the read: else a commit in between could be taken for looked at.
        settled = self._is_settled()
        # Not every change is a new version, and a record that cannot be read is on record once, not at each commit.
        self._looked.pop(handle.name, None)
        with suppress(SecretNotFoundError, DeniedError, TamperedError):
            self._handles.refresh(handle)
        if settled:
            self._looked[handle.name] = state
        secret.tell(handle)


def state_of(store: Store) -> object:
    """Return what is another after each commit, and when another file was put in a store's place.

    The revision alone does not tell: git may put a file in place that has as many commits as the one before.
    """
    counters = abilities.shared_counters(store)
    numbers = None if counters is None else counters.commits()
    return (abilities.revision(store), store.get(MANIFEST)) if numbers is None else tuple(numbers)


def _bytes_at(view: Reader, path: str) -> bytes | None:
    try:
        return view.get(path)
    except TamperedError:
        return b""  # the same each time, and never what a handle holds
