"""Live handles under asyncio: reads never wait, changes come to the event loop, and iterators leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from contextlib import aclosing

import pytest

from strongroom.aio import changes


@pytest.fixture(params=["sqlite", "file", "memory"])
def manager(request, make_manager):
    manager = make_manager(request.param)
    manager.set_secret("A", "1")
    manager.set_secret("B", "1")
    return manager


def within(seconds, main):
    """Run a coroutine function on a loop of its own."""

    async def bounded():
        return await asyncio.wait_for(main(), seconds)

    return asyncio.run(bounded())


def callbacks(manager):
    handles = manager._shared.live(manager._access).handles.values()
    return [callback for handle in handles for callback in handle._callbacks]


def test_each_change_is_told_on_the_loop(manager):
    async def main():
        told = []
        async with aclosing(changes(manager.secret("A"), manager.secret("B"))) as stream:
            asyncio.get_running_loop().call_later(0.05, manager.set_secret, "A", "2")
            async for handle in stream:
                told.append((handle.name, handle.value, threading.current_thread() is threading.main_thread()))
                if handle.name == "B":
                    break
                await asyncio.to_thread(manager.set_secret, "B", "2")
        return told

    assert within(10, main) == [("A", "2", True), ("B", "2", True)]
    assert callbacks(manager) == []


def test_a_change_between_the_last_read_and_the_loop_is_told(manager):
    async def main():
        handle = manager.secret("A")
        assert handle.value == "1"
        manager.set_secret("A", "2")
        return (await anext(changes(handle))).value

    assert within(10, main) == "2"


def test_changes_while_the_body_runs_are_told_once(manager):
    async def main():
        told, handle = [], manager.secret("A")
        manager.set_secret("A", "2")
        async for changed in changes(handle):
            told.append(changed.value)
            if told[-1] == "9":
                break
            for number in range(3, 10):
                await asyncio.to_thread(manager.set_secret, "A", str(number))
                await asyncio.sleep(0.03)
        return told

    told = within(10, main)
    assert (told[0], told[-1]) == ("2", "9")
    assert len(told) <= 3


def test_a_cancelled_task_leaves_no_callback(manager):
    async def follow(handle):
        async for _ in changes(handle):
            pass

    async def main():
        task = asyncio.create_task(follow(manager.secret("A")))
        while not callbacks(manager):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    within(10, main)
    assert callbacks(manager) == []


def test_a_loop_that_is_gone_is_told_nothing(manager, monkeypatch):
    reported = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))
    handle, done = manager.secret("A"), threading.Event()

    async def main():
        stream = changes(handle)
        step = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        return stream, step

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # its task is destroyed while it waits: that is meant
    kept = loop.run_until_complete(main())
    loop.close()
    handle.on_change(lambda changed: done.set())
    manager.set_secret("A", "2")
    assert done.wait(10)
    assert reported == []
    del kept


FORKS = """
import asyncio, os, sys, strongroom
from strongroom.aio import changes

secrets = strongroom.init(sys.argv[1], audit="memory:")
secrets.set_secret("A", "1")
handle = secrets.secret("A")

async def parent():
    stream = changes(handle)
    first = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    child = os.fork()
    if not child:
        # The loop that came along is its parent's; the child starts one of its own.
        asyncio._set_running_loop(None)
        secrets.set_secret("A", "2")
        handle.value
        os._exit(0 if follow() == "3" else 1)
    changed = await asyncio.wait_for(first, 10)
    seen = changed.value
    await stream.aclose()
    for _ in range(200):
        await asyncio.sleep(0.01)
        if os.path.exists(sys.argv[2]):
            break
    await asyncio.to_thread(secrets.set_secret, "A", "3")
    status = await asyncio.to_thread(os.waitpid, child, 0)
    print(seen, status[1])

def follow():
    async def main():
        asyncio.get_running_loop().call_soon(lambda: open(sys.argv[2], "w").close())
        async for changed in changes(handle):
            if changed.value == "3":
                return changed.value
    return asyncio.run(asyncio.wait_for(main(), 10))

asyncio.run(parent())
"""


@pytest.mark.usefixtures("master_key")
def test_parent_and_child_each_follow_changes_on_a_loop_of_their_own(tmp_path):
    command = [sys.executable, "-c", FORKS, f"sqlite:{tmp_path}/secrets.db", f"{tmp_path}/ready"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)
    assert (done.stdout, done.returncode) == ("2 0\n", 0), done.stderr
