"""The ring of a process, and the thread that drains it: for `strongroom.hot`."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakSet

from strongroom.access import Access
from strongroom.audit.ring import Ring
from strongroom.errors import StrongroomError

if TYPE_CHECKING:
    from strongroom.hot import HotSecretsManager

TICK = 0.1
"""Seconds between two drains."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the store's counter is still the one that counts."""
COLLECT_EVERY = 10.0
"""Seconds between two looks for rings of processes that are gone, and between two tries to make a ring."""
NAMES_OF_A_RING = 1 << 16
"""A ring with as many tokens makes way for a new one."""


def make_room(ring: Ring) -> bool:
    """Drain a full ring; False when that cannot be: then the caller's event goes into the log itself, or nowhere."""
    try:
        ring.make_room()
    except (StrongroomError, OSError, ValueError):
        return False
    return True


class HotReads:
    """The ring of a store's audit log in this process, and the thread that drains it. Shared by bound managers."""

    def __init__(self, access: Access) -> None:
        self.managers: WeakSet[HotSecretsManager] = WeakSet()
        self._access = access
        self._ring: Ring | None = None
        self._try_at = 0.0
        self._stamp: tuple[Sequence[int] | None, int] | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        _all.add(self)

    def ring(self) -> Ring | None:
        """Return the ring, made when it is first needed; None when there can be none (no room, no right) or no more."""
        ring = self._ring
        if ring is not None and ring.names < NAMES_OF_A_RING:
            return ring
        with self._lock:
            if self._ring is not None and self._ring.names >= NAMES_OF_A_RING:
                self._let_go()
            if self._ring is None and not self._closed.is_set() and monotonic() >= self._try_at:
                self._try_at = monotonic() + COLLECT_EVERY
                with suppress(OSError, ValueError):
                    self._ring = Ring(self._access.audit, self._access.audit.sink.rings)  # type: ignore[attr-defined]
                    self._try_at = 0.0
                    self._look()
                    self._start()
            return self._ring

    def drain(self) -> None:
        """Write all events to the log; raises `AuditError`."""
        ring = self._ring
        if ring is not None:
            with suppress(OSError, ValueError):
                ring.drain()

    def close(self) -> None:
        """Drain and remove the ring. What cannot be written now is left to the next process that opens the log."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=2)
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        ring, self._ring = self._ring, None
        if ring is not None:
            with suppress(StrongroomError, OSError):
                ring.close()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="strongroom-ring", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        look_at, collect_at = monotonic() + LOOK_EVERY, 0.0
        try:
            while not self._closed.wait(TICK):
                with suppress(StrongroomError, OSError):
                    self.drain()
                    if monotonic() >= look_at:
                        look_at = monotonic() + LOOK_EVERY
                        self._look()
                    if monotonic() >= collect_at:
                        collect_at = monotonic() + COLLECT_EVERY
                        self._access.audit.collect(only_dead=True)
        finally:
            # Without this thread nobody would notice that the counter has moved to another file: no ring any more.
            self._closed.set()
            with self._lock:
                self._let_go()

    def _look(self) -> None:
        """Forget what was read when the counter lies in another file now, or the store was changed without it."""
        store = self._access.engine.store
        cells = store.commits()
        stamp = cells, 0 if cells is None else cells[0] - store.revision()
        before, self._stamp = self._stamp, stamp
        if before is not None and (stamp[0] is not before[0] or stamp[1] != before[1]):
            self._forget()
        if self._access.audit.checkpoint_due:
            self._access.checkpoint()

    def _forget(self) -> None:
        for manager in list(self.managers):
            manager.forget()

    def _after_fork(self) -> None:
        # The thread did not come along, and what is in the ring is the parent's to record.
        closed, self._closed, self._lock = self._closed.is_set(), threading.Event(), threading.Lock()
        if closed:
            self._closed.set()
        ring, self._ring, self._thread, self._try_at = self._ring, None, None, 0.0
        if ring is not None:
            ring.abandon()


_all: WeakSet[HotReads] = WeakSet()


def _in_child() -> None:
    for reads in list(_all):
        reads._after_fork()


def _at_exit() -> None:
    for reads in list(_all):
        reads.close()


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
