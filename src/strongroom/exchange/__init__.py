"""Files that hold many secrets in the clear, read by `strongroom import` and written by `strongroom export`.

`dotenv`, `json` and `yaml` are read and written; `env` (shell lines `export NAME='...'`) is only written.
`fernet_json` reads files that were encrypted with Fernet before strongroom.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from strongroom.errors import InvalidInputError
from strongroom.exchange.mapping import Value
from strongroom.exchange.text import decode
from strongroom.system.frames import leaves_no_values

__all__ = ["FORMATS", "Value", "guess", "parse", "render"]

FORMATS = {"dotenv": "dotenv", "json": "json_document", "yaml": "yaml_document", "env": "shell"}
"""Name of each format and its module, which is imported on use."""


@leaves_no_values
def parse(text: bytes, file_format: str) -> dict[str, Value]:
    """Return the secrets that a file holds: a text, or a mapping of fields to JSON values, for each name.

    `text` is UTF-8, with or without a byte order mark. Either the whole file is good or nothing is returned.

    Raises `InvalidValueError` (with the line where the parser knows it, never with a value), `InvalidNameError`,
    `InvalidInputError` for an unknown format, and `MissingExtraError`.
    """
    secrets: dict[str, Value] = _module(file_format).parse(decode(text))
    return secrets


@leaves_no_values
def render(secrets: Mapping[str, Value], file_format: str) -> str:
    """Return a file that `parse` reads back as the same secrets (`env`: that a POSIX shell does).

    Bytes are refused in every format, as none has a spelling for them that other tools would read. Raises
    `InvalidValueError` naming the secret that the format cannot hold, `InvalidNameError`, and what `parse` raises for
    the format.
    """
    rendered: str = _module(file_format).render(secrets)
    return rendered


def guess(path: str | os.PathLike[str]) -> str:
    """Return the format that the name of a file shows: `.env`, `.env.*`, `*.env`, `*.json`, `*.yaml`, `*.yml`.

    Raises `InvalidInputError` for another name.
    """
    name = os.path.basename(os.fspath(path)).lower()
    if name.endswith(".json"):
        return "json"
    if name.endswith((".yaml", ".yml")):
        return "yaml"
    if name.endswith(".env") or name.startswith(".env."):
        return "dotenv"
    raise InvalidInputError(f"the name {name!r} does not show a format; {_choices()}")


def _module(file_format: str) -> Any:
    if file_format not in FORMATS:
        raise InvalidInputError(f"there is no format {file_format!r}; {_choices()}")
    return importlib.import_module(f"strongroom.exchange.{FORMATS[file_format]}")


def _choices() -> str:
    return "say which with " + ", ".join(f"--format {file_format}" for file_format in FORMATS)
