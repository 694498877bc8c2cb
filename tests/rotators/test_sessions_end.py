"""Sessions of a retired value at real servers: counted by a rotation, and ended where the URL says so."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg
import pytest

from integrations.server import ADMIN
from strongroom import drivers
from strongroom.rotation.rotation import Rotation

from .servers import ADMIN as OTHER_ADMIN


class PostgresSessions:
    def __init__(self, server):
        server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
        self.port = server.port
        self.url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres?admin_secret=admin&role=app_a"
        self.admin = ADMIN

    def open(self, user, password):
        place = f"host=127.0.0.1 port={self.port} dbname=postgres"
        return psycopg.connect(place, user=user, password=password, autocommit=True)

    def is_alive(self, session):
        with suppress(psycopg.Error):
            return session.execute("SELECT 1").fetchone() == (1,)
        return False


class MysqlSessions:
    def __init__(self, server):
        server.reset()
        self.port = server.port
        self.url = f"mysql://root@127.0.0.1:{server.port}?admin_secret=admin&user=app_a"
        self.admin = OTHER_ADMIN

    def open(self, user, password):
        import pymysql

        return pymysql.connect(host="127.0.0.1", port=self.port, user=user, password=password)

    def is_alive(self, session):
        import pymysql

        with suppress(pymysql.Error):
            session.ping(reconnect=False)
            return True
        return False


@pytest.fixture(params=["postgresql", "postgresql_15", "mariadb"])
def server(request):
    server = request.getfixturevalue(request.param)
    return MysqlSessions(server) if request.param == "mariadb" else PostgresSessions(server)


@pytest.fixture
def sessions(server):
    opened = []

    def open_session(data):
        opened.append(server.open(data["username"], data["password"]))
        return opened[-1]

    yield open_session
    for session in opened:
        with suppress(Exception):
            session.close()


@pytest.fixture
def rotation(make_manager, server):
    """Rotations of one secret, whose rotator is attached by what the test adds to its URL."""
    manager = make_manager()
    manager.set_secret("admin", server.admin)
    manager.set_secret("A", {"username": "app_a", "password": "first"})
    if getattr(drivers.rotator(server.url, manager.get_data), "sessions", None) is None:
        pytest.skip("the rotator knows of no sessions")
    rotation = Rotation(manager._access, drivers.rotator, 10)
    rotation.manager = manager
    return rotation


@pytest.mark.parametrize("other", ["", "&other=app_b"])
@pytest.mark.parametrize("terminate", ["", "&terminate=1"])
def test_a_session_of_the_previous_value_is_counted_or_ended(rotation, server, sessions, other, terminate):
    rotation.attach("A", server.url + other + terminate, grace=3600)
    old = sessions(rotation.manager.get_data("A"))
    time.sleep(0.5)  # a server may know of no moment before its first question
    rotation.rotate("A", wait=0)
    new = sessions(rotation.manager.get_data("A"))
    if rotation.status("A")[0].step != "idle":
        rotation.retire("A", force=True)
    assert sum(each.open for each in rotation.sessions("A")) == (0 if terminate else 1)
    assert server.is_alive(old) == (not terminate)
    assert server.is_alive(new)
    assert rotation.status("A")[0].advice is None
