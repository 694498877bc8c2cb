"""Live handles: a secret whose value is always the current one, without a call to the store while nothing changes."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING
from weakref import WeakSet

from strongroom import abilities
from strongroom.access.access import Access
from strongroom.errors import StrongroomError
from strongroom.live import secret
from strongroom.live.secret import NOTHING, Callback, LiveSecret
from strongroom.live.watcher import Watcher
from strongroom.model import ROTATION, SECRET
from strongroom.system.frames import methods_leave_no_values
from strongroom.system.lazily import importing

if TYPE_CHECKING:
    from strongroom.rotation.previous import Previous
    from strongroom.rotation.reporting import Reporter

__all__ = ["Live", "LiveSecret"]


@methods_leave_no_values
class Live:
    """The live handles of one manager, and what was read through them."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._counters = abilities.shared_counters(access.engine.store)
        self.handles: dict[str, LiveSecret] = {}
        self._lock = threading.RLock()
        self._previous: dict[str, Previous] = {}
        self._reporter: Reporter | None = None
        self._watcher = Watcher(self, access.engine.store)
        _all.add(self)

    def handle(self, name: str) -> LiveSecret:
        """Return the handle of a secret: one for each name.

        Raises what reading it raises, and `StrongroomError` when the thread that looks for changes cannot be started.
        """
        with self._lock:
            handle = self.handles.get(name)
            if handle is None:
                handle = LiveSecret(self, name)
                self.refresh(handle)
                handle.seen = handle.version
            self._watcher.start()
            self.handles[name] = handle
        self.report(name)
        return handle

    def refresh(self, handle: LiveSecret, *, asked: bool = False) -> bytes:
        """Read the secret unless nobody has changed it since it was read; return its encoded data.

        Somebody who `asked` is counted; a look for callbacks is no read, unless it takes a version up.
        """
        with self._lock:
            mark, marked = self._marks(handle.name)
            taken = self._access.take_up(handle.name, secret.begin_read(handle, mark))
            return secret.end_read(handle, taken, marked, asked=asked)

    def _marks(self, name: str) -> tuple[Sequence[int], int]:
        """Return the store's mark of a secret, and what it shows; -1 when what is read now must be read again.

        To be called before the read: a commit in between then makes the two differ, and the next call reads again.
        """
        numbers = None if self._counters is None else self._counters.commits()
        if self._counters is None or numbers is None:
            return NOTHING, -1
        mark = self._counters.mark(SECRET + name) or numbers
        marked = mark[0]
        begun, ended = numbers
        return mark, marked if begun == ended else -1

    def accepted(self, handle: LiveSecret, grace: float | None) -> list[bytes]:
        """Return the encoded data for `LiveSecret.accepted`."""
        with importing:
            from strongroom.rotation.previous import take_up

        with self._lock:
            data = self.refresh(handle, asked=True)
            previous = take_up(self._access, handle.name, handle.version, self._previous.get(handle.name))
            self._previous[handle.name] = previous
        return [data, *previous.data(grace)]

    def follow(self) -> None:
        """Let each handle be read again: the store's numbers go on at another place."""
        with self._lock:
            for handle in self.handles.values():
                secret.make_stale(handle)

    def watch(self, handle: LiveSecret, callback: Callback) -> None:
        """Add a callback. Raises `StrongroomError` when there is no thread to call it, and none can be started."""
        with self._lock:
            self._watcher.start()
            if secret.add_callback(handle, callback):
                self._watcher.watch(handle)

    def unwatch(self, handle: LiveSecret, callback: Callback) -> None:
        """Remove a callback."""
        with self._lock:
            if secret.remove_callback(handle, callback):
                self._watcher.unwatch(handle)

    def close(self) -> None:
        """End the thread, and put the counted reads on record."""
        self._watcher.stop()
        self.flush()
        self.withdraw()

    def flush(self) -> None:
        """Put the reads that were only counted on record."""
        for handle in list(self.handles.values()):
            if count := secret.take_uncounted(handle):
                self._access.counted(handle.name, handle.version, count)

    def withdraw(self) -> None:
        """Tell rotations that this process holds nothing any more."""
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.withdraw()

    def report(self, name: str = "") -> bool:
        """Report to rotations what this process holds; False when that could not be written.

        Costs one look into the store where there are no rotations.
        """
        if self._access.engine.store.scan(ROTATION + name, limit=1):
            # One for the process: what a second one had said, nobody would take back.
            with self._lock:
                if self._reporter is None:
                    self._reporter = self._make_reporter()
                reporter = self._reporter
            return reporter is None or reporter.report(self.handles)
        return True

    def _make_reporter(self) -> Reporter | None:
        with importing:
            from strongroom.rotation.reporting import Reporter

        reports = abilities.reports(self._access.engine.store)
        return None if reports is None else Reporter(self._access, reports, self.refresh)

    def _after_fork(self) -> None:
        # The reads that the parent counted are the parent's to record.
        self._lock, self._reporter = threading.RLock(), None
        for handle in self.handles.values():
            secret.take_uncounted(handle)
        self._watcher.after_fork()


_all: WeakSet[Live] = WeakSet()


def _in_child() -> None:
    for live in list(_all):
        live._after_fork()


def _at_exit() -> None:
    for live in list(_all):
        try:
            live.flush()
            live.withdraw()
        except StrongroomError:
            continue


os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
