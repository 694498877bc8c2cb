"""Files that were encrypted with Fernet before strongroom, as two shapes of them are found in the field.

- A JSON object of names and Fernet tokens, each value encrypted by itself.
- One Fernet token around a JSON object of names and values.

In both the object may lie under the key `secrets` (other keys there are metadata), and an entry may be an object with
metadata whose token or value is called `value`.
"""

from __future__ import annotations

import re
from typing import Any

from strongroom.errors import InvalidKeyError, InvalidValueError, TamperedError, WrongKeyError
from strongroom.exchange.json_document import load
from strongroom.exchange.text import decode
from strongroom.model import check_name
from strongroom.system.frames import leaves_no_values

# The version byte 0x80 and the first bytes of a 64-bit time, in base64.
_token = re.compile(r"gAAAA[A-Za-z0-9_-]+={0,2}").fullmatch


@leaves_no_values
def read(document: bytes, key: bytes | str) -> dict[str, str]:
    """Return the names and values of a Fernet-encrypted file.

    `key` is the Fernet key of that file (44 characters of URL-safe base64), or several with commas between them, as
    for `MultiFernet`; each token may be under any of them.

    Raises `InvalidKeyError` when a key is not one, `WrongKeyError` when the keys open nothing, `TamperedError` naming
    the entries that do not open while others do, `InvalidValueError` when the file has neither shape.
    """
    keys = _keys(key)
    text = decode(document).strip()
    if not _token(text):
        return _open_entries(_entries(load(text)), keys)
    opened = _decrypt(text, keys)
    if opened is None:
        raise WrongKeyError("the key does not open this file: it is of another file, or the file is damaged")
    return _entries(load(decode(opened), parse_int=str, parse_float=str))


def _open_entries(tokens: dict[str, str], keys: list[bytes]) -> dict[str, str]:
    foreign = [name for name, token in tokens.items() if not _token(token)]
    if foreign:
        raise InvalidValueError(f"not a Fernet token: {', '.join(foreign)}; is this file encrypted with Fernet?")
    opened = {name: _decrypt(token, keys) for name, token in tokens.items()}
    closed = [name for name, value in opened.items() if value is None]
    if closed and len(closed) == len(opened):
        raise WrongKeyError("the key opens no entry of this file: it is of another file, or the file is damaged")
    if closed:
        raise TamperedError(
            f"the key opens other entries, but not {', '.join(closed)}: they are damaged or under another key; "
            "repair or remove them, or give that key too, after a comma"
        )
    return {name: _text(name, value) for name, value in opened.items() if value is not None}


def _entries(document: dict[str, Any]) -> dict[str, str]:
    """Return the name and the token or value of each entry, without metadata."""
    inner = document.get("secrets")
    entries = inner if isinstance(inner, dict) else document
    found = {}
    for name, entry in entries.items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        if not isinstance(value, str):
            raise InvalidValueError(f"the entry {name!r} is neither a text nor an object with a text as its `value`")
        found[check_name(name)] = value
    return found


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass
    raise InvalidValueError(f"the value of {name} is not UTF-8; decrypt it by hand and set it as bytes", name=name)


def _keys(key: bytes | str) -> list[bytes]:
    from strongroom.crypto.master_key import parse_key

    parts: list[Any] = key.split(b",") if isinstance(key, bytes) else list(key.split(","))
    keys = []
    for number, part in enumerate(parts, 1):
        try:
            keys.append(parse_key(part))
            continue
        except ValueError as error:
            problem = str(error)
        which = "the key" if len(parts) == 1 else f"key {number} of {len(parts)}"
        raise InvalidKeyError(f"{which} is not a Fernet key: {problem}")
    return keys


def _decrypt(token: str, keys: list[bytes]) -> bytes | None:
    from strongroom.crypto import Forged
    from strongroom.crypto.fernet import decrypt_token

    for key in keys:
        try:
            return decrypt_token(key, token.encode())
        except Forged:
            continue
    return None
