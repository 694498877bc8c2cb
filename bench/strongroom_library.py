"""strongroom as a library, with its defaults: SQLite, the key in the environment, every access in the audit log."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import strongroom

KEY = "SECRETS_MASTER_KEY"
_BATCH = 1000


class Strongroom:
    label = "**strongroom**"
    keeps = "encrypted, chained record, durable"

    def __init__(self, kind: str = "sqlite") -> None:
        self._kind = kind

    def fill(self, place: str, values: Mapping[str, str]) -> None:
        with open(os.path.join(place, "key"), "w") as file:
            file.write(strongroom.generate_master_key())
        names = list(values)
        with strongroom.init(*where(place, self._kind)) as secrets:
            for start in range(0, len(names), _BATCH):
                secrets.set_secrets({name: values[name] for name in names[start : start + _BATCH]})

    def reader(self, place: str) -> Callable[[str], str | None]:
        return strongroom.open(*where(place, self._kind)).get_secret

    def writer(self, place: str) -> Callable[[str, str], object]:
        return strongroom.open(*where(place, self._kind)).set_secret


def where(place: str, kind: str = "sqlite") -> tuple[str, str, str]:
    """Return store, key and audit log of this place, and put its key into the environment."""
    with open(os.path.join(place, "key")) as file:
        os.environ[KEY] = file.read()
    return f"{kind}:{place}/secrets.store", f"env:{KEY}", f"file:{place}/audit.log"
