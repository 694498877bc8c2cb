"""`get_secret` with `sync = "ring"`: a secret that was read before is answered from memory, always current, on record.

What is kept is the value itself, as in a live handle, until somebody commits to the store. The first read of a secret,
and the first after each commit, takes the path of `Access`; so does whatever is not kept: a secret that expires or has
several fields, a version, a field, a store without a shared counter, a policy whose answers may change.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic, time_ns
from typing import Any
from weakref import WeakSet

from strongroom import arguments
from strongroom.access import Access
from strongroom.audit.ring import Ring
from strongroom.audit.ring_file import RECORD
from strongroom.errors import SecretNotFoundError, StrongroomError
from strongroom.manager import SecretsManager, single_value

TICK = 0.1
"""Seconds between two drains."""
LOOK_EVERY = 1.0
"""Seconds between two looks whether the store's counter is still the one that counts."""
COLLECT_EVERY = 10.0
"""Seconds between two looks for rings of processes that are gone, and between two tries to make a ring."""
LARGEST, MOST = 64 * 1024, 64 * 1024 * 1024
"""Bytes of a value, and of all values, that are kept."""
NAMES_OF_A_RING = 1 << 16
_NOTHING: Sequence[int] = (0, 1)
# Without the lock of the interpreter, two threads could write to one place of a ring.
_threads_take_turns = getattr(sys, "_is_gil_enabled", lambda: True)()
_pack = RECORD.pack

Kept = tuple[Any, Sequence[int], int, int, Ring]
"""Value, the store's counter and what it stood at when the value was read, token and ring of the event."""


class HotSecretsManager(SecretsManager):
    """A `SecretsManager` whose `get_secret` costs about ten dictionary look-ups where nothing has changed."""

    def __init__(self, *given: Any, reads: HotReads | None = None, **more: Any) -> None:
        """Made by `strongroom.open()`; `reads` is for managers of the same store that `bind` makes."""
        super().__init__(*given, **more)
        policy = self._access.policy
        self._may_keep = _threads_take_turns and (policy is None or getattr(policy, "is_fixed", False))
        self._reads = reads or HotReads(self._access)
        self._reads.managers.add(self)
        self._seen: set[str] = set()
        self.forget()

    def get_secret(
        self, name: str, default: Any = None, *, version: int | None = None, field: str | None = None
    ) -> Any:
        """See `SecretsManager.get_secret`."""
        try:
            value, cells, begun, token, ring = self._kept[name]
            # Nobody has begun to commit since the value was read, so it is what the store holds now.
            if cells[0] == begun and version is None and field is None:
                now = time_ns()
                write = ring.write  # not a call of `ring.write(…)`: to look for a method costs more
                write(_pack(now, now ^ token))
                return value
        except (KeyError, TypeError):
            pass  # not kept; or no name at all, which is told below
        except ValueError:  # the ring is full, or closed
            if make_room(ring):
                return self.get_secret(name, default)
        if version is None and field is None and type(name) is str and name in self._seen:
            return self._read_and_keep(name, default)
        value = super().get_secret(name, default, version=version, field=field)
        # Most commands and scripts read a secret once: they make no ring.
        if len(self._seen) > NAMES_OF_A_RING:
            self._seen.clear()
        self._seen.add(name)
        return value

    def bind(self, actor: str) -> HotSecretsManager:
        """See `SecretsManager.bind`."""
        access = self._access.bind(arguments.check_actor(actor))
        return HotSecretsManager(
            access.engine, access.audit, access.actor, max_versions=self._max_versions, policy=access.policy,
            connect_rotator=self._connect_rotator, reads=self._reads,
        )  # fmt: skip

    def close(self) -> None:
        """See `SecretsManager.close`."""
        self._reads.close()
        self.forget()
        super().close()

    def forget(self) -> None:
        """Keep nothing of what was read."""
        # A new one: another thread may be about to keep something that is out of date in the one that it has in hand.
        self._kept: dict[str, Kept] = {}
        self._room = MOST

    def _collect(self) -> None:
        self._reads.drain()
        super()._collect()

    def _read_and_keep(self, name: str, default: Any) -> Any:
        # In this order: what is kept under a counter that was given up later is forgotten with it.
        kept, ring = self._kept, self._reads.ring()
        # Taken before the read: a commit in between makes the two differ, and then nothing is kept.
        cells = self._access.engine.store.commits()
        begun, ended = cells or _NOTHING
        try:
            taken = self._access.take_up(name, None)
        except SecretNotFoundError:
            return default
        assert taken is not None, "nothing was held"
        value = single_value(name, taken.data)
        if ring and cells and begun == ended and not taken.expires and self._is_keepable(value):
            with suppress(StrongroomError, OSError):
                kept[name] = value, cells, begun, ring.token(self._access.actor, name, taken.version), ring
        return value

    def _is_keepable(self, value: Any) -> bool:
        """True for a value that nobody can change and that there is room for."""
        if not self._may_keep or type(value) not in (str, bytes) or len(value) > LARGEST:
            return False
        self._room -= 200 + len(value)
        if self._room < 0:
            self.forget()
            return False
        return True


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
