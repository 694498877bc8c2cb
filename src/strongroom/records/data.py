"""A secret's data as bytes: what is encrypted.

The first byte says what follows: `s` a text (the field `value`) in UTF-8, `b` bytes (the field `value`), `m` a JSON
object of fields. The plain text, by far the most common, thus costs no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from strongroom.errors import InvalidValueError, NewerFormatError
from strongroom.model import MAX_VALUE_BYTES

MAX_DEPTH = 100
"""Deeper JSON could be written here and not be read back where Python's stack has less room left."""
MAX_FIELDS = 1_000
MAX_VALUES = 1_000_000
"""JSON values in all fields: lists that hold each other twice are soon more than any memory holds."""

Value = str | bytes
Data = Mapping[str, Any]


def encode(value: Value | Data) -> bytes:
    """Return the bytes for a text, for bytes, or for a mapping of field names to JSON values.

    `{"value": text}` is the same secret as the plain text. Raises `InvalidValueError`, which names types, never values.
    """
    if isinstance(value, Mapping) and list(value) == ["value"] and isinstance(value["value"], str):
        value = value["value"]
    if isinstance(value, str):
        encoded = b"s" + _utf8(value)
    elif isinstance(value, bytes | bytearray | memoryview):
        encoded = b"b" + bytes(value)
    elif isinstance(value, Mapping):
        encoded = b"m" + _fields(value)
    else:
        raise InvalidValueError(
            f"a secret's value is text, bytes or a mapping of fields, not {type(value).__name__}; convert it first"
        )
    if len(encoded) > MAX_VALUE_BYTES:
        raise InvalidValueError(f"the value has {len(encoded) - 1:,} bytes; at most {MAX_VALUE_BYTES - 1:,} are kept")
    return encoded


def decode_value(encoded: bytes) -> Any:
    """Return the text, the bytes, or for several fields the mapping."""
    kind = encoded[:1]
    if kind == b"s":
        return str(encoded[1:], "utf-8")
    if kind == b"b":
        return encoded[1:]
    if kind == b"m":
        return json.loads(encoded[1:])
    raise NewerFormatError("the value is of a kind that this strongroom does not know: upgrade it")


def decode_data(encoded: bytes) -> dict[str, Any]:
    """Return the mapping of fields."""
    value = decode_value(encoded)
    return value if encoded[:1] == b"m" else {"value": value}


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        place = error.start
    raise InvalidValueError(f"the value holds an unpaired surrogate at character {place}; pass bytes instead")


def _fields(data: Data) -> bytes:
    if not data:
        raise InvalidValueError("the mapping has no fields; give at least one")
    if len(data) > MAX_FIELDS:
        raise InvalidValueError(f"the mapping has {len(data):,} fields; at most {MAX_FIELDS:,} are kept")
    for field in data:
        if not isinstance(field, str) or not field:
            raise InvalidValueError("the names of fields are text and not empty")
    _check_size(data)
    try:
        text = json.dumps(dict(data), allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        text = None
    # Raised outside the handler: the encoder's own message shows parts of the value.
    if text is None:
        raise InvalidValueError("a field holds what JSON cannot: use text, numbers, booleans, null, lists, mappings")
    return _utf8(text)


def _check_size(data: Data) -> None:
    """Raise `InvalidValueError` for fields that are nested too deeply or hold too many values."""
    left: list[Iterator[object]] = [iter(data.values())]
    seen = 0
    while left:
        value = next(left[-1], left)
        if value is left:  # nothing more there
            left.pop()
            continue
        seen += 1
        if isinstance(value, Mapping):
            left.append(iter(value.values()))
        elif isinstance(value, list | tuple):
            left.append(iter(value))
        if len(left) > MAX_DEPTH + 1:
            raise InvalidValueError(f"the fields are nested more than {MAX_DEPTH} deep; keep such a document as text")
        if seen > MAX_VALUES:
            raise InvalidValueError(f"the fields hold more than {MAX_VALUES:,} values; keep such a document as text")
