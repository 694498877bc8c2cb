"""What a program that reports errors can show of an exception: every frame's variables, seen into as it would."""

from __future__ import annotations

import dataclasses
import inspect
import os
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from campaign.canary import spellings

TESTS = str(Path(__file__).parents[1]) + os.sep
DEEPEST = 8


def exceptions(error: BaseException | None) -> list[BaseException]:
    """Return an exception and all those behind it, also where `from None` hides them from a printed traceback."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:
            found.append(each)
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return found


def frames(error: BaseException) -> Iterator[Any]:
    """Yield the frames of an exception, and of those behind it, but those of the tests, which hold values."""
    for each in exceptions(error):
        trace = each.__traceback__
        while trace is not None:
            if not trace.tb_frame.f_code.co_filename.startswith(TESTS):
                yield trace.tb_frame
            trace = trace.tb_next


def texts(value: object, depth: int = 0) -> Iterator[str | bytes]:
    """Yield what `value` shows: its text or repr, its members, its fields, and what a function closes over."""
    if isinstance(value, str | bytes | bytearray):
        yield bytes(value) if isinstance(value, bytearray) else value
        return
    yield repr(value)
    if depth > DEEPEST:
        return
    for member in _members(value):
        yield from texts(member, depth + 1)


def _members(value: Any) -> list[object]:
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    if inspect.isfunction(value):
        return [cell.cell_contents for cell in value.__closure__ or () if not _is_empty(cell)]
    return []


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def needles(*secrets: str | bytes) -> set[bytes]:
    """Return the spellings of values and keys."""
    found: set[bytes] = set()
    for secret in secrets:
        if isinstance(secret, str):
            # What it would be in part is told only of the canary, whose beginning is like nothing else.
            found |= {spelled for kind, spelled in spellings(secret).items() if kind != "a part"}
        else:
            encoded = {b64encode(secret), urlsafe_b64encode(secret), secret.hex().encode()}
            found |= {secret, repr(secret)[2:-1].encode(), *encoded}
    return found


def shown(error: BaseException, hidden: set[bytes]) -> list[str]:
    """Return where one of the `hidden` can be seen: in which variable of which frame, or in which exception."""
    places = []
    for frame in frames(error):
        for name, value in list(frame.f_locals.items()):
            if _has(texts(value), hidden):
                places.append(f"{name} in {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
    for each in exceptions(error):
        own = {name: value for name, value in vars(each).items() if name != "__notes__"}
        for name in ("object", "doc"):
            own[name] = getattr(each, name, None)
        if _has(texts([str(each), each.args, own]), hidden):
            places.append(f"the exception {type(each).__name__}")
    return places


def _has(told: Iterator[str | bytes], hidden: set[bytes]) -> bool:
    for text in told:
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if any(needle in data for needle in hidden):
            return True
    return False
