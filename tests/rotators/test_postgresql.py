"""The rotator against a real PostgreSQL server."""

from __future__ import annotations

import time

import psycopg
import pytest

from integrations.server import ADMIN
from strongroom import drivers
from strongroom.errors import ConfigError, RotationError
from strongroom.testing.rotators import RotatorSuite

PLACE = "host=127.0.0.1 dbname=postgres"


@pytest.fixture
def server(postgresql):
    return postgresql


def read(name):
    assert name == "pg/admin"
    return {"value": ADMIN}


def url(server, strategy):
    place = f"127.0.0.1:{server.port}/postgres"
    return {
        "self": f"postgresql://{place}?role=app_a",
        "admin": f"postgresql://postgres@{place}?role=app_a&admin_secret=pg/admin",
        "alternating": f"postgresql://postgres@{place}?role=app_a&other=app_b&admin_secret=pg/admin",
    }[strategy]


def accepts(server, data):
    try:
        user, password = data.get("username", "app_a"), data.get("password", data.get("value"))
        psycopg.connect(f"{PLACE} port={server.port}", user=user, password=password).close()
    except psycopg.OperationalError:
        return False
    return True


class TestPostgresql(RotatorSuite):
    @pytest.fixture(params=["postgresql", "postgresql_15"])
    def server(self, request):
        return request.getfixturevalue(request.param)

    @pytest.fixture(params=["self", "admin", "alternating"])
    def strategy(self, request):
        return request.param

    @pytest.fixture
    def rotator(self, server, strategy):
        self.server = server
        return drivers.rotator(url(server, strategy), read)

    @pytest.fixture
    def current(self, server, strategy):
        server.execute("ALTER ROLE app_a PASSWORD 'first'; ALTER ROLE app_b PASSWORD NULL")
        return {"username": "app_a", "password": "first"} if strategy == "alternating" else {"value": "first"}

    def accepts(self, data):
        return accepts(self.server, data)


def test_of_two_roles_the_previous_one_works_until_it_is_retired(server):
    server.execute("ALTER ROLE app_a PASSWORD 'first'; ALTER ROLE app_b PASSWORD NULL")
    rotator = drivers.rotator(url(server, "alternating"), read)
    current = {"username": "app_a", "password": "first"}
    pending = rotator.create(current)
    assert pending["username"] == "app_b"
    rotator.set(pending, current)
    assert accepts(server, current)
    assert accepts(server, pending)


def test_the_password_never_reaches_the_log_of_the_server(server):
    server.execute("ALTER SYSTEM SET log_statement = 'all'")
    server.execute("SELECT pg_reload_conf()")
    server.execute("ALTER ROLE app_a PASSWORD NULL")
    rotator = drivers.rotator(url(server, "admin"), read)
    current = {"value": "first"}
    pending = rotator.create(current)
    time.sleep(0.2)
    rotator.set(pending, current)
    with open(f"{server.directory}/log") as file:
        log = file.read()
    assert 'ALTER ROLE "app_a" PASSWORD \'SCRAM-SHA-256$' in log
    assert pending["value"] not in log


def test_a_server_that_is_not_there_is_named_without_a_password(server):
    rotator = drivers.rotator("postgresql://127.0.0.1:1/postgres?role=app_a", read)
    with pytest.raises(RotationError, match="no connection") as caught:
        rotator.test({"value": "hidden"})
    assert "hidden" not in str(caught.value)


def test_a_role_that_is_not_there_is_an_error(server):
    place = f"127.0.0.1:{server.port}/postgres"
    rotator = drivers.rotator(f"postgresql://postgres@{place}?role=nobody&admin_secret=pg/admin", read)
    with pytest.raises(RotationError, match="42704"):
        rotator.set({"value": "new"}, {"value": "old"})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:",
        "postgresql://host/db",
        "postgresql://user:hidden@host/db?role=a",
        "postgresql://host/db?role=a&other=b",
        "postgresql://host/db?role=a&password=hidden",
        "postgresql://host:port/db?role=a",
    ],
)
def test_a_url_that_cannot_be_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        drivers.rotator(url, read)
    assert "hidden" not in str(caught.value)
