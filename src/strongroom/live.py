"""Live handles: a secret whose value is always the current one, without a call to the store while nothing changes."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from strongroom.access import Access
from strongroom.data import decode_value
from strongroom.errors import DeniedError, SecretNotFoundError, StrongroomError, TamperedError
from strongroom.model import ROTATION
from strongroom.secret import STARS

if TYPE_CHECKING:
    from strongroom.rotation.reporting import Reporter

TICK = 0.025
"""Seconds between two looks at the counter of commits, for callbacks; a look is a memory read."""
FLUSH_EVERY = 60.0
"""Seconds after which the reads of a handle that were only counted are put on record."""
Callback = Callable[["LiveSecret"], None]
_NOTHING: Sequence[int] = (0, 1)


class LiveSecret:
    """One secret, always current. `str(handle)` and `handle()` are its value; its repr is not.

    `value` costs about five dictionary look-ups while nobody commits to the store. A version is on record (GET) when
    this process takes it up; further reads are counted, and put on record once a minute and at exit.

    Usable from threads, from asyncio (nothing here blocks for longer than a read of the store) and after `fork`.
    """

    __slots__ = ("__weakref__", "_begun", "_callbacks", "_cells", "_counted", "_live", "_reads", "_stored", "_value",
                 "name", "seen", "version")  # fmt: skip

    def __init__(self, live: Live, name: str) -> None:
        """Made by `SecretsManager.secret`."""
        self._live = live
        self.name = name
        self.version = 0
        """The number of the version that `value` returned last."""
        self._value: Any = None
        self._stored: bytes | None = None
        self._cells, self._begun = _NOTHING, -1
        self._reads = self._counted = 0
        self._callbacks: list[Callback] = []
        self.seen = 0
        """The version that callbacks were last called for."""

    def __repr__(self) -> str:
        return f"LiveSecret({self.name!r}, version {self.version}, {STARS})"

    def __str__(self) -> str:
        return str(self.value)

    def __call__(self) -> Any:
        """Return the value: many libraries take a callable where a password is asked for."""
        return self.value

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("a LiveSecret cannot be pickled: pass its name, and open the store in the other process")

    @property
    def value(self) -> Any:
        """The current value: `str`, `bytes`, or a mapping of fields.

        Raises `SecretNotFoundError` when there is none, and what `SecretsManager.get_secret` raises.
        """
        if self._cells[0] == self._begun:
            self._reads += 1
            return self._value
        return self._live.refresh(self)

    @property
    def stage(self) -> str:
        """The stage of the version that `value` returns: always `current`."""
        return "current"

    def on_change(self, callback: Callback) -> Callback:
        """Call `callback(handle)` in a background thread for each new version, within 100 ms of the change.

        Returns the callback, so that this can be a decorator. One that raises is reported through
        `threading.excepthook`, and called again for the next version.
        """
        self._live.watch(self, callback)
        return callback


class Live:
    """The live handles of one manager, and the thread that calls their callbacks."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._handles: dict[str, LiveSecret] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._pid = os.getpid()
        self._reporter: Reporter | None = None
        self._before: object = None
        _all.add(self)

    def handle(self, name: str) -> LiveSecret:
        """Return the handle of a secret: one for each name. Raises what reading it raises."""
        with self._lock:
            handle = self._handles.get(name)
            if handle is None:
                handle = LiveSecret(self, name)
                self.refresh(handle)
                handle.seen = handle.version
                self._handles[name] = handle
            self._start()
        self._report(name)
        return handle

    def refresh(self, handle: LiveSecret) -> Any:
        """Read the secret unless nobody has committed since it was read; return its value."""
        with self._lock:
            cells = self._access.engine.store.commits()
            # Taken before the read: a commit in between makes the two differ, and the next call reads again.
            begun, ended = cells if cells is not None else _NOTHING
            handle._cells, handle._begun = _NOTHING, -1
            taken = self._access.take_up(handle.name, handle._stored)
            if taken is None:
                handle._reads += 1
            else:
                handle._value, handle.version = decode_value(taken.data), taken.version
                # One that expires is taken up anew by each read, because no commit says when it does.
                handle._stored = None if taken.expires else taken.stored
            if cells is not None and begun == ended and handle._stored is not None:
                handle._cells, handle._begun = cells, begun
            return handle._value

    def watch(self, handle: LiveSecret, callback: Callback) -> None:
        """Add a callback."""
        with self._lock:
            if not handle._callbacks:
                handle.seen = handle.version
            handle._callbacks.append(callback)
            # A change since `value` was read last may have gone by while nobody was to be told.
            self._before = None
            self._start()

    def close(self) -> None:
        """End the thread, and put the counted reads on record."""
        self._closed.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and self._pid == os.getpid():
            thread.join(timeout=2)
        self.flush()
        self.withdraw()

    def flush(self) -> None:
        """Put the reads that were only counted on record."""
        for handle in list(self._handles.values()):
            count, handle._counted = handle._reads - handle._counted, handle._reads
            if count:
                self._access.counted(handle.name, handle.version, count)

    def withdraw(self) -> None:
        """Tell rotations that this process holds nothing any more."""
        reporter, self._reporter = self._reporter, None
        if reporter is not None:
            reporter.withdraw()

    def _report(self, name: str = "") -> None:
        """Report to rotations what this process holds; costs one look into the store where there are none."""
        if self._access.engine.store.scan(ROTATION + name, limit=1):
            from strongroom.rotation.reporting import Reporter

            # One for all threads: the report of a second one would never be renewed, and this process seem to lag.
            with self._lock:
                reporter = self._reporter = self._reporter or Reporter(self._access, self.refresh)
            reporter.report(self._handles)

    def _start(self) -> None:
        if self._thread is None and not self._closed.is_set():
            self._thread = threading.Thread(target=self._run, name="strongroom-live", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        flush_at = monotonic() + FLUSH_EVERY
        while not self._closed.wait(TICK):
            try:
                now = self._stamp()
                if now != self._before:
                    self._before = now
                    self._notify()
                    self._report()
                if monotonic() >= flush_at:
                    flush_at = monotonic() + FLUSH_EVERY
                    self.flush()
            except StrongroomError:
                # A store that cannot be read for a while, or an audit log that is full: the reader gets the error.
                self._before = None

    def _stamp(self) -> object:
        store = self._access.engine.store
        cells = store.commits()
        return store.revision() if cells is None else tuple(cells)

    def _notify(self) -> None:
        for handle in list(self._handles.values()):
            if not handle._callbacks:
                # The counter may have gone on in another file: the next read follows it there.
                handle._begun = -1
                continue
            try:
                self.refresh(handle)
            except (SecretNotFoundError, DeniedError, TamperedError):
                # On record, and for whoever reads it. The handles after this one must be told all the same.
                continue
            if handle.version != handle.seen:
                handle.seen = handle.version
                for callback in list(handle._callbacks):
                    _call(callback, handle)

    def _after_fork(self) -> None:
        # The thread did not come along, and the reads that the parent counted are the parent's to record.
        closed, self._closed = self._closed.is_set(), threading.Event()
        if closed:
            self._closed.set()
        self._lock, self._pid = threading.RLock(), os.getpid()
        self._reporter, self._before = None, None
        for handle in self._handles.values():
            handle._counted = handle._reads
        if self._thread is not None:
            self._thread = None
            self._start()


def _call(callback: Callback, handle: LiveSecret) -> None:
    try:
        callback(handle)
    except Exception as error:
        hook = threading.excepthook
        hook(threading.ExceptHookArgs((type(error), error, error.__traceback__, threading.current_thread())))


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
