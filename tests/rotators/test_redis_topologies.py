"""Several Redis servers share no users: a rotation tells each of them, or none."""

from __future__ import annotations

import shutil

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, ConflictError, RotationError, SourceRefusedError

pytest.importorskip("redis")

from strongroom.testing.rotators import RotatorConformance

from .redis_groups import Cluster, Group, nodes_known_to, until
from .servers import ADMIN, Sentinel

FIRST = {"value": "first"}


def read(name):
    return {"admin": {"value": ADMIN}, "sentinel": {"password": "of-the-sentinels"}}[name]


def rotator(url):
    return drivers.rotator(url, read)


@pytest.fixture
def manager(make_manager):
    manager = make_manager()
    manager.set_secrets({"A": "first", "admin": ADMIN})
    return manager


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A primary and a replica that no test stops."""
    group = Group(tmp_path_factory.mktemp("shared"))
    try:
        group.add()
        group.add_replica()
        yield group
    finally:
        group.stop()


@pytest.fixture
def pair(shared):
    shared.reset()
    return shared


@pytest.fixture
def three(tmp_path):
    """Three servers that a test may stop."""
    group = Group(tmp_path)
    try:
        for _ in range(3):
            group.add()
        yield group
    finally:
        group.stop()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(nodes):
    nodes.reset()
    return nodes


class OnSeveral(RotatorConformance):
    """All servers accept a password, or none does."""

    @pytest.fixture
    def current(self):
        return FIRST

    def accepts(self, data):
        accepted = set(self.group.accept(data["value"]))
        assert len(accepted) == 1, "the servers differ"
        return accepted.pop()


class TestPair(OnSeveral):
    @pytest.fixture
    def rotator(self, pair):
        self.group = pair
        return rotator(pair.url())


class TestPairOnItsOwn(OnSeveral):
    @pytest.fixture
    def rotator(self, pair):
        self.group = pair
        for server in pair.servers:
            server.command("ACL SETUSER", "app", "+acl")
        return rotator(pair.url().replace("default@", "").replace("admin_secret=admin&", ""))


class TestCluster(OnSeveral):
    @pytest.fixture
    def rotator(self, cluster):
        self.group = cluster
        return rotator(cluster.url("&cluster=yes", ports=[cluster.servers[3].port]))


# A list of servers.


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


# Replicas.


def test_a_replica_without_its_primary_is_refused(pair):
    replica = pair.servers[1].port
    with pytest.raises(SourceRefusedError, match=rf"is a replica: name the primary .*127.0.0.1:{pair.primary.port}"):
        rotator(pair.url(ports=[replica])).check(FIRST)


def test_a_primary_whose_replicas_are_not_named_is_refused(pair):
    alone = [pair.primary.port]
    with pytest.raises(SourceRefusedError, match=rf"replicas .* not told .*: 127.0.0.1:{pair.servers[1].port}\. "):
        rotator(pair.url(ports=alone)).check(FIRST)
    rotator(pair.url("&replicas=ignore", ports=alone)).check(FIRST)
    assert rotator(pair.url()).check(FIRST) == []


def test_a_replica_of_another_primary_is_no_replica_of_this_one(pair, tmp_path):
    strange = Group(tmp_path)
    try:
        port = strange.add().port
        with pytest.raises(SourceRefusedError, match="is a replica: name the primary"):
            rotator(pair.url(ports=[port, pair.servers[1].port])).check(FIRST)
    finally:
        strange.stop()


def test_the_user_that_replication_logs_in_as_is_not_rotated(pair):
    url = pair.url().replace("default@", "admin@").replace("user=app", "user=default")
    for server in pair.servers:
        server.command("ACL SETUSER", "admin", "on", f">{ADMIN}", "+@all", "~*")
    with pytest.raises(SourceRefusedError, match=r"'default' \(masteruser, masterauth\).*a user of its own"):
        rotator(url).check({"value": ADMIN})


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


def test_a_name_with_several_addresses_is_said(pair, monkeypatch):
    rows = [(2, 1, 6, "", (f"10.0.0.{n}", 6379)) for n in (1, 2, 2)]
    monkeypatch.setattr("strongroom.rotators.redis_replication.getaddrinfo", lambda *_: rows)
    said = rotator(pair.url()).check(FIRST)
    assert len(said) == 2
    assert "has 2 addresses (10.0.0.1, 10.0.0.2): if these are several servers" in said[0]


def test_an_administrator_who_may_not_ask_for_replicas_is_told(pair):
    for server in pair.servers:
        server.command("ACL SETUSER", "little", "on", f">{ADMIN}", "+acl")
    said = rotator(pair.url().replace("default@", "little@")).check(FIRST)
    assert any("whether servers are missing is not known" in text and "it needs +info" in text for text in said)


# A cluster.


def test_all_nodes_of_a_cluster_are_found_from_one(cluster, manager):
    url = cluster.url("&cluster=yes", ports=[cluster.servers[1].port])
    manager.rotation.attach("A", url, grace=0)
    manager.rotate_secret("A")
    assert cluster.accept(manager.get_secret("A")) == [True] * len(cluster.servers)
    assert cluster.accept("first") == [False] * len(cluster.servers)


def test_a_node_of_a_cluster_is_not_taken_for_a_server_alone(cluster, three):
    with pytest.raises(SourceRefusedError, match=r"is a node of a cluster.*say cluster=yes"):
        rotator(cluster.url(ports=[cluster.primary.port])).check(FIRST)
    with pytest.raises(SourceRefusedError, match="is not a node of a cluster: leave cluster=yes out"):
        rotator(three.url("&cluster=yes")).check(FIRST)


def test_the_administrators_secret_is_read_once_for_all_nodes(cluster):
    asked = []
    one = drivers.rotator(cluster.url("&cluster=yes"), lambda name: asked.append(name) or read(name))
    for step in (one.check, one.test):
        step(FIRST)
        assert asked == ["admin"]
        asked.clear()


def test_another_node_is_asked_when_the_first_does_not_answer(cluster):
    rotator(cluster.url("&cluster=yes", ports=[1, cluster.primary.port])).check(FIRST)


def test_a_node_that_was_added_and_one_that_is_down_are_found(cluster):
    one = rotator(cluster.url("&cluster=yes", ports=[cluster.primary.port]))
    one.check(FIRST)
    node = cluster.add_node()
    try:
        node.command("ACL SETUSER", "app", "resetpass", ">another")
        until(lambda: all(f"127.0.0.1:{node.port}" in nodes_known_to(one) for one in cluster.servers))
        with pytest.raises(SourceRefusedError, match=rf":{node.port} refuses the user 'app', who has another password"):
            one.check(FIRST)
        node.stop()
        with pytest.raises(
            SourceRefusedError, match=rf":{node.port} failed.*nothing listens .*`CLUSTER FORGET [0-9a-f]+`"
        ):
            one.set({"value": "new"}, FIRST)
        assert cluster.servers.pop() is node
        assert cluster.accept("new") == [False] * 4
    finally:
        node.stop()
        gone = nodes_known_to(cluster.primary)[f"127.0.0.1:{node.port}"]["node_id"]
        for server in cluster.servers:
            server.command("CLUSTER FORGET", gone)


@pytest.mark.parametrize(
    ("tls", "line", "host", "port"),
    [
        ("no", "id 10.0.0.1:6379@16379 master - 0 0 1 connected 0-5460", "10.0.0.1", 6379),
        ("no", "id 10.0.0.1:6379@16379,n1.example,shard-id=x slave,fail? id 0 0 1 connected", "10.0.0.1", 6379),
        ("system", "id 10.0.0.1:6379@16379,n1.example master - 0 0 1 connected", "n1.example", 6379),
        ("system", "id 10.0.0.1:6379@16379,, master - 0 0 1 connected", "10.0.0.1", 6379),
        ("no", "id :7000@17000 myself,master - 0 0 1 connected", "seed", 7000),
        ("no", "id fd00::1:7000@17000 master - 0 0 1 connected", "fd00::1", 7000),
        ("no", "id :0@0 master,noaddr - 0 0 1 disconnected", None, None),
        ("no", "id 10.0.0.1:6379@16379 handshake - 0 0 1 connected", None, None),
    ],
)
def test_the_forms_of_a_line_about_a_node_are_read(tls, line, host, port):
    from strongroom.rotators.redis_server import How, Server
    from strongroom.rotators.redis_topology import Cluster as ByNode

    class Node:
        name = "Redis at seed:6379"

        def ask(self, *_):
            return line + "\n"

    found = ByNode((Server("seed", 6379, How({"tls": tls}, 1)),))
    if host is None:
        with pytest.raises(SourceRefusedError, match="does not know where the node id of its cluster is"):
            found.servers(lambda _: Node())
        return
    (server,) = found.servers(lambda _: Node())
    assert (server.host, server.port) == (host, port)


# Sentinels.


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


# What a URL may say.


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
