"""Reads TOML; a file of plain settings without loading the parser, which would be a tenth of a command's start."""

from __future__ import annotations

from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Return the document; raises `tomllib.TOMLDecodeError`."""
    plain = _plain(text.replace("\r\n", "\n"))
    if plain is not None:
        return plain
    import tomllib

    return tomllib.loads(text)


def _plain(text: str) -> dict[str, Any] | None:
    """Return the settings of a file of lines `name = "text"`, comments and empty lines; None for any other file."""
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        line = line.strip("\t ")
        if not line.replace("\t", " ").isprintable():
            return None
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition("=")
        name, rest = name.rstrip("\t "), rest.lstrip("\t ")
        value, closed, comment = rest[1:].partition('"')
        is_name = name.isascii() and name.replace("_", "").isalpha() and name not in found
        is_text = rest.startswith('"') and closed and "\\" not in value and "\t" not in value
        if not is_name or not is_text or comment.strip("\t ")[:1] not in ("", "#"):
            return None
        found[name] = value
    return found
