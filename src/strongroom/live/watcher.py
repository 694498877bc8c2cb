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
from typing import TYPE_CHECKING

from strongroom.errors import DeniedError, SecretNotFoundError, StrongroomError, TamperedError
from strongroom.live.secret import Callback, LiveSecret
from strongroom.model import MANIFEST, SECRET
from strongroom.protocols import Reader, Store
from strongroom.system.threads import start

if TYPE_CHECKING:
    from strongroom.live.live import Live

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


class Watcher:
    """Looks whether somebody has committed, and tells the handles that have callbacks."""

    def __init__(self, live: Live, store: Store) -> None:
        self._live = live
        self._store = store
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
                self._look(now)
                if now >= flush_at:
                    flush_at = now + FLUSH_EVERY
                    self._live.flush()
            except StrongroomError:
                # A store that cannot be read, or an audit log that is full: the reader gets the error, also one whose
                # secret did not change, or a store that was deleted would be read for ever.
                self._before = None
                self._live.follow()
            except Exception as error:
                # No memory left, or a mistake in a driver: a thread that ended here would leave callbacks untold.
                self._before = None
                if type(error) is not self._failed:
                    self._failed = type(error)
                    _report(error)
            else:
                self._failed = None
            pause = min(max(TICK, REST * (thread_time() - used)), LONGEST)

    def _look(self, now: float) -> None:
        numbers = self._store.commits()
        if numbers is not self._numbers:
            self._numbers = numbers
            self._live.follow()
            self._looked.clear()
            self._before = None
        state_now = state_of(self._store)
        done = self._is_settled() and self._has_reported
        if state_now == self._before and (done or now < self._unsettled_until):
            return
        self._before, self._unsettled_until = state_now, now + UNSETTLED
        for handle, state in self._suspects():
            if handle._news != handle._told or state != self._looked.get(handle.name):
                self._tell(handle, state)
        self._has_reported = self._live.report()

    def _suspects(self) -> list[tuple[LiveSecret, object]]:
        """Return the watched handles whose secret may have changed, each with what moves when it does."""
        watched = self._watched.copy()
        if self._numbers is not None and self._store.mark(SECRET) is not None:
            return [
                (each, each._mark[0]) for each in watched if each._mark[0] != each._marked or each._news != each._told
            ]
        if not watched:
            return []
        # One view for all: to read each by itself would ask the operating system for the file each time.
        with self._store.view() as view:
            states = [_bytes_at(view, SECRET + each.name) for each in watched]
        return [
            (each, state)
            for each, state in zip(watched, states, strict=True)
            if state != each._stored or each._news != each._told
        ]

    def _is_settled(self) -> bool:
        return self._numbers is None or self._numbers[0] == self._numbers[1]

    def _tell(self, handle: LiveSecret, state: object) -> None:
        # After `state` was taken and before the read: else a commit in between could be taken for looked at.
        settled = self._is_settled()
        # Not every change is a new version, and a record that cannot be read is on record once, not at each commit.
        self._looked.pop(handle.name, None)
        with suppress(SecretNotFoundError, DeniedError, TamperedError):
            self._live.refresh(handle)
        if settled:
            self._looked[handle.name] = state
        news = handle._news
        if news != handle._told:
            seen = handle.seen = handle.version
            handle._told = news
            told = [_call(callback, handle) for callback, known in list(handle._callbacks) if news != known]
            if all(told):
                handle._heard = seen


def state_of(store: Store) -> object:
    """Return what is another after each commit, and when another file was put in a store's place.

    The revision alone does not tell: git may put a file in place that has as many commits as the one before.
    """
    numbers = store.commits()
    return (store.revision(), store.get(MANIFEST)) if numbers is None else tuple(numbers)


def _bytes_at(view: Reader, path: str) -> bytes | None:
    try:
        return view.get(path)
    except TamperedError:
        return b""  # the same each time, and never what a handle holds


def _call(callback: Callback, handle: LiveSecret) -> bool:
    """Return False when the callback raised, which is reported: then the program has not switched."""
    try:
        callback(handle)
        return True
    except Exception as error:
        _report(error)
        return False


def _report(error: Exception) -> None:
    hook = threading.excepthook
    hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))
