"""Servers that the URL names one by one: a rotation changes each of them, or none."""

from __future__ import annotations

import shutil

import pytest

from strongroom.errors import ConfigError, ConflictError, RotationError, SourceRefusedError

pytest.importorskip("redis")

from .redis_groups import rotator
from .servers import ADMIN

FIRST = {"value": "first"}


@pytest.fixture
def manager(make_manager):
    manager = make_manager()
    manager.set_secrets({"A": "first", "admin": ADMIN})
    return manager


def test_each_server_of_a_list_gets_the_change_and_keeps_it(three, manager):
    manager.rotation.attach("A", three.url(), grace=0)
    manager.rotate_secret("A")
    new = manager.get_secret("A")
    for _ in range(2):
        assert three.accept(new) == [True] * 3
        assert three.accept("first") == [False] * 3
        three.restart()


def test_both_passwords_are_accepted_everywhere_before_promotion(pair):
    one = rotator(pair.url())
    pending = one.create(FIRST)
    one.set(pending, FIRST)
    assert pair.accept("first") == pair.accept(pending["value"]) == [True, True]
    one.test(pending)
    one.retire(FIRST, pending)
    assert pair.accept("first") == [False, False]


@pytest.mark.parametrize("down", [0, 1, 2])
def test_a_server_that_is_down_is_found_before_any_is_changed(three, manager, down):
    manager.rotation.attach("A", three.url(), grace=0)
    three.servers[down].stop()
    with pytest.raises(RotationError, match=rf"nothing was changed: .*:{three.servers[down].port} .*no connection"):
        manager.rotate_secret("A")
    with pytest.raises(
        SourceRefusedError, match=r"nothing listens there\. If it is gone for good, attach the rotator without"
    ):
        rotator(three.url()).set({"value": "new"}, FIRST)
    up = [server for server in three.servers if server is not three.servers[down]]
    assert not any(server.accepts("app", "new") for server in up)
    assert manager.get_secret("A") == "first"
    three.servers[down].start()
    manager.rotate_secret("A")
    assert three.accept(manager.get_secret("A")) == [True] * 3


@pytest.mark.parametrize("how", ["cannot save", "no user", "no right"])
def test_a_server_that_says_no_leaves_the_others_as_they_were(three, how):
    last = three.servers[2]
    if how == "cannot save":
        shutil.rmtree(last.directory)
    elif how == "no user":
        last.command("ACL DELUSER", "app")
    else:
        for server in three.servers:
            server.command("ACL SETUSER", "little", "on", f">{ADMIN}", "+acl")
        last.command("ACL SETUSER", "little", "-acl|setuser", "+acl|getuser")
    url = three.url().replace("default@", "little@" if how == "no right" else "default@")
    with pytest.raises(SourceRefusedError, match=rf"Redis at 127.0.0.1:{last.port} "):
        rotator(url).set({"value": "new"}, FIRST)
    for server in three.servers[:2]:
        server.stop()
        server.start()
    assert three.accept("new") == [False] * 3
    assert three.accept("first") == [True, True, how != "no user"]


def test_a_step_that_is_given_up_changes_no_further_server(three, manager, proxy, monkeypatch):
    ports = [server.port for server in three.servers]
    between = proxy(ports[1])
    monkeypatch.setattr("strongroom.rotators.redis.SEVERAL", 1.0)
    manager.rotation.attach("A", three.url(ports=[ports[0], between.port, ports[2]]), grace=0)
    between.lose, between.silent, between.skip = b"SETUSER", True, 1
    with pytest.raises(RotationError, match="did not answer within 1 s"):
        manager.rotate_secret("A")
    assert not manager.rotation._calls.hangs("A")
    assert [len(server.command("ACL GETUSER", "app")["passwords"]) for server in three.servers] == [2, 2, 1]
    assert three.accept("first") == [True] * 3


