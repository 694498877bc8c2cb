"""`redis://…`: the password of a user of a Redis server (6 or later).

    redis://admin@cache.example:6379?user=app&admin_secret=redis/admin      an administrator changes it
    redis://cache.example?user=default                                      the user changes its own password

A user accepts both passwords until the previous one is retired. A plain secret is the password. The server gets its
SHA-256 (`ACL SETUSER … #HASH`), never the password itself, except where somebody logs in with it, which Redis has no
other way for: so a server on another host must have a certificate, unless `tls=no` says that the network is yours.

Redis forgets a changed user at a restart unless it is written down. `save=aclfile`, which is also what happens without
it, writes Redis's `aclfile` (`ACL SAVE`), `save=config` its redis.conf (`CONFIG REWRITE`), and `save=no` neither: then
whoever starts Redis must give it the current password. Users are not replicated, so each server of a cluster needs them
changed on its own. Further options: `tls` (`system`, a file with the server's authority, or `no`), `length`,
`alphabet`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from strongroom.crypto.verifiers import redis_sha256
from strongroom.errors import ConfigError, MissingExtraError
from strongroom.rotators.accounts import Accounts, Login, Read, administrator
from strongroom.rotators.redis_server import SAVE, Server
from strongroom.rotators.servers import authorities, place, tls_context
from strongroom.rotators.values import POLICY, Policy

TIMEOUT = 10
"""Seconds for a connection, and for an answer."""
OPTIONS = POLICY | {"user", "admin_secret", "save", "tls"}


class RedisRotator:
    """Adds a password to a user, and removes the previous one later."""

    def __init__(self, server: Server, admin: Callable[[], Login] | None, user: str, policy: Policy) -> None:
        self._server = server
        self._admin = admin
        self._user = user
        self._accounts = Accounts(user, None)
        self._policy = policy
        self.accounts = self._accounts.names(server.known_as)
        self.users = self._accounts

    def check(self, current: Mapping[str, Any]) -> None:
        """Log in, ask for the right to change the user, and save the users as they are.

        A rotation that could not be saved is better not begun.
        """
        self._accounts.pending(current, self._policy)
        self.test(current)
        with self._changing(current) as connection:
            self._server.check_is_primary(connection)
            self._server.passwords(connection, self._user)
            # Without a rule it changes nothing, and takes the same right.
            connection.execute_command("ACL SETUSER", self._user)
            self._server.write_down(connection)

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password."""
        return self._accounts.pending(current, self._policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self._accounts.adopt(value, current)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the user accept the pending password too."""
        with self._changing(current, pending) as connection:
            self._server.passwords(connection, self._user)
            self._server.change(connection, self._user, "#" + self._hash(pending))

    def test(self, pending: Mapping[str, Any]) -> None:
        """Log in with the pending password."""
        self._server.log_in(self._accounts.login(pending))

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the user refuse the previous password."""
        with self._changing(current) as connection:
            found, new = self._server.passwords(connection, self._user), self._hash(current)
            # The value of a previous password that was destroyed is not known: then all but the current one go.
            old = {self._hash(previous)} if previous else set(found)
            gone = [f"!{hash}" for hash in found if hash in old - {new}]
            if gone:
                self._server.change(connection, self._user, *gone)
            else:
                self._server.write_down(connection)

    def _hash(self, data: Mapping[str, Any]) -> str:
        return redis_sha256(self._accounts.login(data).password)

    @contextmanager
    def _changing(self, *accepted: Mapping[str, Any]) -> Iterator[Any]:
        """Log in as the administrator, or as the user itself with the first of these that is accepted."""
        if self._admin is not None:
            login = self._admin()
        else:
            *first, last = map(self._accounts.login, accepted)
            login = next(filter(self._server.accepts, first), last)
        with self._server.connected(login) as connection:
            yield connection


def connect(rest: str, read: Read) -> RedisRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without redis-py."""
    try:
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise MissingExtraError("redis: needs redis-py: pip install 'strongroom[redis]'") from None
    where_it_is = place("redis", rest, OPTIONS)
    host, port, user, path, given = where_it_is
    password = administrator(read, given.get("admin_secret"))
    if path or not given.get("user") or (user is None) != (password is None):
        raise ConfigError(
            "redis: needs user=NAME, for an administrator (admin@host) admin_secret=NAME, and no database"
        )
    if given.get("save", "aclfile") not in SAVE:
        raise ConfigError(f"redis: save is one of: {', '.join(SAVE)}")
    vouching = authorities(host, given)
    tls = tls_context(vouching)
    where = {"host": host, "port": port or 6379, "socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT,
             "decode_responses": True, "retry": Retry(NoBackoff(), 0), "ssl": tls is not None}  # fmt: skip
    if tls is not None and vouching != "system":
        where["ssl_ca_certs"] = vouching
    admin = None if user is None or password is None else (lambda: Login(user, password()))
    server = Server(where, given.get("save", "aclfile"), where_it_is.known_as("redis", 6379))
    return RedisRotator(server, admin, given["user"], Policy.of(given))
