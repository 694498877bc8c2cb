"""What a program wrote to its standard error, as far as it may be shown: a few lines, no value, no control character.

A value is looked for as it is and in the usual encodings, whole and in part: of a longer one every run of 12 characters
is starred, so that it may be cut, wrapped or indented. What a program wraps or colours is put together before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from urllib.parse import unquote, urlsplit

from strongroom.forms import clear_forms, encoded_forms, leaves, shell_forms
from strongroom.secret import STARS

TAIL = 16384
"""Bytes that are looked at; more than is shown, so that no value is cut where the shown part begins."""
LINES = 6
CHARACTERS = 800
_WINDOW = 12
_SHORT = 4
"""Shorter values are starred only where they are words: stars for each "a" would leave nothing to read."""
_ESCAPES = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|.\x08"
)
_SEARCH = 500
"""So many windows of a form are looked up while one window of the text is searched for in a long form."""
_LONGEST_PART, _MOST_PARTS = 16, 300
_RUN = re.compile(r"[\w+/=.~-]{16,}")


def shown(written: bytes, secret: Iterable[object], *, whole: bool = True, hide_keys: bool = False) -> str:
    """Return the last lines, joined by " | "; "" when there is nothing to show.

    Only the last `TAIL` bytes are looked at. `secret` are values, and mappings of them, that are replaced by stars.
    `whole` is False when the program was stopped in the middle of writing. `hide_keys` also replaces what
    looks like a key, where it is not known which keys exist.
    """
    text = _plain(written[-TAIL:].decode("utf-8", "replace"))
    if not text.strip():
        return ""
    forms = {form for value in _values(secret) for form in _forms(value)}
    marks = _marks(text, forms, begins=len(written) < TAIL, ends=whole)
    if hide_keys:
        for found in _RUN.finditer(text):
            if re.search("[0-9]", found[0]) and re.search("[A-Za-z]", found[0]):
                marks[found.start() : found.end()] = b"\1" * len(found[0])
    lines = [line for line in map(str.strip, _starred(text, marks).splitlines()) if line]
    said = " | ".join(lines[-LINES:])
    return said if len(said) <= CHARACTERS else "…" + said[-CHARACTERS:]


def _plain(text: str) -> str:
    """Return a text without escape sequences, control characters and characters that nobody sees."""
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text.replace("\r", "\n"))
    return "".join(char if char.isprintable() or char == "\n" else " " if char.isspace() else "" for char in text)


def _values(secret: Iterable[object]) -> Iterator[str | bytes]:
    """Yield each value, and the parts of a composed one that a program might write alone."""
    for value in secret:
        for leaf in leaves(value):
            yield leaf
            if isinstance(leaf, str):
                yield from _parts(leaf)
        yield from _numbers(value)


def _parts(text: str) -> Iterator[str | bytes]:
    """Yield short parts: a longer one is found by its runs of characters."""
    with suppress(ValueError):
        password = urlsplit(text).password or ""
        yield from (password, unquote(password))
    with suppress(ValueError, RecursionError):
        if text.lstrip().startswith(("{", "[")):
            yield from _values([json.loads(text)])
    lines = (line.strip() for line in text.splitlines())
    yield from islice((line for line in lines if _SHORT <= len(line) <= _LONGEST_PART), _MOST_PARTS)
    tokens = (token for token in re.split(r"[\s:;,@=/&?\"'{}\[\]]+", text) if 6 <= len(token) <= _LONGEST_PART)
    yield from islice((one for one in tokens if re.search("[0-9]", one) and re.search("[A-Za-z]", one)), _MOST_PARTS)


def _numbers(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _forms(value: str | bytes) -> set[str]:
    text = value if isinstance(value, str) else value.decode("utf-8", "replace")
    if len(text) < _SHORT:
        return {text}
    forms = clear_forms(value) | encoded_forms(value) | shell_forms(text) | {text.upper(), text.lower(), text[::-1]}
    return forms | {text.encode("latin-1", "replace").decode("utf-8", "replace")}


def _marks(text: str, forms: Iterable[str], *, begins: bool, ends: bool) -> bytearray:
    """Return a byte for each character, 1 for those that belong to a value.

    `begins` and `ends` are False when its first or last characters are missing. Spaces and line ends are left out of
    the comparison on both sides, but for values that are short.
    """
    places = [place for place, char in enumerate(text) if not char.isspace()]
    dense = "".join(text[place] for place in places)
    windows: dict[str, list[int]] = {}
    for start in range(len(dense) - _WINDOW + 1):
        windows.setdefault(dense[start : start + _WINDOW], []).append(start)
    marked, marks = bytearray(len(dense)), bytearray(len(text))
    for spelled in {_plain(form).strip() for form in forms} - {""}:
        form = "".join(spelled.split())
        if len(form) < _SHORT:
            pattern = r"\s*".join(map(re.escape, form))
            for found in re.finditer(pattern if len(spelled) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", text):
                marks[found.start() : found.end()] = b"\1" * len(found[0])
            continue
        for start, length in _found(form, dense, windows):
            marked[start : start + length] = b"\1" * length
        edge = range(min(len(form), _WINDOW), 0, -1)
        if not begins:
            known = next((length for length in edge if dense.startswith(form[-length:])), 0)
            marked[:known] = b"\1" * known
        if not ends:
            known = next((length for length in edge if dense.endswith(form[:length])), 0)
            marked[len(dense) - known :] = b"\1" * known
    for place, is_marked in zip(places, marked, strict=True):
        marks[place] |= is_marked
    return marks


def _found(form: str, dense: str, windows: dict[str, list[int]]) -> Iterator[tuple[int, int]]:
    """Yield where a form is, and how many characters of it. Windows that were found once are taken out."""
    if len(form) <= _WINDOW:
        start = dense.find(form)
        while start >= 0:
            yield start, len(form)
            start = dense.find(form, start + 1)
        return
    if len(windows) * _SEARCH < len(form):
        known = [window for window in windows if window in form]
    else:
        known = [form[begin : begin + _WINDOW] for begin in range(len(form) - _WINDOW + 1)]
    for window in known:
        for start in windows.pop(window, ()):
            yield start, _WINDOW


def _starred(text: str, marks: bytearray) -> str:
    """Return the text with stars for each run of marked characters, spaces between them included."""
    runs = "".join(
        "x" if is_marked else " " if char == " " else "." for char, is_marked in zip(text, marks, strict=True)
    )
    found, place = [], 0
    for run in re.finditer("x(?: *x)*", runs):
        found += [text[place : run.start()], STARS]
        place = run.end()
    return "".join([*found, text[place:]])
