"""The servers that rotators are tested against, one of each for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integrations import server

from .postgres_servers import PgBouncer, Standby, start_15
from .proxy import Proxy
from .redis_groups import Cluster, Group
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


@pytest.fixture(scope="session")
def mariadb_pair() -> Iterator[tuple[MariaDb, MariaDb]]:
    """A MariaDB server, and one that follows it; the first counts for how long sessions wait."""
    pytest.importorskip("pymysql")
    primary = MariaDb("--log-bin=log", "--server-id=1", "--performance-schema=ON")
    replica = None
    try:
        replica = MariaDb("--server-id=2", "--log-bin=log")
        replica.follow(primary)
        yield primary, replica
    finally:
        primary.stop()
        if replica is not None:
            replica.stop()


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


@pytest.fixture(scope="module")
def redis_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A Redis server and its replica, which no test stops."""
    group = Group(tmp_path_factory.mktemp("redis_pair"))
    try:
        group.add()
        group.add_replica()
        yield group
    finally:
        group.stop()


@pytest.fixture
def pair(redis_pair: Group) -> Group:
    """A Redis server and its replica, where the user `app` has the password `first`."""
    redis_pair.reset()
    return redis_pair


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Group]:
    """Three Redis servers that a test may stop."""
    group = Group(tmp_path)
    try:
        for _ in range(3):
            group.add()
        yield group
    finally:
        group.stop()


@pytest.fixture(scope="module")
def redis_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Redis cluster, which no test stops."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(redis_nodes: Cluster) -> Cluster:
    """A Redis cluster, where the user `app` has the password `first`."""
    redis_nodes.reset()
    return redis_nodes
