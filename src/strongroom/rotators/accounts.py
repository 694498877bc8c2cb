"""Accounts of a server: one, or two that take turns, and the administrator who changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from strongroom.errors import RotationError
from strongroom.rotators.values import Policy, password_field

Read = Callable[[str], Mapping[str, Any]]
"""Returns the fields of another secret."""


class Refused(RotationError):
    """The server does not take this password."""


class Login(NamedTuple):
    """A user and a password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r})"


class Accounts(NamedTuple):
    """Whose password is rotated. With `other` each rotation moves the secret to the account whose turn it is."""

    name: str
    other: str | None

    def pending(self, current: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
        """Return `current` with a new password, and of two accounts the one whose turn it is."""
        pending = {**current, password_field(current): policy.draw()}
        if self.other is not None:
            turn = {self.name: self.other, self.other: self.name}
            if current.get("username") not in turn:
                raise RotationError(f"the secret's field username is neither {self.name!r} nor {self.other!r}")
            pending["username"] = turn[current["username"]]
        return pending

    def login(self, data: Mapping[str, Any]) -> Login:
        """Return what a secret logs in with; raises `RotationError` when it is not one of these accounts."""
        user = data.get("username", self.name)
        if user not in (self.name, self.other):
            raise RotationError(f"the secret is not of {self.name!r}: its field username differs")
        return Login(user, password_of(data))


def password_of(data: Mapping[str, Any]) -> str:
    """Return the password of a secret; raises `RotationError` for what no server takes as one."""
    password = data.get(password_field(data))
    if not isinstance(password, str) or not password or "\0" in password:
        raise RotationError("the secret has no text in its field password or value")
    return password


def administrator(read: Read, secret: str | None) -> Callable[[], str] | None:
    """Return what reads the administrator's password when it is needed, or None."""
    if secret is None:
        return None

    def password() -> str:
        value = read(secret)
        found = value.get(password_field(value))
        if not isinstance(found, str):
            raise RotationError("the administrator's secret has no text in its field password or value")
        return found

    return password
