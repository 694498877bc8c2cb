"""The thread that calls the callbacks of live handles.

After a commit it asks nobody about secrets that were not changed: with a store that has marks, a look at a handle is
a memory read; with others, a comparison of the stored bytes in one view. Whether a change is authentic, and whether it
is a new version, is decided by reading the secret. Commits in quick succession are looked at together.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from strongroom.errors import DeniedError, SecretNotFoundError, StrongroomError, TamperedError
from strongroom.live_secret import Callback, LiveSecret
from strongroom.model import SECRET
from strongroom.protocols import Reader, Store

if TYPE_CHECKING:
    from strongroom.live import Live

TICK = 0.025
"""Seconds between two looks at the counter of commits, for callbacks; a look is a memory read."""
LONGEST = 0.05
"""Seconds of the longest pause between two looks."""
REST = 4
"""A look is followed by a pause of this many times what it took, so that many commits do not keep a core busy."""
UNSETTLED = 1.0
"""Seconds after which to look again while a commit has begun and not ended: its writer may have died after it."""
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
        self._numbers: Sequence[int] | None = None
        self._before: object = None
        self._unsettled_until = 0.0
        self._looked: dict[str, object] = {}
        """Name → the state of the secret for which the handle has been looked at."""

    def start(self) -> None:
        """Start the thread, unless it runs or has been stopped."""
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="strongroom-live", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread for good."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and self._pid == os.getpid():
            thread.join(timeout=2)

    def look_again(self) -> None:
        """Look at every handle although nobody has committed."""
        self._before = None

    def after_fork(self) -> None:
        """Start a thread in the child, as the parent's did not come along."""
        closed, self._closed = self._closed.is_set(), threading.Event()
        if closed:
            self._closed.set()
        self._pid, self._before = os.getpid(), None
        if self._thread is not None:
            self._thread = None
            self.start()

    def _run(self) -> None:
        flush_at, pause = monotonic() + FLUSH_EVERY, TICK
        while not self._closed.wait(pause):
            begun = monotonic()
            try:
                self._look(begun)
                if begun >= flush_at:
                    flush_at = begun + FLUSH_EVERY
                    self._live.flush()
            except StrongroomError:
                # A store that cannot be read for a while, or an audit log that is full: the reader gets the error.
                self.look_again()
            pause = min(max(TICK, REST * (monotonic() - begun)), LONGEST)

    def _look(self, now: float) -> None:
        numbers = self._store.commits()
        if numbers is not self._numbers:
            self._numbers = numbers
            self._live.follow()
            self._looked.clear()
            self.look_again()
        stamp: object = self._store.revision() if numbers is None else tuple(numbers)
        if stamp == self._before and (self._is_settled() or now < self._unsettled_until):
            return
        self._before, self._unsettled_until = stamp, now + UNSETTLED
        for handle, state, known in self._states([*self._live.handles.values()]):
            if handle.version != handle.seen or state not in (known, self._looked.get(handle.name)):
                self._tell(handle, state)
        self._live.report()

    def _states(self, handles: list[LiveSecret]) -> Iterator[tuple[LiveSecret, object, object]]:
        """Yield what moves when a watched secret may have changed, and what it was when the handle took it up."""
        watched = [handle for handle in handles if handle._callbacks]
        if self._numbers is not None and self._store.mark(SECRET) is not None:
            yield from ((handle, handle._mark[0], handle._marked) for handle in watched)
        elif watched:
            # One view for all: to read each by itself would ask the operating system for the file each time.
            with self._store.view() as view:
                states = [_bytes_at(view, SECRET + handle.name) for handle in watched]
            yield from ((handle, state, handle._stored) for handle, state in zip(watched, states, strict=True))

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
        if handle.version != handle.seen:
            handle.seen = handle.version
            for callback in list(handle._callbacks):
                _call(callback, handle)


def _bytes_at(view: Reader, path: str) -> bytes | None:
    try:
        return view.get(path)
    except TamperedError:
        return b""  # the same each time, and never what a handle holds


def _call(callback: Callback, handle: LiveSecret) -> None:
    try:
        callback(handle)
    except Exception as error:
        hook = threading.excepthook
        hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))
