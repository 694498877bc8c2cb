"""`redis://…`: the password of a user of Redis servers (6 or later, or Valkey).

    redis://admin@cache.example:6379?user=app&admin_secret=redis/admin      an administrator changes it
    redis://cache.example?user=default                                      the user changes its own password
    redis://admin@a:6379,b:6379,c:6379?user=app&admin_secret=…              a primary and its replicas
    redis://admin@s1,s2,s3?sentinel=mymaster&user=app&admin_secret=…        what these Sentinels watch
    redis://admin@n1,n2?cluster=yes&user=app&admin_secret=…                 all nodes of a cluster

A user accepts both passwords until the previous one is retired. A plain secret is the password. The server gets its
SHA-256 (`ACL SETUSER … #HASH`), never the password itself, except where somebody logs in with it, which Redis has no
other way for: so a server on another host must have a certificate, unless `tls=no` says that the network is yours.

Users are not replicated. So each server accepts both passwords before any client is given the new one, each is asked
whether it does, and each refuses the previous one at the end. A server that is down is an error before any is changed;
one that says no in between has the others put back.

Redis forgets a changed user at a restart unless it is written down. `save=aclfile`, which is also what happens without
it, writes Redis's `aclfile` (`ACL SAVE`), `save=config` its redis.conf (`CONFIG REWRITE`), and `save=no` neither: then
whoever starts Redis must give it the current password. Further options: `terminate=1` (end the sessions that were
opened with a retired password), `tls` (`system`, a file with the servers' authority, or `no`), `sentinel_secret` (what
the Sentinels ask for), `replicas=ignore`, `length`, `alphabet`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from strongroom.crypto.verifiers import redis_sha256
from strongroom.errors import MissingExtraError, RotationError, SourceRefusedError
from strongroom.protocols import Sessions
from strongroom.rotators import redis_sessions
from strongroom.rotators.accounts import Accounts, Login, Read
from strongroom.rotators.redis_replication import look_around
from strongroom.rotators.redis_step import Step, look, undone
from strongroom.rotators.redis_topology import Cluster, Listed
from strongroom.rotators.redis_url import Given, parse

TIMEOUT = 10
"""Seconds for a connection, and for an answer."""
SEVERAL = 60.0
"""Seconds for a step that asks several servers."""


class RedisRotator:
    """Adds a password to a user on each server, and removes the previous one later."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._accounts = Accounts(given.user, None)
        self._step = Step(given)
        self.accounts = frozenset[str]().union(*map(self._accounts.names, given.known_as))
        self.users = self._accounts
        self.terminates = given.terminates
        is_one = isinstance(given.topology, Listed) and len(given.known_as) == 1
        self.timeout = None if is_one else SEVERAL

    def check(self, current: Mapping[str, Any]) -> list[str]:
        """Log in at each server, ask for the right to change the user, and save the users as they are.

        A rotation that could not be saved is better not begun. Returns what there is to say: passwords that the user
        has besides, what could not be found out.
        """
        self._accounts.pending(current, self._given.policy)
        login = self._login(current)
        with self._working() as step:
            connections = step.enter_all(login)
            said = look_around(
                connections, login.user, is_cluster=isinstance(self._given.topology, Cluster),
                ignores_replicas=self._given.ignores_replicas,
            )  # fmt: skip
            for connection in connections:
                said += look(connection, login)
                step.prove(connection.server, login)
            for connection in connections:
                # Without a rule it changes nothing, and takes the same right.
                connection.ask("ACL", "SETUSER", login.user)
                connection.write_down()
                if self.terminates:
                    redis_sessions.check_may_end(connection)
        return said

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password."""
        return self._accounts.pending(current, self._given.policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self._accounts.adopt(value, current)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the user accept the pending password too, on each server or on none."""
        login = self._login(pending)
        with self._working() as step:
            connections = step.enter_all(self._login(current), login)
            for connection in connections:
                connection.look_up(login.user)
            try:
                for connection in connections:
                    connection.add(login.user, redis_sha256(login.password))
            except RotationError as error:
                failure = undone(connections, login.user, error)
                raise failure from None

    def test(self, pending: Mapping[str, Any]) -> None:
        """Log in with the pending password at each server."""
        login = self._login(pending)
        with self._working() as step:
            for server in step.servers(login):
                step.prove(server, login)

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the user refuse the previous password, on servers that all accept the current one."""
        login = self._login(current)
        new = redis_sha256(login.password)
        with self._working() as step:
            connections = step.enter_all(login)
            found = [connection.look_up(login.user).passwords for connection in connections]
            for connection, passwords in zip(connections, found, strict=True):
                if new not in passwords:
                    raise SourceRefusedError(f"{connection.name} does not have the current password of {login.user!r}")
            # The value of a previous password that was destroyed is not known: then all but the current one go.
            old = {redis_sha256(self._login(previous).password)} if previous else set().union(*found)
            try:
                for connection, passwords in zip(connections, found, strict=True):
                    connection.remove(login.user, [hashed for hashed in passwords if hashed in old - {new}])
            except SourceRefusedError as error:
                raise (RotationError(str(error)) if any(one.changed for one in connections) else error) from None

    def sessions(self, current: Mapping[str, Any], age: float) -> list[Sessions]:
        """Return the user's sessions that are older than `age` seconds, on all servers.

        Raises `SourceRefusedError` when the right to ask (`+client|list`) is missing.
        """
        asked, login = time.monotonic(), self._login(current)
        with self._working() as step:
            ages = [client.age for connection in step.enter_all(login)
                    for client in redis_sessions.opened_before(connection, login.user, age, asked)]  # fmt: skip
        return [Sessions(login.user, len(ages), float(max(ages)))] if ages else []

    def end_sessions(self, current: Mapping[str, Any], age: float) -> int:
        """End these sessions, but no link of replication; return how many they were."""
        asked, login = time.monotonic(), self._login(current)
        with self._working() as step:
            return sum(
                redis_sessions.end(connection, redis_sessions.opened_before(connection, login.user, age, asked))
                for connection in step.enter_all(login)
            )

    def stop(self) -> None:
        """End the step that is under way: its connections are closed, and it makes no more."""
        self._step.stop()

    def _login(self, data: Mapping[str, Any]) -> Login:
        return self._accounts.login(data)

    @contextmanager
    def _working(self) -> Iterator[Step]:
        with Step(self._given) as step:
            self._step = step
            yield step


def connect(rest: str, read: Read) -> RedisRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without redis-py."""
    try:
        import redis.backoff  # noqa: F401
    except ImportError:
        raise MissingExtraError("redis: needs redis-py: pip install 'strongroom[redis]'") from None
    return RedisRotator(parse(rest, read, TIMEOUT))
