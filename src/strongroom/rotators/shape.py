"""The shape of a secret: where in it the password is, and how the rest stays as it is.

A password is the whole of a text, the field `password` (or `value`) of several, or lies within a URL, as in
`postgresql://app:PASSWORD@db.example/app`. Whatever else holds the password, such as a field `url` beside it, changes
with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from strongroom.errors import RotationError
from strongroom.rotators.values import password_field

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<user>[^:@/?#\s]*):(?P<password>[^@/?#\s]*)@(?P<rest>\S*)")
_COMPOUND = re.compile(
    r"\w://|(^|[\s;&?])(password|passwd|pwd)\s*=|^\s*\{.*\}\s*$|^\s*\[.*\]\s*$|-----BEGIN ", re.IGNORECASE | re.DOTALL
)
LEAST = 6
"""Characters of a password that are looked for in other fields: a shorter one may stand there by chance."""


def password_in(data: Mapping[str, Any]) -> str:
    """Return the password; raises `RotationError` for what no server takes as one."""
    text = data.get(password_field(data))
    if not isinstance(text, str) or not text or "\0" in text:
        raise RotationError("the secret has no text in its field password or value")
    found = _URL.fullmatch(text)
    if found is not None:
        if not found["password"]:
            raise RotationError("the secret is a URL without a password")
        return unquote(found["password"])
    if _COMPOUND.search(text):
        raise RotationError(
            "the secret is a text with more than a password in it: store the password alone, a URL such as "
            "scheme://user:password@host, or several fields"
        )
    return text


def is_url(value: object) -> bool:
    """True for a URL with a password in it, or for a place in one."""
    return isinstance(value, str) and _URL.fullmatch(value) is not None


def user_in(data: Mapping[str, Any]) -> str | None:
    """Return the user that a secret names, None when it names none."""
    user = data.get("username")
    if user is not None:
        return str(user)
    text = data.get(password_field(data))
    found = _URL.fullmatch(text) if isinstance(text, str) else None
    return unquote(found["user"]) or None if found is not None else None


def with_password(data: Mapping[str, Any], password: str, user: str | None = None) -> dict[str, Any]:
    """Return the secret with another password, and another user; raises `RotationError` when parts would differ."""
    before, field = password_in(data), password_field(data)
    changed = dict(data)
    text = data[field]
    changed[field] = _replaced(text, password, user) if _URL.fullmatch(text) else password
    if user is not None and ("username" in data or not _URL.fullmatch(text)):
        changed["username"] = user
    for name, other in data.items():
        if name in (field, "username") or not isinstance(other, str):
            continue
        found = _URL.fullmatch(other)
        if found is not None and unquote(found["password"]) == before:
            changed[name] = _replaced(other, password, user)
        elif len(before) >= LEAST and (before in other or quote(before, safe="") in other):
            raise RotationError(f"the field {name!r} holds the password too, in a form that is not known: remove it")
    return changed


def _replaced(url: str, password: str, user: str | None) -> str:
    found = _URL.fullmatch(url)
    assert found is not None
    whose = found["user"] if user is None else quote(user, safe="")
    return f"{found['scheme']}{whose}:{quote(password, safe='')}@{found['rest']}"
