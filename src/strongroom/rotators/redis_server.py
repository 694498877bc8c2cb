"""A Redis server, asked about one of its users and told to change it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Login, Refused

SAVE = {"aclfile": "ACL SAVE", "config": "CONFIG REWRITE", "no": None}
"""How the server keeps its users over a restart."""


class Server:
    """Where the server is, and what it does to keep its users."""

    def __init__(self, where: dict[str, Any], save: str, known_as: str = "") -> None:
        self._where = where
        self._save = SAVE[save]
        self._changed = False
        self.known_as = known_as

    @contextmanager
    def connected(self, login: Login) -> Iterator[Any]:
        """Log in; raises `RotationError` for what goes wrong in the block too, without the server's own words."""
        import redis
        from redis.exceptions import NoPermissionError

        self._changed = False
        failure: RotationError
        try:
            with redis.Redis(username=login.user, password=login.password, **self._where) as connection:
                yield connection
                return
        except NoPermissionError:
            failure = SourceRefusedError(
                f"{self._name} does not let the user {login.user!r} change users; it needs +acl"
            )
        except redis.AuthenticationError:
            failure = Refused(f"{self._name} refuses the user {login.user!r}")
        except redis.ResponseError as error:
            failure = self._refusal(f"{self._name} failed, as user {login.user!r}: {_why(error)}")
        except (redis.RedisError, OSError) as error:
            asks = "; has it a certificate? tls= names its authority, tls=no does without" if self._where["ssl"] else ""
            failure = RotationError(f"{self._name} failed with {type(error).__name__}, as user {login.user!r}{asks}")
        raise failure

    @property
    def _name(self) -> str:
        return f"Redis at {self._where['host']}:{self._where['port']}"

    def _refusal(self, text: str) -> RotationError:
        """Return an error of the server's, which has changed nothing unless it did so before."""
        return RotationError(text) if self._changed else SourceRefusedError(text)

    def check_is_primary(self, connection: Any) -> None:
        """Raise `SourceRefusedError` for a replica: users are not replicated, and its own would be another's."""
        from redis.exceptions import NoPermissionError

        # A user who may not ask is asked to change users all the same.
        with suppress(NoPermissionError):
            if connection.execute_command("ROLE")[0] in ("slave", b"slave"):
                raise SourceRefusedError(f"{self._name} is a replica: name the primary in the rotator's URL")

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
            raise SourceRefusedError(f"{self._name} has no user {user!r}")
        if "nopass" in found["flags"]:
            raise SourceRefusedError(
                f"{self._name} takes any password for the user {user!r} (nopass); give it one first"
            )
        return [str(password) for password in found["passwords"]]

    def change(self, connection: Any, user: str, *rules: str) -> None:
        """Apply rules to a user, and keep them."""
        connection.execute_command("ACL SETUSER", user, *rules)
        self._changed = True
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
            raise self._refusal(
                f"Redis cannot keep changed users over a restart: {self._save} failed. Start it with an aclfile, or "
                "say save=config where redis.conf has its users, or save=no where whoever starts it gives the password"
            ) from None


def _why(error: Exception) -> str:
    """Return what the first word of an answer means: Redis has a code there, and quotes nothing in it."""
    words = {
        "READONLY": "it is a replica: name the primary in the rotator's URL",
        "MOVED": "it is a node of a cluster that sent us elsewhere",
        "LOADING": "it is still loading its data; try again",
        "MISCONF": "it cannot write to its disk",
        "OOM": "it is out of memory",
    }
    return words.get(str(error).partition(" ")[0], type(error).__name__)
