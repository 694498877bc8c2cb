"""The servers that rotators are tested against, one of each for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations import server

from .proxy import Proxy
from .servers import MariaDb


@pytest.fixture(scope="session")
def postgresql() -> Iterator[server.Postgres]:
    """A PostgreSQL server with the roles `app_a` and `app_b`."""
    postgres = server.start()
    postgres.execute("CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN")
    yield postgres
    postgres.stop()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDb]:
    """A MariaDB server with the accounts `app_a` and `app_b`."""
    pytest.importorskip("pymysql")
    mariadb = MariaDb()
    yield mariadb
    mariadb.stop()


@pytest.fixture
def proxy() -> Iterator[Callable[[int], Proxy]]:
    """Put a proxy before the server on a port; closed at the end."""
    made: list[Proxy] = []

    def put(port: int) -> Proxy:
        made.append(Proxy(port))
        return made[-1]

    yield put
    for one in made:
        one.close()