@pytest.mark.parametrize("then", ["resume", "abort"])
def test_a_server_that_is_lost_in_between_can_be_resumed_or_aborted(three, manager, proxy, then):
    ports = [server.port for server in three.servers]
    between = proxy(ports[1])
    manager.rotation.attach("A", three.url(ports=[ports[0], between.port, ports[2]]), grace=0)
    between.lose, between.skip = b"SETUSER", 1
    with pytest.raises(RotationError, match=rf":{between.port} failed.*resume A.*abort A") as caught:
        manager.rotate_secret("A")
    assert f"the new one is accepted at: Redis at 127.0.0.1:{ports[0]}" in str(caught.value)
    assert three.accept("first") == [True] * 3
    getattr(manager.rotation, then)("A")
    assert three.accept(manager.get_secret("A")) == [True] * 3
    assert (manager.get_secret("A") == "first") == (then == "abort")


def test_a_server_that_is_lost_at_retirement_is_retired_later(three, manager, proxy):
    ports = [server.port for server in three.servers]
    between = proxy(ports[1])
    manager.rotation.attach("A", three.url(ports=[ports[0], between.port, ports[2]]), grace=0)
    between.lose, between.skip = b"SETUSER", 2
    with pytest.raises(RotationError, match=rf":{between.port} failed.*The new value is current"):
        manager.rotate_secret("A")
    assert three.accept(manager.get_secret("A")) == [True] * 3
    assert three.accept("first") == [False, False, True]
    manager.rotation.resume("A")
    assert three.accept(manager.get_secret("A")) == [True] * 3
    assert three.accept("first") == [False] * 3


def test_a_server_that_comes_back_with_old_users_is_found_and_mended(three, manager):
    manager.rotation.attach("A", three.url(), grace=3600)
    old = three.servers[1].acl.read_bytes()
    manager.rotation.rotate("A", wait=0)
    three.servers[1].stop()
    three.servers[1].acl.write_bytes(old)
    three.servers[1].start()
    with pytest.raises(RotationError, match=rf":{three.servers[1].port} refuses .* came back with old users"):
        manager.rotation.check("A")
    manager.rotation.resume("A", wait=0)
    assert three.accept(manager.get_secret("A")) == three.accept("first") == [True] * 3
    manager.rotation.retire("A", force=True)
    assert three.accept("first") == [False] * 3


def test_servers_with_different_passwords_get_the_same_one_when_that_is_forced(three, manager):
    manager.rotation.attach("A", three.url(), grace=0)
    three.servers[1].command("ACL SETUSER", "app", "resetpass", ">old")
    with pytest.raises(RotationError, match="who has another password there"):
        manager.rotate_secret("A")
    manager.rotation.rotate("A", force=True)
    assert three.accept(manager.get_secret("A")) == [True] * 3


def test_nothing_is_retired_where_the_current_password_is_missing(three):
    one = rotator(three.url())
    for server in three.servers[:2]:
        server.command("ACL SETUSER", "app", ">new")
    with pytest.raises(SourceRefusedError, match=rf":{three.servers[2].port} does not have the current password"):
        one.retire(FIRST, {"value": "new"})
    assert three.accept("first") == [True] * 3


@pytest.mark.parametrize(
    "rest",
    ["//a,a?user=x", "//a,?user=x", "//a:x,b?user=x", "//a,b/0?user=x", "//a?user=x&sentinel=", "//a?user=x&cluster=1",
     "//a?user=x&cluster=yes&sentinel=m", "//a?user=x&sentinel_secret=s", "//a?user=x&terminate=yes", "//a:b:c?user=x",
     "//x@a?user=x&admin_secret=s", "//:hidden@a,b?user=x", "//a?user=x&replicas=no"],
)  # fmt: skip
def test_a_url_that_cannot_be_is_refused(rest):
    with pytest.raises(ConfigError) as caught:
        rotator(f"redis:{rest}")
    assert "hidden" not in str(caught.value)


def test_each_server_is_an_account_that_no_other_secret_may_rotate(manager):
    manager.set_secret("B", "x")
    manager.rotation.attach("A", "redis://h1,h2:6380?user=a", force=True)
    assert rotator("redis://[::1]:1,localhost:6380?user=a").accounts == {
        "'a' at redis://localhost:1", "'a' at redis://localhost:6380"
    }  # fmt: skip
    with pytest.raises(ConflictError, match="'A' rotates 'a' at redis://h2:6380"):
        manager.rotation.attach("B", "redis://h3,H2:6380?user=a")
