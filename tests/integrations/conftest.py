"""What the integrations' tests share: a manager in memory, and a real PostgreSQL server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from strongroom.manager.manager import SecretsManager

from .server import Postgres, start


@pytest.fixture
def secrets(make_manager) -> SecretsManager:
    """A manager with one secret, `DB`."""
    manager = make_manager()
    manager.set_secret("DB", "old-Password/+1")
    return manager


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "nothing happened for 20 s"
            time.sleep(0.005)

    return wait


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory) -> Iterator[Postgres]:
    """A PostgreSQL server for the session; skipped where it cannot run."""
    server = start()
    yield server
    server.stop()


@pytest.fixture
def postgres(postgres_server, secrets) -> Postgres:
    """The server with a role `app`, whose password is the secret `DB`."""
    postgres_server.set_password(secrets.get_secret("DB"))
    return postgres_server
