"""JSON: one object that maps each name to a text, or to an object of fields.

A number or a boolean becomes the text that stands in the file (`1.10` stays `1.10`); inside an object of fields
values keep their type. null, a list, and a name or field given twice are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from strongroom.errors import InvalidValueError
from strongroom.exchange.mapping import Value, accept, writable


def parse(text: str) -> dict[str, Value]:
    """Return the secrets of a document; raises `InvalidValueError` and `InvalidNameError`."""
    document = load(text)
    as_written = load(text, parse_int=str, parse_float=str)
    return accept({name: _as_text(value, as_written[name]) for name, value in document.items()})


def render(secrets: Mapping[str, Value]) -> str:
    """Return an indented document, all ASCII; raises `InvalidValueError` and `InvalidNameError`."""
    return json.dumps(writable(secrets, "json"), indent=2) + "\n"


def load(text: str, **hooks: Any) -> dict[str, Any]:
    """Return the object that `text` holds, refusing repeated names; `hooks` are those of `json.loads`.

    Raises `InvalidValueError` with the line, never with a part of the document.
    """
    place = ""
    try:
        document = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse, **hooks)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: "
        document = None
    except (ValueError, RecursionError):
        document = None
    # Raised outside the handler: the decoder's exception holds the document.
    if not isinstance(document, dict):
        raise InvalidValueError(f"{place}this is not a JSON object of names and values")
    return document


def _as_text(value: object, as_written: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return as_written if isinstance(value, (int, float)) else value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidValueError(f"{name!r} is given twice in one object; keep one of the two")
        found[name] = value
    return found


def _refuse(constant: str) -> NoReturn:
    raise InvalidValueError(f"{constant} is no JSON value; put it in quotes")
