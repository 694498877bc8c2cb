"""The servers that rotators are tested against, one of each for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations import server

from .postgres_servers import PgBouncer, Standby, start_15
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
def postgresql_15() -> Iterator[server.Postgres]:
    """A PostgreSQL server of release 15 with the roles `app_a` and `app_b`."""
    postgres = start_15()
    postgres.execute("CREATE ROLE app_a LOGIN; CREATE ROLE app_b LOGIN")
    yield postgres
    postgres.stop()


@pytest.fixture(scope="session")
def standby(postgresql: server.Postgres) -> Iterator[Standby]:
    """A standby of `postgresql`."""
    standby = Standby(postgresql)
    yield standby
    standby.stop()


@pytest.fixture
def pgbouncer(postgresql: server.Postgres) -> Iterator[Callable[..., PgBouncer]]:
    """Put a pgbouncer before `postgresql`, which asks it for passwords or has a list of them."""
    made: list[PgBouncer] = []

    def put(how: str, auth_type: str = "scram-sha-256", **users: str) -> PgBouncer:
        made.append(PgBouncer(postgresql, how, {"postgres": server.ADMIN} | users, auth_type))
        return made[-1]

    yield put
    for one in made:
        one.stop()


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
