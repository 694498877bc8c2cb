"""A connection to a Redis server: asks about a user, changes it, and keeps that over a restart."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Login
from strongroom.rotators.redis_errors import NotAllowed, lost, refusal
from strongroom.rotators.redis_server import SAVE, Server


class AnyPassword(SourceRefusedError):
    """The user needs no password."""


class User(NamedTuple):
    """What a server knows of a user."""

    passwords: list[str]
    """Hashes."""
    flags: list[str]


class Connection:
    """A connection to a server. It is never made anew: a command whose answer is lost is not sent twice."""

    def __init__(
        self, server: Server, user: str | None, raw: Any, save: tuple[str, ...] | None, *, is_tls: bool
    ) -> None:
        """`user` has logged in by `raw`, a connection of redis-py; `save` is the command that writes the users down."""
        self.server = server
        self.user = user
        self.added: str | None = None
        """The hash that this connection gave the user."""
        self.changed = False
        """True when a change was made."""
        self.is_lost = False
        """True when nobody knows whether the last change was made."""
        self._is_saved = False
        self._is_closed = False
        self._raw = raw
        self._save = save
        self._is_tls = is_tls

    @property
    def name(self) -> str:
        """What messages call the server."""
        return self.server.name

    def close(self) -> None:
        """End the connection, also while another thread waits for an answer."""
        self._is_closed = True
        with suppress(Exception):
            self._raw.disconnect()

    def ask(self, *words: str | int, changes: bool = False) -> Any:
        """Return what the server answers; raises `SourceRefusedError` when it does not.

        `RotationError` when nobody knows whether a command that `changes` something was done.
        """
        import redis

        failure: RotationError
        try:
            if self._is_closed:
                raise redis.ConnectionError
            self._raw.send_command(*words)
            answer = self._raw.read_response()
            self.changed = self.changed or changes
            return answer
        except (redis.ResponseError, redis.AuthenticationError, redis.exceptions.BusyLoadingError) as error:
            failure = refusal(error, self.name, self.user, str(words[0]))
        except (redis.RedisError, OSError, ValueError) as error:
            # redis-py would connect anew, and send the next command there.
            self._is_closed = True
            self.is_lost = self.is_lost or changes
            text = lost(error, self.name, self.user, tls=self._is_tls, made=True)
            failure = RotationError(text) if self.is_lost else SourceRefusedError(text)
        raise failure

    def ping(self) -> None:
        """Raise `RotationError` when the server serves nobody; a user who may not ping has logged in all the same."""
        with suppress(NotAllowed):
            self.ask("PING")

    def look_up(self, user: str) -> User:
        """Return a user; raises `SourceRefusedError` for one who is not there, or needs no password."""
        # `ACL SETUSER` would make a user who is not there, and end what `nopass` allows.
        answer = self.ask("ACL", "GETUSER", user)
        if answer is None:
            raise SourceRefusedError(
                f"{self.name} has no user {user!r}: make it there, with the rights that it has on the other servers "
                f"(`ACL SETUSER {user} …`)"
            )
        pairs = dict(zip(answer[::2], answer[1::2], strict=False))
        if "nopass" in pairs["flags"]:
            raise AnyPassword(
                f"{self.name} takes any password for the user {user!r} (nopass), so that no test proves anything: give "
                f"it one (`ACL SETUSER {user} resetpass #SHA256-OF-THE-PASSWORD`)"
            )
        return User([str(password) for password in pairs["passwords"]], list(pairs["flags"]))

    def add(self, user: str, hashed: str) -> None:
        """Let a user have a password too, and keep that."""
        if hashed not in self.look_up(user).passwords:
            self.ask("ACL", "SETUSER", user, f"#{hashed}", changes=True)
            self.added = hashed
        self.write_down()
        self._is_saved = True

    def take_back(self, user: str) -> None:
        """Undo `add`, if it changed anything."""
        if self.added is not None:
            self.ask("ACL", "SETUSER", user, f"!{self.added}", changes=True)
            if self._is_saved:
                self.write_down()
            self.added = None

    def remove(self, user: str, hashes: list[str]) -> None:
        """Let a user have these passwords no more, and keep that."""
        if hashes:
            self.ask("ACL", "SETUSER", user, *(f"!{hashed}" for hashed in hashes), changes=True)
        self.write_down()

    def write_down(self) -> None:
        """Keep the users as they are now over a restart; raises `RotationError` when the server cannot."""
        if self._save is None:
            return
        # With an aclfile, CONFIG REWRITE says that all is well, and leaves the users out.
        if self._save == SAVE["config"] and (self.ask("CONFIG", "GET", "aclfile") or ["", ""])[1]:
            raise SourceRefusedError(f"{self.name} has its users in an aclfile: say save=aclfile")
        try:
            self.ask(*self._save)
        except NotAllowed:
            raise
        except SourceRefusedError as error:
            why = str(error).partition(": ")[2]
            raise SourceRefusedError(
                f"{self.name} cannot keep changed users over a restart: {' '.join(self._save)} failed: {why}"
            ) from None


def connect(server: Server, login: Login | None) -> Connection:
    """Return a connection that has logged in, unless `login` is None.

    Raises `Refused` for a password that is not taken, `SourceRefusedError` for all else: nothing was changed.
    """
    import redis
    from redis import connection
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    vouching = server.how.tls(server.host)
    settings: dict[str, Any] = {
        "host": server.host, "port": server.port, "protocol": 2, "decode_responses": True,
        "socket_timeout": server.how.timeout, "socket_connect_timeout": server.how.timeout,
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
        return Connection(server, user, raw, server.how.save, is_tls=vouching is not None)
    except (redis.ResponseError, redis.AuthenticationError, redis.exceptions.BusyLoadingError) as error:
        failure = refusal(error, server.name, user, "AUTH")
    except (redis.RedisError, OSError) as error:
        text = lost(error, server.name, user, tls=vouching is not None, made=False)
        hint = f". If it is gone for good, {server.if_gone}" if server.if_gone else ""
        failure = SourceRefusedError(text + hint)
    with suppress(Exception):
        raw.disconnect()
    raise failure
