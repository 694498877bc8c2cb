"""Looks whether the servers that a rotator changes are all that there are, and nothing but clients log in as the user.

A replica that is not told of a new password refuses it, and a failover would make that replica the primary.
"""

from __future__ import annotations

from collections.abc import Sequence
from socket import AF_INET, SOCK_STREAM, getaddrinfo
from typing import NamedTuple

from strongroom.errors import SourceRefusedError
from strongroom.rotators.redis_connection import Connection
from strongroom.rotators.redis_errors import NotAllowed
from strongroom.rotators.redis_sessions import clients


class Role(NamedTuple):
    """What a server says of its replication."""

    connection: Connection
    fields: dict[str, str]

    @property
    def is_replica(self) -> bool:
        """True for a replica."""
        return self.fields.get("role") == "slave"

    @property
    def primary(self) -> str:
        """Where its primary is."""
        return f"{self.fields.get('master_host')}:{self.fields.get('master_port')}"

    @property
    def replicas(self) -> list[str]:
        """Where its own replicas are."""
        rows = [self.fields.get(f"slave{n}", "") for n in range(int(self.fields.get("connected_slaves", 0)))]
        pairs = [dict(pair.partition("=")[::2] for pair in row.split(",")) for row in rows]
        return [f"{row.get('ip')}:{row.get('port')}" for row in pairs]


def look_around(connections: Sequence[Connection], user: str, *, is_cluster: bool, ignores_replicas: bool) -> list[str]:
    """Raise `SourceRefusedError` when a server is missing; return what could not be found out, in words."""
    said: list[str] = []
    try:
        roles = [Role(connection, _info(connection, "replication")) for connection in connections]
        if not is_cluster:
            _check_is_no_cluster(connections)
    except NotAllowed as error:
        roles = []
        said.append(f"whether servers are missing is not known: {error}")
    if roles and not is_cluster:
        _check_has_primaries(roles)
        if not ignores_replicas:
            _check_is_complete(roles)
    if not is_cluster:
        said += [text for connection in connections for text in _several_addresses(connection)]
    has_replicas = any(role.is_replica or role.replicas for role in roles)
    for connection in connections:
        try:
            _check_is_no_link(connection, user, has_replicas=has_replicas)
        except NotAllowed as error:
            if has_replicas:
                said.append(f"whether replication logs in as {user!r} is not known: {error}")
    return said


def _info(connection: Connection, section: str) -> dict[str, str]:
    lines = str(connection.ask("INFO", section)).splitlines()
    return dict(line.partition(":")[::2] for line in lines if ":" in line)


def _check_is_no_cluster(connections: Sequence[Connection]) -> None:
    for connection in connections:
        if _info(connection, "cluster").get("cluster_enabled") == "1":
            raise SourceRefusedError(
                f"{connection.name} is a node of a cluster, whose nodes share no users: say cluster=yes, then all of "
                "them are told"
            )


def _several_addresses(connection: Connection) -> list[str]:
    """Say that a name stands for several machines, of which each connection reaches one or another."""
    host, port, *_ = connection.server
    try:
        found = {row[4][0] for row in getaddrinfo(host, port, AF_INET, SOCK_STREAM)}
    except OSError:
        return []
    if len(found) < 2:
        return []
    where = ", ".join(sorted(map(str, found)))
    return [
        f"{connection.name} has {len(found)} addresses ({where}): if these are several servers, name each of them, "
        "because they share no users"
    ]


def _check_has_primaries(roles: Sequence[Role]) -> None:
    # A replica has the replication id of its primary; addresses differ where either has several.
    known = {role.fields.get("master_replid") for role in roles if not role.is_replica}
    for role in roles:
        if role.is_replica and role.fields.get("master_replid") not in known:
            link = "" if role.fields.get("master_link_status") == "up" else ", to which its link is down"
            raise SourceRefusedError(
                f"{role.connection.name} is a replica: name the primary in the rotator's URL ({role.primary}{link}), "
                "and all of its replicas"
            )


def _check_is_complete(roles: Sequence[Role]) -> None:
    named = {f"{role.connection.server.host}:{role.connection.server.port}" for role in roles}
    replicas = [replica for role in roles for replica in role.replicas]
    if len(replicas) <= sum(role.is_replica for role in roles):
        return
    missing = [replica for replica in replicas if replica not in named] or replicas
    whose = next(role.connection.name for role in roles if set(role.replicas) & set(missing))
    raise SourceRefusedError(
        f"{whose} has replicas that are not told of a new password, as users are not replicated: "
        f"{', '.join(sorted(missing))}. Name all servers in the URL (host:port,host:port), or say replicas=ignore "
        "where nobody logs in to them and no failover is meant"
    )


def _check_is_no_link(connection: Connection, user: str, *, has_replicas: bool) -> None:
    """Raise `SourceRefusedError` when replication or a Sentinel logs in as the user: it has the password in a file."""
    if has_replicas:
        answer = connection.ask("CONFIG", "GET", "masteruser") or ["masteruser", ""]
        if (answer[1] or "default") == user:
            raise SourceRefusedError(
                f"{connection.name} logs in to its primary as {user!r} (masteruser, masterauth), and would be refused "
                "once the previous password is retired: give replication a user of its own on each server "
                "(`ACL SETUSER replication on #SHA256 +psync +replconf +ping`, masteruser, masterauth)"
            )
    for client in clients(connection, user):
        if client.is_replication or client.name.startswith("sentinel-"):
            who = "a replica" if client.is_replication else "a Sentinel"
            raise SourceRefusedError(
                f"{who} is logged in at {connection.name} as {user!r}, and would be refused once the previous password "
                "is retired: give it a user of its own (masteruser of replicas, `sentinel auth-user`)"
            )
