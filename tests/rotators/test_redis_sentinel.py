"""Real Sentinels: what they watch is found, also after a failover."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError, SourceRefusedError

pytest.importorskip("redis")

from .redis_groups import Group, rotator, until
from .servers import ADMIN, Sentinel

FIRST = {"value": "first"}


@pytest.fixture(params=["open", "with a password"])
def watched(request, tmp_path):
    """A primary and a replica that a Sentinel watches; the rest of a URL."""
    group = Group(tmp_path)
    sentinel = None
    try:
        group.add()
        group.add_replica()
        closed = request.param != "open"
        sentinel = Sentinel(tmp_path, group.primary, more="requirepass of-the-sentinels" if closed else "")
        group.sentinel = sentinel.port
        group.more = "&sentinel=cache" + ("&sentinel_secret=sentinel" if closed else "")
        yield group
    finally:
        if sentinel is not None:
            sentinel.stop()
        group.stop()


def test_a_failover_between_set_and_test_is_followed(watched):
    import redis

    one = rotator(watched.url(watched.more, ports=[1, watched.sentinel]))
    password = "of-the-sentinels" if "secret" in watched.more else None
    sentinel = redis.Redis(port=watched.sentinel, password=password, decode_responses=True)

    def may_begin():
        try:
            one.check(FIRST)
        except RotationError as error:
            # The Sentinel asks the primary for its replicas now and then.
            assert "has replicas that are not told" in str(error)  # noqa: PT017
            return False
        return True

    until(may_begin)
    pending = one.create(FIRST)
    one.set(pending, FIRST)
    until(lambda: fails_over(sentinel))
    until(lambda: watched.servers[1].command("ROLE")[0] == "master")
    one.test(pending)
    one.retire(FIRST, pending)
    assert watched.accept(pending["value"]) == [True, True]
    assert watched.accept("first") == [False, False]
    watched.servers[0].stop()
    with pytest.raises(
        SourceRefusedError, match=rf":{watched.servers[0].port} failed.*gone for good, `SENTINEL RESET cache`"
    ):
        one.check(pending)
    if password is not None:
        with pytest.raises(SourceRefusedError, match=r"no Sentinel says where 'cache' is: .* wants a log-in first"):
            rotator(watched.url("&sentinel=cache", ports=[watched.sentinel])).check(pending)
    unknown = watched.more.replace("=cache", "=other")
    with pytest.raises(SourceRefusedError, match="watches no primary 'other'"):
        rotator(watched.url(unknown, ports=[watched.sentinel])).check(pending)


def fails_over(sentinel):
    import redis

    try:
        sentinel.execute_command("SENTINEL FAILOVER", "cache")
    except redis.ResponseError:
        return False  # it has not seen the replica ready yet
    return True


def test_the_user_that_a_sentinel_logs_in_as_is_not_rotated(tmp_path):
    group = Group(tmp_path)
    group.add()
    sentinel = Sentinel(tmp_path, group.primary)
    try:
        group.primary.command("ACL SETUSER", "admin", "on", f">{ADMIN}", "+@all", "~*")
        until(lambda: any(one["name"].startswith("sentinel-") for one in group.primary.command("CLIENT LIST")))
        url = group.url().replace("default@", "admin@").replace("user=app", "user=default")
        with pytest.raises(SourceRefusedError, match=r"a Sentinel is logged in .* as 'default'.*`sentinel auth-user`"):
            rotator(url).check({"value": ADMIN})
    finally:
        sentinel.stop()
        group.stop()
