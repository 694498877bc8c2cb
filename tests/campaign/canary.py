"""A value that is looked for where it must not be, in every spelling that a program might give it."""

from __future__ import annotations

import gc
import json
import traceback
import types
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

CANARY = "canary-7f3e91d2/ü?&=b8a6 kanarienvogel"
"""Holds characters that each spelling writes in another way."""


def spellings(value: str = CANARY) -> dict[str, bytes]:
    """Return spelling → bytes to look for; none of them turns up by chance."""
    raw = value.encode()
    found = {
        "raw": raw,
        "latin-1": value.encode("latin-1"),
        "utf-16": value.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
        "url": quote(value, safe="").encode(),
        "url+": quote_plus(value).encode(),
        "json": json.dumps(value).encode()[1:-1],
        "ascii": ascii(value).encode()[1:-1],
        "bytes": repr(raw).encode()[2:-1],
        # A part of the value is a leak too.
        "a part": raw[:15],
    }
    for start in range(3):
        # Within longer data, base64 of it depends on where it begins; the first and last characters on its neighbours.
        for name, encode in (("base64", b64encode), ("base64url", urlsafe_b64encode)):
            found[f"{name}+{start}"] = encode(b"\0" * start + raw)[4:-4]
    return found


_spellings = spellings()


def leaks(content: bytes | str) -> list[str]:
    """Return in which spellings the canary is in `content`."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return [name for name, spelling in _spellings.items() if spelling in data]


def files_with_it(*directories: Path) -> dict[str, list[str]]:
    """Return path → spellings for each file below `directories` that holds the canary, or has it for a name."""
    found = {}
    for path in (path for directory in directories for path in directory.rglob("*")):
        spelled = leaks(str(path)) + (leaks(path.read_bytes()) if path.is_file() else [])
        if spelled:
            found[str(path)] = spelled
    return found


def told_by(error: BaseException) -> Iterator[tuple[str, str]]:
    """Return what a program could show of an exception and of those behind it, without the callers' own variables."""
    yield "str", str(error)
    yield "repr", repr(error)
    yield "attributes", repr(vars(error))
    yield "traceback", "".join(traceback.format_exception(error)[-1:])
    behind: BaseException | None = error
    while behind is not None:
        # Reporters of errors walk this chain, also where `from None` hides it from a printed traceback.
        yield f"args of {type(behind).__name__}", repr(behind.args)
        behind = behind.__cause__ or behind.__context__


def everything_below(root: object) -> list[object]:
    """Return every object that can be reached from `root`, but no code, modules and classes."""
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, types.ModuleType | types.FunctionType | type | types.FrameType):
            continue
        seen[id(found)] = found
        waiting += gc.get_referents(found)
    return list(seen.values())
