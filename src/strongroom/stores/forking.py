"""What stores do around `fork`: a store registers once and is told before and after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from threading import Lock, get_ident
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from strongroom.stores.forkable import Forkable


_living: WeakSet[Forkable] = WeakSet()
_resting: list[Forkable] = []
# Two threads that fork at once would each wait for the stores that the other has brought to rest.
_one_fork = Lock()
_forking = 0
"""The thread that holds it."""
LONGEST = 120.0
"""Seconds to wait for another thread's fork."""


def watch(store: Forkable) -> None:
    """Tell `store` of every fork for as long as it lives."""
    _living.add(store)


def _before() -> None:
    global _forking
    # A fork cannot be refused. After one that was not prepared the child refuses to use what it inherited.
    if _one_fork.acquire(timeout=LONGEST):
        _forking = get_ident()
        _resting.extend(_living)
        _tell(store.before_fork for store in _resting)


def _in_parent() -> None:
    global _forking
    if _forking != get_ident():
        return
    try:
        _tell(store.after_fork_in_parent for store in _resting)
    finally:
        _resting.clear()
        _forking = 0
        _one_fork.release()


def _in_child() -> None:
    global _one_fork, _forking
    _one_fork, _forking = Lock(), 0
    _resting.clear()
    _tell([store.after_fork_in_child for store in _living])


def _tell(calls: Iterable[Callable[[], None]]) -> None:
    """Make all the calls, whatever becomes of one of them; raise what the first that failed has raised."""
    failures = []
    for call in calls:
        try:
            call()
        except Exception as error:
            failures.append(error)
    if failures:
        raise failures[0]  # Python prints it, as nobody can catch it here


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
