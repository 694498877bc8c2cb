"""Where a Redis server is, and how it is logged in at."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Login
from strongroom.rotators.redis_connection import SAVE, Connection
from strongroom.rotators.redis_errors import lost, refusal
from strongroom.rotators.servers import authorities, tls_context


class How(NamedTuple):
    """How all servers of a rotator are talked to."""

    options: Mapping[str, str]
    timeout: float
    """Seconds for a connection, and for an answer."""

    @property
    def save(self) -> tuple[str, ...] | None:
        """The command that writes the users down."""
        return SAVE[self.options.get("save", "aclfile")]

    def tls(self, host: str) -> str | None:
        """Return who vouches for a host; raises `ConfigError` for a file that cannot be read."""
        vouching = authorities(host, self.options)
        tls_context(vouching)
        return vouching


class Server(NamedTuple):
    """Where a server is."""

    host: str
    port: int
    how: How
    kind: str = "Redis"
    if_gone: str = ""
    """What to do when it is gone for good."""

    @property
    def name(self) -> str:
        """What messages call it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind} at {host}:{self.port}"

    def connect(self, login: Login | None) -> Connection:
        """Return a connection that has logged in, unless `login` is None.

        Raises `Refused` for a password that is not taken, `SourceRefusedError` for all else: nothing was changed.
        """
        import redis
        from redis import connection
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        vouching = self.how.tls(self.host)
        settings: dict[str, Any] = {
            "host": self.host, "port": self.port, "protocol": 2, "decode_responses": True,
            "socket_timeout": self.how.timeout, "socket_connect_timeout": self.how.timeout,
            "retry": Retry(NoBackoff(), 0), "driver_info": None,
        }  # fmt: skip
        if login is not None:
            settings |= {"username": login.user, "password": login.password}
        if vouching not in (None, "system"):
            settings["ssl_ca_certs"] = vouching
        kind: Any = connection.Connection if vouching is None else connection.SSLConnection
        raw = kind(**settings)
        user = None if login is None else login.user
        failure: RotationError
        try:
            raw.connect()
            return Connection(self, user, raw, self.how.save, is_tls=vouching is not None)
        except (redis.ResponseError, redis.AuthenticationError, redis.exceptions.BusyLoadingError) as error:
            failure = refusal(error, self.name, user, "AUTH")
        except (redis.RedisError, OSError) as error:
            text = lost(error, self.name, user, tls=vouching is not None, made=False)
            hint = f". If it is gone for good, {self.if_gone}" if self.if_gone else ""
            failure = SourceRefusedError(text + hint)
        with suppress(Exception):
            raw.disconnect()
        raise failure
