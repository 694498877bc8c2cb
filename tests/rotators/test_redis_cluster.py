"""A real cluster: all of its nodes are found from one, and told."""

from __future__ import annotations

import pytest

from strongroom import drivers
from strongroom.errors import SourceRefusedError

pytest.importorskip("redis")

from .redis_groups import nodes_known_to, read, rotator, until
from .servers import ADMIN

FIRST = {"value": "first"}


@pytest.fixture
def manager(make_manager):
    manager = make_manager()
    manager.set_secrets({"A": "first", "admin": ADMIN})
    return manager


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
