"""The rules that JSON and YAML share: which documents are secrets, and which secrets can be written as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from strongroom.errors import InvalidValueError
from strongroom.model import check_name

Value = str | bytes | dict[str, Any]
"""A text, bytes, or a mapping of field names to JSON values."""


def accept(document: Mapping[str, Any]) -> dict[str, Value]:
    """Return the document if it maps names to texts or to mappings of fields.

    Raises `InvalidNameError` and `InvalidValueError`, naming the entry.
    """
    for name, value in document.items():
        check_name(name)
        if value is None:
            raise InvalidValueError(f"{name} is null; give it a text, or leave it out")
        if not isinstance(value, (str, dict)):
            raise InvalidValueError(f"{name} is a {type(value).__name__}; a secret is a text or a mapping of fields")
        _check_value(name, value, "UTF-8")
    return dict(document)


def texts(secrets: Mapping[str, Value], file_format: str) -> dict[str, str]:
    """Return the secrets if all are plain texts; `InvalidValueError` names one that the format cannot hold."""
    plain = {}
    for name, value in writable(secrets, file_format).items():
        if not isinstance(value, str):
            raise InvalidValueError(f"{name} has fields, which {file_format} cannot hold; use json or yaml")
        if "\x00" in value:
            raise InvalidValueError(f"{name} holds a NUL character, which {file_format} cannot hold; use json or yaml")
        plain[name] = value
    return plain


def writable(secrets: Mapping[str, Value], file_format: str) -> dict[str, str | dict[str, Any]]:
    """Return the secrets if all are texts or fields of JSON values; raises `InvalidValueError` naming another."""
    good = {}
    for name, value in secrets.items():
        check_name(name)
        if not isinstance(value, (str, dict)):
            kind = type(value).__name__
            raise InvalidValueError(f"{name} holds {kind}, which {file_format} cannot hold; read it with get_secret")
        _check_value(name, value, file_format)
        good[name] = value
    return good


def _check_value(name: str, value: str | dict[str, Any], file_format: str) -> None:
    if isinstance(value, dict) and not all(isinstance(field, str) and field for field in value or [""]):
        raise InvalidValueError(f"{name} has no fields, or one whose name is empty or not a text")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        good = True
    except (TypeError, ValueError, RecursionError):
        good = False
    # Raised outside the handler: the encoder's exception holds the value.
    if not good:
        raise InvalidValueError(
            f"{name} holds what {file_format} cannot: an unpaired surrogate, or what is no JSON value"
        )
