"""A store whose managers answer hot reads from a ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import strongroom
from strongroom.manager import SecretsManager

from .reading import NAME


@pytest.fixture
def open_hot(master_key, tmp_path) -> Iterator[Callable[..., SecretsManager]]:
    """Open a sqlite store with `sync = "ring"`, which is made when there is none; closed at the end."""
    opened: list[SecretsManager] = []

    def open_hot(**more) -> SecretsManager:
        make = strongroom.open if (tmp_path / "store.db").exists() else strongroom.init
        settings = {"actor": "alice", "sync": "ring"} | more
        manager = make(f"sqlite:{tmp_path}/store.db", audit=f"file:{tmp_path}/audit.log", **settings)
        opened.append(manager)
        return manager

    yield open_hot
    for manager in opened:
        manager.close()


@pytest.fixture
def secrets(open_hot):
    secrets = open_hot()
    secrets.set_secret(NAME, "first")
    return secrets
