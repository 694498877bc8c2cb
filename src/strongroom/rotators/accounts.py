"""Accounts of a server: one, or two that take turns, and the administrator who changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.shape import password_in, user_in, with_password
from strongroom.rotators.values import Policy, password_field

Read = Callable[[str], Mapping[str, Any]]
"""Returns the fields of another secret."""


class Refused(SourceRefusedError):
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
        return with_password(current, policy.draw(), self._turn(current))

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return `current` with an operator's own password, or the fields that the operator gave, when they fit."""
        given = {"value": value} if not isinstance(value, Mapping) else dict(value)
        if set(given) == set(current):
            self.login(given)
            user, turn = user_in(given), self._turn(current)
            if turn is not None and user != turn:
                raise RotationError(f"it is the turn of {turn!r}, and the new value is of {user!r}: the readers that "
                                    "have not switched still log in as that one")  # fmt: skip
            return given
        if not isinstance(value, str):
            raise RotationError(f"the new value lacks fields of the secret: {', '.join(sorted(current))}")
        return with_password(current, value, self._turn(current))

    def names(self, place: str) -> frozenset[str]:
        """Return what is rotated, for the comparison with other secrets."""
        return frozenset(f"{user!r} at {place}" for user in (self.name, self.other) if user is not None)

    def all(self) -> list[str]:
        """Return the accounts."""
        return [self.name, *([] if self.other is None else [self.other])]

    def turn_of(self, current: Mapping[str, Any]) -> str | None:
        """Return the account that is not current, None for a single one."""
        return self._turn(current)

    def _turn(self, current: Mapping[str, Any]) -> str | None:
        """Return the account whose turn it is, None for a single one."""
        if self.other is None:
            return None
        turn = {self.name: self.other, self.other: self.name}
        user = user_in(current)
        if user not in turn:
            raise RotationError(f"the secret's field username is neither {self.name!r} nor {self.other!r}")
        return turn[user]

    def user(self, data: Mapping[str, Any]) -> str:
        """Return whose a secret is; raises `RotationError` when it is not one of these accounts."""
        user = user_in(data) or self.name
        if user not in (self.name, self.other):
            raise RotationError(f"the secret is not of {self.name!r}: its field username differs")
        return user

    def login(self, data: Mapping[str, Any]) -> Login:
        """Return what a secret logs in with; raises `RotationError` when it is not one of these accounts."""
        return Login(self.user(data), password_in(data))


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
