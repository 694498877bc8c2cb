"""A rotator for tests, `pair:PATH?role=a&other=b`: its source is a file with the password of each account."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Accounts
from strongroom.rotators.values import Policy


class PairSource:
    grace = 3600.0

    def __init__(self, path: Path, accounts: Accounts, *, terminates: bool = False) -> None:
        self.terminates = terminates
        self.path = path
        self.users = accounts
        self.keeps_previous = accounts.other is not None
        self.accounts = accounts.names(f"pair://{path}")

    def _known(self) -> dict[str, str | None]:
        return json.loads(self.path.read_text())

    def _accept(self, **passwords: str | None) -> None:
        self.path.write_text(json.dumps(self._known() | passwords))

    def check(self, current):
        self.users.pending(current, Policy())
        self.test(current)
        lacking = {self.users.name, self.users.other} - {None, *self._known()}
        if lacking:
            raise SourceRefusedError(f"there is no account {lacking.pop()!r}")

    def create(self, current):
        return self.users.pending(current, Policy())

    def set(self, pending, current):
        self._accept(**{self.users.user(pending): self.users.login(pending).password})

    def test(self, pending):
        user, password = self.users.login(pending)
        if self._known().get(user) != password:
            raise SourceRefusedError(f"the source refuses the password of {user!r}")

    def retire(self, previous, current):
        user = self.users.user(previous) if previous else None
        if user is not None and user != self.users.user(current):
            self._accept(**{user: None})

    def sessions(self, current, age):
        return []

    def end_sessions(self, current, age):
        return 0

    def second_account(self, current, other):
        if self.users.other is not None:
            raise RotationError("two accounts take turns already")
        url = f"pair:{self.path}?role={self.users.name}&other={other}"
        return [f'CREATE ROLE "{other}" LOGIN', f'GRANT "{self.users.name}" TO "{other}";'], url

    def make_second_account(self, current, other):
        if (self.path.parent / "refuses").exists():
            raise SourceRefusedError("the administrator may not make accounts")
        self._accept(**{other: None})


def connect(rest: str, read: object) -> PairSource:
    path, _, query = rest.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()}
    accounts = Accounts(given["role"], given.get("other"))
    return PairSource(Path(path), accounts, terminates=given.get("terminate") == "1")
