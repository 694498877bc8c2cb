"""The thread that calls the callbacks of live handles."""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING

from strongroom.errors import DeniedError, SecretNotFoundError, StrongroomError, TamperedError
from strongroom.live_secret import Callback, LiveSecret
from strongroom.protocols import Store

if TYPE_CHECKING:
    from strongroom.live import Live

TICK = 0.025
"""Seconds between two looks at the counter of commits, for callbacks; a look is a memory read."""
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
        self._before: object = None

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
        flush_at = monotonic() + FLUSH_EVERY
        while not self._closed.wait(TICK):
            try:
                now = self._stamp()
                if now != self._before:
                    self._before = now
                    self._notify()
                    self._live.report()
                if monotonic() >= flush_at:
                    flush_at = monotonic() + FLUSH_EVERY
                    self._live.flush()
            except StrongroomError:
                # A store that cannot be read for a while, or an audit log that is full: the reader gets the error.
                self._before = None

    def _stamp(self) -> object:
        cells = self._store.commits()
        return self._store.revision() if cells is None else tuple(cells)

    def _notify(self) -> None:
        for handle in list(self._live.handles.values()):
            if not handle._callbacks:
                # The counter may have gone on in another file: the next read follows it there.
                handle._begun = -1
                continue
            try:
                self._live.refresh(handle)
            except (SecretNotFoundError, DeniedError, TamperedError):
                # On record, and for whoever reads it. The handles after this one must be told all the same.
                continue
            if handle.version != handle.seen:
                handle.seen = handle.version
                for callback in list(handle._callbacks):
                    _call(callback, handle)


def _call(callback: Callback, handle: LiveSecret) -> None:
    try:
        callback(handle)
    except Exception as error:
        hook = threading.excepthook
        hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))
