"""Connections of a user that are open at a Redis server, which a removed password leaves open."""

from __future__ import annotations

import time
from typing import NamedTuple

from strongroom.rotators.redis_connection import Connection
from strongroom.rotators.redis_errors import NotAllowed

NOBODY = (1 << 63) - 1
"""The id of a connection that there has never been."""


class Client(NamedTuple):
    """One connection."""

    id: int
    age: int
    """Seconds since it was opened."""
    name: str
    flags: str

    @property
    def is_replication(self) -> bool:
        """True for the link to a replica (S) or to the primary (M)."""
        return bool(set("SM") & set(self.flags))


def clients(connection: Connection, user: str) -> list[Client]:
    """Return the connections of a user but this one: those of programs, pub/sub, MONITOR, and links.

    Raises `NotAllowed` without the right to `CLIENT LIST`.
    """
    try:
        own = int(connection.ask("CLIENT", "ID"))
    except NotAllowed:
        own = 0
    found = []
    for line in str(connection.ask("CLIENT", "LIST")).splitlines():
        fields = dict(pair.partition("=")[::2] for pair in line.split(" "))
        if fields.get("user") == user and int(fields["id"]) != own:
            found.append(Client(int(fields["id"]), int(fields["age"]), fields.get("name", ""), fields["flags"]))
    return found


def opened_before(connection: Connection, user: str, age: float, asked: float) -> list[Client]:
    """Return the sessions that were older than `age` seconds at the moment `asked`; Redis counts whole ones."""
    found = clients(connection, user)
    age += time.monotonic() - asked
    return [client for client in found if client.age > age and not client.is_replication]


def end(connection: Connection, sessions: list[Client]) -> int:
    """End sessions, and return how many there still were."""
    # `CLIENT KILL ID` does not end the connection that asks.
    return sum(int(connection.ask("CLIENT", "KILL", "ID", client.id)) for client in sessions)


def check_may_end(connection: Connection) -> None:
    """Raise `NotAllowed` without the right to end sessions, which is tried on one that is not there."""
    connection.ask("CLIENT", "LIST")
    connection.ask("CLIENT", "KILL", "ID", NOBODY)
