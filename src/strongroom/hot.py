"""`get_secret` with `sync = "ring"`: a secret that was read before is answered from memory, always current, on record.

What is kept is the value itself, as in a live handle, until somebody commits to the store. The first read of a secret,
and the first after each commit, takes the path of `Access`; so does whatever is not kept: a secret that expires or has
several fields, a version, a field, a store without a shared counter, a policy whose answers may change.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from time import time_ns
from typing import Any

from strongroom import arguments
from strongroom.audit.ring import Ring
from strongroom.audit.ring_file import RECORD
from strongroom.errors import SecretNotFoundError, StrongroomError
from strongroom.frames import leaves_no_values
from strongroom.hot_ring import HotReads, make_room
from strongroom.manager import SecretsManager, single_value

LARGEST, MOST = 64 * 1024, 64 * 1024 * 1024
"""Bytes of a value, and of all values, that are kept."""
MOST_NAMES = 1 << 17
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
        value = None  # one that is kept no more
        if version is None and field is None and type(name) is str and name in self._seen:
            return self._read_and_keep(name, default)
        value = super().get_secret(name, default, version=version, field=field)
        # Most commands and scripts read a secret once: they make no ring.
        if len(self._seen) > MOST_NAMES:
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

    @leaves_no_values
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
