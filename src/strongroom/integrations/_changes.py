"""Tells an object of a library that a secret has changed."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from strongroom import InvalidInputError

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret


def call_on_change(handle: LiveSecret, target: object, method: Callable[[Any], Any]) -> None:
    """Call `method(target)` after each change, for as long as somebody else holds `target`, if Python can tell.

    A coroutine function runs on the event loop that runs now; any other is called in a background thread.

    Raises `InvalidInputError` for a coroutine function when no event loop runs.
    """
    loop = _running_loop() if iscoroutinefunction(method) else None
    held = _hold(target)

    def changed(_: LiveSecret) -> None:
        alive = held()
        if alive is None:
            return
        if loop is None:
            method(alive)
        elif not loop.is_closed():
            asyncio.run_coroutine_threadsafe(method(alive), loop)

    handle.on_change(changed)


def _hold(target: object) -> Callable[[], object]:
    try:
        return weakref.ref(target)
    except TypeError:
        # asyncpg's pools take no weak references; they live as long as the program anyway.
        return lambda: target


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise InvalidInputError("an asynchronous pool is told of changes on its event loop: call this there") from None
