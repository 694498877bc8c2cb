"""A pool is told of a change where it lives, and not kept alive for it."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from strongroom.errors import InvalidInputError
from strongroom.integrations._changes import call_on_change


class Handle:
    """A live handle whose changes the test makes."""

    def on_change(self, callback):
        self.change = lambda: callback(self)


class Pool:
    def __init__(self):
        self.told = []

    def drop(self):
        self.told.append(threading.current_thread())

    async def drop_soon(self):
        self.told.append(asyncio.get_running_loop())


def test_a_pool_that_is_gone_is_not_told():
    handle, pool, told = Handle(), Pool(), []
    call_on_change(handle, pool, lambda alive: told.append(alive))
    handle.change()
    assert told == [pool]
    told.clear()
    del pool
    gc.collect()
    handle.change()
    assert told == []


def test_a_pool_that_takes_no_weak_references_is_told_all_the_same():
    handle, pool, told = Handle(), [], []
    call_on_change(handle, pool, lambda alive: told.append(alive))
    handle.change()
    assert told[0] is pool


def test_a_coroutine_runs_on_the_loop_of_the_pool_until_that_is_closed():
    handle, pool = Handle(), Pool()

    async def work():
        call_on_change(handle, pool, Pool.drop_soon)
        thread = threading.Thread(target=handle.change)
        thread.start()
        while not pool.told:
            await asyncio.sleep(0.001)
        thread.join()
        return asyncio.get_running_loop()

    loop = asyncio.run(work())
    assert pool.told == [loop]
    handle.change()
    assert pool.told == [loop]


def test_a_coroutine_without_a_loop_is_refused():
    with pytest.raises(InvalidInputError, match="on its event loop"):
        call_on_change(Handle(), Pool(), Pool.drop_soon)
