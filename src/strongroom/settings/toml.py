"""Reads TOML; a file of plain settings without loading the parser, which would be a tenth of a command's start."""

from __future__ import annotations

from typing import Any

_MOST_PARTS = 64
"""Of a key, as `a.b.c` has three. The parser's time grows with the square of them."""
_TEXTS = r'"""(?s:\\.|[^\\])*?"""|\'\'\'(?s:.)*?\'\'\'|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|#[^\n]*'


def loads(text: str) -> dict[str, Any]:
    """Return the document; raises `ValueError`, such as `tomllib.TOMLDecodeError`."""
    plain = _plain(text.replace("\r\n", "\n"))
    if plain is not None:
        return plain
    import re
    import tomllib

    # Where this takes a text for something else, it is no TOML, and the parser ends there.
    bare = re.sub(_TEXTS, "", text)
    if any(key.count(".") >= _MOST_PARTS for key in re.split(r"[=,{}\n]", bare)):
        raise ValueError(f"a key has more than {_MOST_PARTS} parts")
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
