"""What a store must hold after a number of operations, and the operations themselves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from strongroom.key_providers.env import EnvKeyProvider
from strongroom.manager.manager import SecretsManager

NAMES = [f"app/{n}" for n in range(6)]
KEYS = ("CAMPAIGN_KEY_0", "CAMPAIGN_KEY_1")
KEEP = 4
WEIGHTS = {"set": 6, "rotate": 5, "import": 4, "destroy": 4, "rekey_data": 2, "rekey_master": 3}

Step = list[Any]
"""Name of the operation and its arguments, as JSON carries them."""


class Model:
    """For each name its versions that are kept, oldest first, None where one was destroyed; and the master key."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[int, str | None]] = {}
        self.key = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and (self.secrets, self.key) == (other.secrets, other.key)

    def __repr__(self) -> str:
        return f"Model(key={self.key}, {self.secrets})"

    def after(self, step: Step) -> Model:
        """Return what the store holds once `step` is done."""
        model = Model()
        model.secrets = {name: dict(versions) for name, versions in self.secrets.items()}
        model.key = self.key
        kind, *arguments = step
        if kind in ("set", "rotate"):
            model._put(*arguments)
        elif kind == "import":
            for name, value in arguments[0].items():
                model._put(name, value)
        elif kind == "destroy":
            model.secrets[arguments[0]] = dict.fromkeys(model.secrets[arguments[0]])
        elif kind == "rekey_master":
            model.key = arguments[0]
        return model

    def _put(self, name: str, value: str) -> None:
        versions = self.secrets.setdefault(name, {})
        versions[max(versions, default=0) + 1] = value
        while len(versions) > KEEP:
            del versions[min(versions)]


def invent(model: Model, chance: random.Random) -> Step:
    """Return a random operation that `model` allows."""
    kind = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    value = f"{chance.getrandbits(64):x}" * chance.randrange(1, 6)
    live = [name for name, versions in model.secrets.items() if versions[max(versions)] is not None]
    if kind == "rekey_data":
        return [kind, chance.choice(["aes-256-gcm", "fernet"])]
    if kind == "rekey_master":
        return [kind, 1 - model.key]
    if kind == "import":
        return [kind, {name: value + name for name in chance.sample(NAMES, 3)}]
    if kind != "set" and live:
        return [kind, chance.choice(live), value]
    return ["set", chance.choice(NAMES), value]


def perform(secrets: SecretsManager, step: Step) -> None:
    """Do it."""
    kind, *arguments = step
    if kind == "set":
        secrets.set_secret(*arguments)
    elif kind == "rotate":
        secrets.rotate_secret(*arguments)
    elif kind == "import":
        secrets.set_secrets(*arguments)
    elif kind == "destroy":
        secrets.destroy_secret(arguments[0])
    elif kind == "rekey_data":
        secrets.custody.rekey_data(arguments[0])
    else:
        secrets.custody.rekey_master(EnvKeyProvider(KEYS[arguments[0]]))


def read(secrets: SecretsManager, key: int, names: Sequence[str] = NAMES) -> Model:
    """Return what the store holds of `names`, version by version; fail when it lists others."""
    model = Model()
    model.key = key
    for name in names:
        found = {info.version: secrets.get_secret(name, version=info.version) for info in secrets.history(name)}
        if found:
            assert secrets.get_secret(name) == found[max(found)], name
            model.secrets[name] = found
    live = [name for name, versions in sorted(model.secrets.items()) if versions[max(versions)] is not None]
    assert secrets.list_secrets() == live
    return model
