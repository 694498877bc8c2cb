"""Changes of secrets for asyncio, as an asynchronous iterator.

    async for handle in changes(secrets.secret("API_TOKEN")):
        await reconnect(handle.value)

Nothing else here needs an `async` form, see docs/design.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret


async def changes(*handles: LiveSecret) -> AsyncIterator[LiveSecret]:
    """Yield a live handle after each change of its secret, within 100 ms, on the event loop that runs now.

    What was changed since anybody in this process read its value last is told first. Changes of one secret during the
    body of the loop are told once. A child of `fork` is told nothing: the loop is its parent's.
    """
    loop, pid = asyncio.get_running_loop(), os.getpid()
    changed: dict[LiveSecret, None] = {}
    told = asyncio.Event()

    def note(handle: LiveSecret) -> None:
        changed[handle] = None
        told.set()

    def tell(handle: LiveSecret) -> None:
        # In the thread of live handles. A loop that was closed without this iterator has nobody to tell.
        if os.getpid() == pid and not loop.is_closed():
            loop.call_soon_threadsafe(note, handle)

    for handle in handles:
        handle.on_change(tell)
    try:
        while True:
            await told.wait()
            told.clear()
            while changed:
                handle = next(iter(changed))
                del changed[handle]
                yield handle
    finally:
        for handle in handles:
            handle.off_change(tell)
