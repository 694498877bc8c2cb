"""Reads TOML; a file of plain settings without loading the parser, which would be a tenth of a command's start."""

from __future__ import annotations

import re
from typing import Any

_setting = re.compile(r"([a-z_]+)[ \t]*=[ \t]*\"([^\"\\\x00-\x1f\x7f]*)\"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?")
_comment = re.compile(r"[ \t]*(?:#[^\x00-\x08\x0a-\x1f\x7f]*)?")


def loads(text: str) -> dict[str, Any]:
    """Return the document; raises `tomllib.TOMLDecodeError`."""
    plain = _plain(text.replace("\r\n", "\n"))
    if plain is not None:
        return plain
    import tomllib

    return tomllib.loads(text)


def _plain(text: str) -> dict[str, Any] | None:
    """Return the settings of a file of lines `name = "text"`, comments and empty lines; None for another one."""
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        setting = _setting.fullmatch(line)
        if setting is None:
            if _comment.fullmatch(line) is None:
                return None
        elif setting[1] in found:
            return None
        else:
            found[setting[1]] = setting[2]
    return found
