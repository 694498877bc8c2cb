"""From bytes to text, with the line in each error.

Errors are raised after the `except` block: the library's exception holds the whole text, and would stay attached.
"""

from __future__ import annotations

from strongroom.errors import InvalidValueError


def decode(text: bytes) -> str:
    """Return `text` (UTF-8) without its byte order mark; raises `InvalidValueError` with the line."""
    if b"\x00" in text:
        raise InvalidValueError(
            f"line {_line(text, text.index(0))}: there is a NUL byte; save the file as UTF-8 (UTF-16 is full of NULs)"
        )
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = error.start
    raise InvalidValueError(f"line {_line(text, place)}: this is not UTF-8; save the file as UTF-8")


def _line(text: bytes, place: int) -> int:
    return text.count(b"\n", 0, place) + 1
