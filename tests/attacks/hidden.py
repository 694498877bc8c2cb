"""Values and keys that must not be seen, and drivers that fail beside them."""

from __future__ import annotations

from typing import Any

import strongroom
from campaign.canary import CANARY
from strongroom.crypto.argon2 import Argon2Cost
from strongroom.crypto.master_key import parse_key

from .reporter import needles, shown

PASSPHRASE = "a passphrase that nobody knows"


class Failing:
    """Stands before a store or an audit sink, and fails at one call of one method."""

    def __init__(self, inner, method: str, error: BaseException) -> None:
        self._inner, self._method, self._error = inner, method, error
        self.left = -1

    def __getattr__(self, name):
        member = getattr(self._inner, name)
        if name != self._method:
            return member

        def call(*args, **kwargs):
            self.left -= 1
            if self.left == -1:
                raise self._error
            return member(*args, **kwargs)

        return call


class Rotator:
    """Fails at one step, in the way of a library that quotes what it was given."""

    grace = 0.0

    def __init__(self, step: str = "", error: type[BaseException] = ValueError) -> None:
        self.step, self.error = step, error

    def __getattr__(self, step):
        if step not in ("create", "set", "test", "retire"):
            raise AttributeError(step)

        def call(*given):
            held = [dict(each) for each in given]
            if step == self.step:
                raise self.error(held)
            return {"value": CANARY + "2"}

        return call


class Setting:
    """A store in memory with the canary in it, and the needles of all that must not be seen."""

    def __init__(self, key: str, audit: Any = "memory:", store: str = "memory:") -> None:
        self.secrets = strongroom.init(store, "env:SECRETS_MASTER_KEY", audit, actor="alice")
        self.secrets.set_secrets({"A": CANARY, "F": {"user": "u", "password": CANARY}})
        self.secrets.set_secret("A", CANARY + "1")
        engine = self.secrets._access.engine
        keys = [each.secret for each in engine.unlocked.keyset.keys.values()]
        self.hidden = needles(CANARY, key, parse_key(key), engine.unlocked.root, *keys, PASSPHRASE)

    def check(self, error: BaseException) -> None:
        assert shown(error, self.hidden) == []


class Open:
    """A store that stays open: one that cannot be unlocked is closed."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name):
        return (lambda: None) if name == "close" else getattr(self._inner, name)


def cheap():
    return Argon2Cost(64, 1, 1)
