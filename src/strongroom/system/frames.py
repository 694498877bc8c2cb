"""Empties the frames that an exception leads to.

Programs that report errors (Sentry, rich, structlog, `pytest --showlocals`) keep the local variables of every frame on
the way of an exception, and follow it to those that it was raised in the handling of. So no frame below the public
interface keeps a variable when an exception leaves it: not ours, and not those of the libraries that were handed a
value, a key or a password. Which lines an exception came by is still told.

Where the interface begins, a function is marked with `leaves_no_values`, and the public methods of a class by
`methods_leave_no_values`. Where the call that costs is too much, a function does the same by itself: it drops its own
variables and calls `empty_frames`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import FrameType, FunctionType
from typing import Any, ParamSpec, TypeVar, cast

from strongroom.errors import StrongroomError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Class = TypeVar("Class", bound=type)
# `inspect` would be the largest module of a command's start.
_COROUTINE = 0x80
_MAY_SUSPEND = 0x20 | _COROUTINE | 0x200
"""The flags of the code of generators, coroutines and asynchronous generators."""


def empty_frames(error: BaseException) -> None:
    """Empty every frame that `error` came by below the caller, and those of the exceptions behind it.

    To be called in an `except` clause by the function that the exception is about to leave. What the callers of that
    function were handling when they called it is theirs, and stays as it is. Frames that still run cannot be emptied:
    the function that calls this drops its own variables itself.

    A `StrongroomError` tells all that there is to tell, so exceptions of libraries behind it are taken off.
    """
    for each in _raised_below(error, sys._getframe(1)):
        trace = each.__traceback__
        while trace is not None:
            _empty(trace.tb_frame)
            trace = trace.tb_next
        _drop_input(each)


def leaves_no_values(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return the function (or coroutine function), whose exceptions lead to frames without variables."""
    if cast("FunctionType", function).__code__.co_flags & _COROUTINE:
        return cast("Callable[Parameters, Result]", _coroutine_without_values(function))

    @wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            try:
                empty_frames(error)
            except (RecursionError, MemoryError):
                # There is no room for a call; for these there is.
                error.__traceback__ = error.__context__ = None
            raise

    return call


def _coroutine_without_values(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        except BaseException as error:
            del args, kwargs
            try:
                empty_frames(error)
            except (RecursionError, MemoryError):
                error.__traceback__ = error.__context__ = None
            raise

    return call


def methods_leave_no_values(kind: Class) -> Class:
    """Mark each public method that the class defines with `leaves_no_values`, unless it sees to that itself."""
    for name, member in list(vars(kind).items()):
        if isinstance(member, FunctionType) and not name.startswith("_") and not _sees_to_it(member):
            setattr(kind, name, leaves_no_values(member))
    return kind


def _sees_to_it(method: FunctionType) -> bool:
    return "empty_frames" in method.__code__.co_names


def _raised_below(error: BaseException, boundary: FrameType) -> Iterator[BaseException]:
    """Yield `error` and the exceptions behind it that were raised after `boundary` was entered."""
    above: set[FrameType] = set()
    frame = boundary.f_back
    while frame is not None:
        above.add(frame)
        frame = frame.f_back
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        # The first frame of a traceback is the one that caught the exception, or that it is about to leave.
        if each is None or id(each) in seen or (each.__traceback__ and each.__traceback__.tb_frame in above):
            continue
        seen.add(id(each))
        waiting += each.__context__, each.__cause__
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        if isinstance(each, StrongroomError):
            waiting += _take_off(each, above)
        yield each


def _take_off(error: StrongroomError, above: set[FrameType]) -> list[BaseException | None]:
    """Take hidden exceptions, and those of libraries, off the chain behind `error`, and return them."""
    taken: list[BaseException | None] = []
    context = error.__context__
    while context is not None and context not in taken:
        if context.__traceback__ and context.__traceback__.tb_frame in above:
            break
        if isinstance(context, StrongroomError) and not error.__suppress_context__:
            break
        taken.append(context)
        context = context.__context__
    error.__context__ = None if context in taken else context
    return taken


def _empty(frame: FrameType) -> None:
    # A coroutine may have handed its exception to another one and wait for its next task: up to Python 3.12, clearing
    # its frame would end it. The frame of one that has ended refers to its code; of one that has not, nothing is told.
    code = frame.f_code
    if not code.co_flags & _MAY_SUSPEND or any(each is code for each in gc.get_referents(frame)):
        with suppress(RuntimeError):  # it still runs
            frame.clear()


def _drop_input(error: BaseException) -> None:
    """Remove what Python's own exceptions keep of the text that they are about."""
    if isinstance(error, UnicodeEncodeError | UnicodeTranslateError):
        error.object = ""
        error.args = ()
    elif isinstance(error, UnicodeDecodeError):
        error.object = b""
        error.args = ()
    elif isinstance(error, ValueError) and hasattr(error, "doc"):
        error.doc = ""  # json.JSONDecodeError
