"""Which Redis servers there are. Users are not replicated, so each of them has to be told of a change.

They are named one by one, or Sentinels or a node of a cluster are asked for them, anew at each step: a server that
was added, or that a failover turned round, is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.redis_connection import Connection
from strongroom.rotators.redis_server import Server

Open = Callable[[Server], Connection]
"""Connects to a server, as the administrator or the user itself; for a Sentinel, as that wants it."""


class Topology(Protocol):
    """Where the servers of a rotator are named."""

    def servers(self, connect: Open) -> list[Server]:
        """Return all servers; raises `RotationError` when they cannot be found out."""
        ...


class Listed(NamedTuple):
    """Servers that the URL names."""

    named: tuple[Server, ...]

    def servers(self, connect: Open) -> list[Server]:
        """Return them."""
        return list(self.named)


class Watched(NamedTuple):
    """A primary that Sentinels watch, and its replicas."""

    sentinels: tuple[Server, ...]
    primary: str

    def servers(self, connect: Open) -> list[Server]:
        """Return what all Sentinels that answer know: they may have noticed a change at different times."""
        found: dict[tuple[str, int], None] = {}
        answers, failure = 0, None
        for sentinel in self.sentinels:
            try:
                found |= dict.fromkeys(self._known(connect(sentinel)))
                answers += 1
            except RotationError as error:
                failure = error
        if not answers:
            assert failure is not None
            raise SourceRefusedError(f"no Sentinel says where {self.primary!r} is: {failure}")
        how = self.sentinels[0].how
        gone = f"`SENTINEL RESET {self.primary}` on each Sentinel"
        return [Server(host, port, how, if_gone=gone) for host, port in found]

    def _known(self, sentinel: Connection) -> list[tuple[str, int]]:
        primary = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.primary)
        if primary is None:
            raise SourceRefusedError(
                f"{sentinel.name} watches no primary {self.primary!r}: sentinel= is the name in its `sentinel monitor "
                "NAME …`"
            )
        replicas = [_pairs(row) for row in sentinel.ask("SENTINEL", "REPLICAS", self.primary)]
        return [(primary[0], int(primary[1])), *((row["ip"], int(row["port"])) for row in replicas)]


class Cluster(NamedTuple):
    """All nodes of a cluster, primaries and replicas, of which the URL names some."""

    seeds: tuple[Server, ...]

    def servers(self, connect: Open) -> list[Server]:
        """Return the nodes that the first seed which answers knows."""
        failure = None
        for seed in self.seeds:
            try:
                return list(_nodes(connect(seed), seed))
            except RotationError as error:
                failure = failure or error
        assert failure is not None
        raise failure


def _nodes(connection: Connection, seed: Server) -> Iterable[Server]:
    """Read lines such as `ID 10.0.0.1:6379@16379,db1.example master - 0 …`."""
    for line in str(connection.ask("CLUSTER", "NODES")).splitlines():
        node, where, flags, *_ = line.split(" ")
        marks = set(flags.split(","))
        address, _, names = where.partition(",")
        host, _, port = address.rpartition("@")[0].rpartition(":")
        if marks & {"noaddr", "handshake"}:
            raise SourceRefusedError(
                f"{connection.name} does not know where the node {node} of its cluster is ({flags}): wait until it has "
                "joined, or `CLUSTER FORGET` it on each node"
            )
        # With TLS a certificate is for a name rather than an address.
        name = names.partition(",")[0]
        if name and seed.how.tls(name) is not None:
            host = name
        yield Server(host or seed.host, int(port), seed.how, if_gone=f"`CLUSTER FORGET {node}` on each node")


def _pairs(row: list[str]) -> dict[str, str]:
    return dict(zip(row[::2], row[1::2], strict=False))
