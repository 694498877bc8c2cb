"""Frames where exceptions go other ways: threads, tasks, live handles, callers with exceptions of their own."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
import threading
import time

import pytest

from campaign.canary import CANARY
from strongroom import exchange
from strongroom.errors import (
    ConflictError,
    StrongroomError,
    TamperedError,
)
from strongroom.exchange import fernet_json
from strongroom.integrations.retry import with_refresh_async
from strongroom.model import SECRET
from strongroom.system.frames import leaves_no_values

from .hidden import Setting


@pytest.fixture
def setting(master_key):
    setting = Setting(master_key)
    yield setting
    setting.secrets.close()


def test_a_live_handle_shows_nothing_when_its_secret_is_damaged(setting, plant):
    handle = setting.secrets.secret("A")
    assert handle.accepted()[0] == handle.value
    stored = setting.secrets._access.engine.store.get(SECRET + "A")
    plant(setting.secrets, SECRET + "A", stored[:-1] + bytes([stored[-1] ^ 1]))
    for read in (lambda: handle.value, handle, handle.accepted, lambda: str(handle)):
        with pytest.raises(TamperedError) as caught:
            read()
        setting.check(caught.value)


def test_the_thread_of_live_handles_shows_nothing(setting, monkeypatch):
    heard = []
    monkeypatch.setattr(threading, "excepthook", heard.append)
    handle = setting.secrets.secret("A")

    def callback(handle):
        raise ValueError("in a callback")

    handle.on_change(callback)
    setting.secrets.set_secret("A", CANARY + "4")
    wait_for(lambda: heard)
    access = type(setting.secrets._access)
    take_up = access.take_up

    def no_memory(*given):
        monkeypatch.setattr(access, "take_up", take_up)
        value = take_up(*given).data
        raise MemoryError if value else AssertionError

    monkeypatch.setattr(access, "take_up", no_memory)
    setting.secrets.set_secret("A", CANARY + "5")
    wait_for(lambda: len(heard) > 1)
    for each in heard:
        setting.check(each.exc_value)


def wait_for(condition):
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_threads_and_tasks_pass_on_nothing(setting):
    async def work():
        with pytest.raises(ConflictError) as caught:
            await asyncio.to_thread(lambda: setting.secrets.set_secret("A", CANARY, 77))
        setting.check(caught.value)

        async def attempt(value):
            held = value
            await asyncio.sleep(0 if held is None else 60)

        task = asyncio.create_task(with_refresh_async(setting.secrets, "A", attempt))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await task
        setting.check(cancelled.value)

        async def refuse(value):
            held = value
            raise ValueError if held else AssertionError

        with pytest.raises(ValueError) as refused:  # noqa: PT011
            await with_refresh_async(setting.secrets, "A", refuse, refused=lambda error: True)
        setting.check(refused.value)

    asyncio.run(work())


def held_by(error):
    trace, held = error.__traceback__, {}
    while trace is not None:
        held |= {name: value for name, value in trace.tb_frame.f_locals.items() if name.startswith("own_")}
        trace = trace.tb_next
    return held


def test_what_the_caller_was_handling_stays_as_it_is(setting):
    def fail():
        own_variable = 7
        raise LookupError(own_variable)

    try:
        try:
            fail()
        except LookupError:
            setting.secrets.set_secret("A", CANARY, cas=77)
    except ConflictError as error:
        caught = error
    assert isinstance(caught.__context__, LookupError)
    assert held_by(caught.__context__) == {"own_variable": 7}
    setting.check(caught)


def test_a_coroutine_that_passed_an_exception_on_is_not_ended_with_it():
    async def work():
        jobs: asyncio.Queue = asyncio.Queue()

        async def worker():
            while True:
                answer = await jobs.get()
                try:
                    raise OSError("refused")
                except OSError as error:
                    answer.set_exception(error)

        @leaves_no_values
        async def ask():
            answer = asyncio.get_running_loop().create_future()
            jobs.put_nowait(answer)
            return await asyncio.wait_for(answer, 10)

        task = asyncio.create_task(worker())
        for _ in range(3):
            with pytest.raises(OSError, match="refused"):
                await ask()
        assert not task.done()
        task.cancel()

    asyncio.run(work())


def test_a_generator_that_passed_an_exception_on_is_not_ended_with_it():
    passed = []

    def generator():
        try:
            raise OSError("refused")
        except OSError as error:
            passed.append(error)
        yield 1
        yield 2

    going_on = generator()

    @leaves_no_values
    def ask():
        next(going_on)
        raise passed[0]

    with pytest.raises(OSError, match="refused"):
        ask()
    assert next(going_on) == 2


def test_near_the_end_of_the_stack_nothing_is_shown_either(setting):
    def deeper():
        with contextlib.suppress(RecursionError):
            deeper()
        setting.secrets.set_secret("A", CANARY)

    with contextlib.suppress(RecursionError):
        deeper()
    for room in range(2, 120):

        def climb(left):
            return setting.secrets.set_secret("A", CANARY, cas=77) if left == 0 else climb(left - 1)

        depth = sys.getrecursionlimit() - len(inspect.stack()) - room
        with pytest.raises((RecursionError, ConflictError)) as caught:
            climb(depth)
        setting.check(caught.value)


def test_formats_show_nothing_of_what_they_could_not_read(setting):
    text = CANARY.encode()
    for file_format, given in (
        ("json", b'{"A": "' + text), ("json", b'["' + text), ("json", b'{"A": "' + text + b'", "A": 1}'),
        ("yaml", b"A: [" + text), ("dotenv", b"A='" + text), ("dotenv", b"= " + text), ("json", text + b"\xff"),
        ("dotenv", b"A=" + text + b"\xff"),
    ):  # fmt: skip
        with pytest.raises(StrongroomError) as caught:
            exchange.parse(given, file_format)
        setting.check(caught.value)
    with pytest.raises(StrongroomError) as caught:
        exchange.render({"A": {"b": object(), "c": CANARY}}, "json")
    setting.check(caught.value)
    with pytest.raises(StrongroomError) as caught:
        fernet_json.read(b'{"A": "' + text + b'"}', CANARY)
    setting.check(caught.value)
