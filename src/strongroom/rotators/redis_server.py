"""A Redis server, asked about one of its users and told to change it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from strongroom.errors import RotationError
from strongroom.rotators.accounts import Login, Refused

SAVE = {"aclfile": "ACL SAVE", "config": "CONFIG REWRITE", "no": None}
"""How the server keeps its users over a restart."""


class Server:
    """Where the server is, and what it does to keep its users."""

    def __init__(self, where: dict[str, Any], save: str) -> None:
        self._where = where
        self._save = SAVE[save]

    @contextmanager
    def connected(self, login: Login) -> Iterator[Any]:
        """Log in; raises `RotationError` for what goes wrong in the block too, without the server's own words."""
        import redis
        from redis.exceptions import NoPermissionError

        try:
            with redis.Redis(username=login.user, password=login.password, **self._where) as connection:
                yield connection
                return
        except NoPermissionError:
            failure = RotationError(f"Redis does not let the user {login.user!r} change users; it needs +acl")
        except redis.AuthenticationError:
            failure = Refused(f"Redis refuses the user {login.user!r}")
        except (redis.RedisError, OSError) as error:
            asks = "; has it a certificate? tls= names its authority, tls=no does without" if self._where["ssl"] else ""
            failure = RotationError(f"Redis failed with {type(error).__name__}, as user {login.user!r}{asks}")
        raise failure

    def log_in(self, login: Login) -> None:
        """Raise `Refused` unless the server takes this password."""
        from redis.exceptions import NoPermissionError

        # A user who may not ping has logged in all the same.
        with self.connected(login) as connection, suppress(NoPermissionError):
            connection.ping()

    def accepts(self, login: Login) -> bool:
        """True when the server takes this password."""
        try:
            self.log_in(login)
        except Refused:
            return False
        return True

    def passwords(self, connection: Any, user: str) -> list[str]:
        """Return the hashes that a user has; raises `RotationError` for one who is not there, or needs no password."""
        # `ACL SETUSER` would make a user who is not there, and end what `nopass` allows.
        found = connection.acl_getuser(user)
        if found is None:
            raise RotationError(f"Redis has no user {user!r}")
        if "nopass" in found["flags"]:
            raise RotationError(f"Redis takes any password for the user {user!r} (nopass); give it one first")
        return [str(password) for password in found["passwords"]]

    def change(self, connection: Any, user: str, rule: str) -> None:
        """Apply a rule to a user, and keep it."""
        connection.execute_command("ACL SETUSER", user, rule)
        self.write_down(connection)

    def write_down(self, connection: Any) -> None:
        """Keep the users as they are now over a restart; raises `RotationError` when the server cannot."""
        import redis

        if self._save is None:
            return
        try:
            # With an aclfile, CONFIG REWRITE says that all is well, and leaves the users out.
            if self._save == SAVE["config"] and connection.config_get("aclfile").get("aclfile"):
                raise RotationError("Redis has its users in an aclfile: say save=aclfile")
            connection.execute_command(self._save)
        except redis.ResponseError:
            raise RotationError(
                f"Redis cannot keep changed users over a restart: {self._save} failed. Start it with an aclfile, or "
                "say save=config where redis.conf has its users, or save=no where whoever starts it gives the password"
            ) from None
