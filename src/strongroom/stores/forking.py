"""What stores do around `fork`: a store registers once and is told before and after."""

from __future__ import annotations

import os
from _thread import allocate_lock
from _weakrefset import WeakSet
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strongroom.stores.forkable import Forkable


_living: WeakSet[Forkable] = WeakSet()
_resting: list[Forkable] = []
# Two threads that fork at once would each wait for the stores that the other has brought to rest.
_one_fork = allocate_lock()


def watch(store: Forkable) -> None:
    """Tell `store` of every fork for as long as it lives."""
    _living.add(store)


def _before() -> None:
    _one_fork.acquire()
    for store in list(_living):
        _resting.append(store)
        store.before_fork()


def _in_parent() -> None:
    for store in _resting:
        store.after_fork_in_parent()
    _resting.clear()
    _one_fork.release()


def _in_child() -> None:
    global _one_fork
    _one_fork = allocate_lock()
    _resting.clear()
    for store in list(_living):
        store.after_fork_in_child()


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
