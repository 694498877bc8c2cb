"""The source as it is: whom a server lets in, and what befalls it. `Rotator` asks it as a driver does."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError

from .fate import Fate

Login = tuple[str, str]
"""A user and a password."""
KINDS = ("one password", "two passwords", "many passwords", "two accounts")
"""One PostgreSQL role; MariaDB, which is told both each time; Redis, which adds and removes; two roles."""
FAULTS = ("refuses", "does not answer", "loses the answer", "pretends")
"""It says no; it does nothing; it does what it was asked, and nobody hears of it; it says yes and does nothing."""

_numbers = itertools.count(1)


def new_password() -> str:
    return f"password-{next(_numbers):06}"


def login_of(data: Mapping[str, Any]) -> Login:
    return str(data.get("username", "app")), str(data.get("password", data.get("value")))


def value_of(login: Login) -> Any:
    """Return the value of a secret with this login."""
    user, password = login
    return password if user == "app" else {"username": user, "password": password}


class Server:
    """Users and their passwords. `faults` names the steps that fail the next time they are asked."""

    def __init__(self, kind: str, accepted: set[Login]) -> None:
        self.kind = kind
        self.accepted = accepted
        self.older = [set(accepted)]
        """Its states before each change: those that a restore can bring back."""
        self.is_up = True
        self.faults: dict[str, str] = {}
        self.told: set[Login] = set()
        """What it has truthfully said yes or no to since somebody changed it behind the operator's back."""

    def become(self, accepted: set[Login]) -> None:
        """Somebody restores, replaces or changes it by hand."""
        self.accepted, self.told = set(accepted), set()

    def change(self, accepted: set[Login]) -> None:
        self.older.append(set(self.accepted))
        self.accepted = accepted


class Rotator:
    """Rotates a login of one server, by way of an administrator."""

    def __init__(self, server: Server, fate: Fate) -> None:
        self._server = server
        self._fate = fate
        self.keeps_previous = server.kind != "one password"
        self.users = server.kind

    def check(self, current: Mapping[str, Any]) -> None:
        self._ask("check", login_of(current), lambda: self._require(login_of(current)))

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        return self._with_turn({**current, "password" if "username" in current else "value": new_password()}, current)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            value = {"value": value}
        if value.get("username") != self._with_turn(dict(value), current).get("username"):
            raise RotationError("it is the turn of the other account")
        return value

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        new, accepted = login_of(pending), self._server.accepted
        others = {login for login in accepted if login[0] != new[0]}
        kept = {
            "one password": others, "two passwords": {login_of(current)} if current else set(), "two accounts": others,
            "many passwords": accepted,
        }  # fmt: skip
        self._ask("set", new, lambda: self._server.change(kept[self._server.kind] | {new}))

    def test(self, pending: Mapping[str, Any]) -> None:
        self._ask("test", login_of(pending), lambda: self._require(login_of(pending)))

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        new, accepted = login_of(current), self._server.accepted
        # The value of a previous password that was destroyed is not known: then all but the current one go.
        old = login_of(previous) if previous else None
        left = {
            "one password": accepted,
            "two passwords": {new},
            "many passwords": accepted - {old} if old else accepted & {new},  # whichever it is told
            "two accounts": {login for login in accepted if login[0] == new[0] or (old and login[0] != old[0])},
        }
        self._ask("retire", None, lambda: self._server.change(left[self._server.kind]))

    def _with_turn(self, data: dict[str, Any], current: Mapping[str, Any]) -> dict[str, Any]:
        if "username" in current:
            data["username"] = {"app_a": "app_b", "app_b": "app_a"}[current["username"]]
        return data

    def _require(self, login: Login) -> None:
        if login not in self._server.accepted:
            raise SourceRefusedError(f"the server refuses {login[0]!r}")

    def _ask(self, step: str, login: Login | None, work: Callable[[], None]) -> None:
        server = self._server
        self._fate.moment("source")
        fault = server.faults.pop(step, "") if server.is_up else "does not answer"
        if fault == "refuses":
            raise SourceRefusedError("the server says no")
        if fault == "does not answer":
            raise ConnectionError(f"{login} was not answered")  # quotes what it was given, as drivers do
        refusal, pretends = None, fault == "pretends" and step == "set"
        try:
            if not pretends:
                work()
        except SourceRefusedError as error:
            refusal = error
        self._fate.moment("source")
        if fault == "loses the answer":
            raise ConnectionError(f"{login} was not answered")
        server.told |= {login} if login is not None and not pretends else set()
        if refusal is not None:
            raise refusal
