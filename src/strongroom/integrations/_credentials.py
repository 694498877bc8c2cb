"""What a secret says of how to log in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from strongroom import InvalidValueError
from strongroom.secret import STARS


class Credentials(NamedTuple):
    """A password, and the user whose it is when the secret says so."""

    username: str | None
    password: str

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, password={STARS})"

    @property
    def arguments(self) -> dict[str, str]:
        """The keyword arguments `user` and `password` that database drivers take; `user` only when it is known."""
        return {"password": self.password} | ({} if self.username is None else {"user": self.username})


def credentials(value: Any) -> Credentials:
    """Read a secret's value: a text is the password; of several fields, `username` and `password` are taken.

    The password may be in the field `value` too, where `get_secret` finds it without a field's name.

    Raises `InvalidValueError`.
    """
    if isinstance(value, str):
        return Credentials(None, value)
    if isinstance(value, Mapping):
        username, password = value.get("username"), value.get("password", value.get("value"))
        if isinstance(password, str):
            return Credentials(username if isinstance(username, str) else None, password)
        del password
    del value  # a traceback that captures local variables would show it
    raise InvalidValueError("a secret to log in with is a text, or has the fields `password` and perhaps `username`")
