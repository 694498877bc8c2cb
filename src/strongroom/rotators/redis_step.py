"""One step of a rotation at Redis servers: its connections, which all end with it, or when it is given up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from strongroom.crypto.verifiers import redis_sha256
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Login, Refused
from strongroom.rotators.redis_connection import AnyPassword, Connection, connect
from strongroom.rotators.redis_server import Server
from strongroom.rotators.redis_url import Given


class Step:
    """Logs in at servers. `stop` may be called by another thread."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._connections: list[Connection] = []
        self._entered: dict[tuple[str, str, int], Connection] = {}
        self._admin: Login | None = None
        self._is_stopped = False

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Close all connections, and open no more."""
        self._is_stopped = True
        for connection in self._connections:
            connection.close()

    def servers(self, *logins: Login) -> list[Server]:
        """Return all servers; `logins` are those of `enter`."""
        return self._given.topology.servers(lambda server: self.enter(server, *logins))

    def enter_all(self, *logins: Login) -> list[Connection]:
        """Log in at all servers, before any of them is asked for something."""
        return [self.enter(server, *logins) for server in self.servers(*logins)]

    def enter(self, server: Server, *logins: Login) -> Connection:
        """Log in, once, as the administrator, or as the user itself with the first of `logins` that is accepted."""
        place = server.kind, server.host, server.port
        if place not in self._entered:
            self._entered[place] = self._enter(server, *logins)
        return self._entered[place]

    def _enter(self, server: Server, *logins: Login) -> Connection:
        if server.kind == "Sentinel":
            return self._open(server, None if self._given.sentinel is None else self._given.sentinel())
        if self._given.admin is not None:
            # Once for all servers, because each time is on record.
            self._admin = self._admin or self._given.admin()
            return self._open(server, self._admin)
        *first, last = logins
        for login in first:
            with suppress(Refused):
                return self._open(server, login)
        return self._open(server, last)

    def prove(self, server: Server, login: Login) -> None:
        """Raise unless a server takes this password and no other, with the reason as far as it can be seen."""
        try:
            connection = self._open(server, login)
            connection.ping()
        except Refused as error:
            if self._given.admin is not None:
                look(self.enter(server), login)
            raise error from None
        try:
            (connection if self._given.admin is None else self.enter(server)).look_up(login.user)
        except AnyPassword:
            raise
        except RotationError:
            pass  # the log-in is what was asked for

    def _open(self, server: Server, login: Login | None) -> Connection:
        self._check()
        connection = connect(server, login)
        self._connections.append(connection)
        if self._is_stopped:
            # `stop` came while it was made.
            connection.close()
            self._check()
        return connection

    def _check(self) -> None:
        if self._is_stopped:
            raise RotationError("the step was given up")


def look(connection: Connection, login: Login) -> list[str]:
    """Raise `Refused` when a server cannot take this log-in; return what there is to say of the user's passwords."""
    found = connection.look_up(login.user)
    if "off" in found.flags:
        raise Refused(f"{connection.name} refuses the user {login.user!r}, who is off (`ACL SETUSER {login.user} on`)")
    if redis_sha256(login.password) not in found.passwords:
        raise Refused(
            f"{connection.name} refuses the user {login.user!r}, who has another password there: somebody has changed "
            "it, or the server came back with old users"
        )
    more = len(found.passwords) - 1
    if not more:
        return []
    others = "another password" if more == 1 else f"{more} other passwords"
    return [
        f"{connection.name} accepts {others} for {login.user!r} too: the previous one until that is retired, or what "
        "somebody gave it by hand, which rotations leave alone"
    ]


def undone(connections: Sequence[Connection], user: str, error: RotationError) -> RotationError:
    """Take a new password back wherever it was added; return `error`, as a refusal when nothing is changed now."""
    if not any(connection.is_lost for connection in connections):
        with suppress(RotationError):
            for connection in connections:
                connection.take_back(user)
            return SourceRefusedError(str(error))
    told = [connection.name for connection in connections if connection.added is not None]
    if not told:
        return error
    return RotationError(f"{error}. Beside the current password, the new one is accepted at: {', '.join(told)}")
