"""`postgresql://…`: the password of a role of a PostgreSQL server.

    postgresql://db.example:5432/app?role=app                                    the role changes its own password
    postgresql://admin@db.example/app?role=app&admin_secret=pg/admin             an administrator changes it
    postgresql://admin@db.example/app?role=app_a&other=app_b&admin_secret=…      two roles take turns

One role (single user) has one password: the old one ends for new connections when the new one is set, and promotion
follows within milliseconds; open connections go on. Two roles (alternating users) leave no such gap: the secret has the
fields `username` and `password`, each rotation moves it to the other role, and the one before keeps its password until
it is retired, which takes its password away. Both roles must exist, with the same rights.

A plain secret is the password. The server gets a SCRAM-SHA-256 verifier (RFC 5802, computed by libpq), so that no
statement log ever holds a password. `admin_secret` names the secret of the administrator's password; without it libpq's
own ways (PGPASSWORD, .pgpass) apply. Further options: `length`, `alphabet`, `sslmode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from strongroom.errors import ConfigError, MissingExtraError, RotationError
from strongroom.rotators.values import POLICY, Policy, options, password_field

TIMEOUT = 10
"""Seconds for a connection, and for a statement."""
OPTIONS = POLICY | {"role", "other", "admin_secret", "sslmode"}
_REFUSED = ("28P01", "28000")
Read = Callable[[str], Mapping[str, Any]]


class Server:
    """Where the server is, and who its administrator is."""

    def __init__(self, place: dict[str, Any], admin: str | None, password: Callable[[], str] | None) -> None:
        self._place = place
        self.admin = admin
        self._password = password

    @contextmanager
    def connected(self, user: str, password: str | None) -> Iterator[Any]:
        """Connect; raises `RotationError` for what goes wrong in the block too, without the server's own words."""
        import psycopg

        known: dict[str, Any] = {} if password is None else {"password": password}
        state: str | None
        try:
            with psycopg.connect(user=user, **known, **self._place) as connection:
                yield connection
                return
        except psycopg.Error as error:
            # libpq gives no code for a refusal at connect; its text has been the same for decades.
            refused = "authentication failed" in str(error) or error.sqlstate in _REFUSED
            state = error.sqlstate or ("the password was refused" if refused else "no connection")
        raise Refused(user, state) if refused else RotationError(f"PostgreSQL: {state}, as role {user!r}")

    def as_admin(self) -> Any:
        """Connect as the administrator."""
        assert self.admin is not None
        return self.connected(self.admin, None if self._password is None else self._password())


class Refused(RotationError):
    """The server does not take this password."""

    def __init__(self, user: str, state: str) -> None:
        super().__init__(f"PostgreSQL refuses the role {user!r} ({state})")


class PostgresqlRotator:
    """Changes the password of a role, or lets two roles take turns."""

    def __init__(self, server: Server, role: str, other: str | None, policy: Policy) -> None:
        self._server = server
        self._role = role
        self._other = other
        self._policy = policy

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two roles the one whose turn it is."""
        pending = {**current, password_field(current): self._policy.draw()}
        if self._other is not None:
            turn = {self._role: self._other, self._other: self._role}
            if current.get("username") not in turn:
                raise RotationError(f"the secret's field username is neither {self._role!r} nor {self._other!r}")
            pending["username"] = turn[current["username"]]
        return pending

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Give the role the pending password; one that has it already keeps it."""
        role, password = self._login(pending)
        if self._server.admin is not None:
            with self._server.as_admin() as connection:
                _alter(connection, role, password)
        elif not self._accepts(role, password):
            with self._server.connected(*self._login(current)) as connection:
                _alter(connection, role, password)

    def test(self, pending: Mapping[str, Any]) -> None:
        """Connect with the pending password."""
        with self._server.connected(*self._login(pending)) as connection:
            connection.execute("SELECT 1")

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Take the password of the role that is not current away; a single role has lost the old one already."""
        role, _ = self._login(previous)
        if role != self._login(current)[0]:
            with self._server.as_admin() as connection:
                _alter(connection, role, None)

    def _login(self, data: Mapping[str, Any]) -> tuple[str, str]:
        role = data.get("username", self._role)
        password = data.get(password_field(data))
        if role not in (self._role, self._other):
            raise RotationError(f"the secret is not of the role {self._role!r}: its field username differs")
        if not isinstance(password, str) or not password or "\0" in password:
            raise RotationError("the secret has no text in its field password or value")
        return role, password

    def _accepts(self, role: str, password: str) -> bool:
        try:
            with self._server.connected(role, password):
                return True
        except Refused:
            return False


def _alter(connection: Any, role: str, password: str | None) -> None:
    from psycopg import sql

    verifier: sql.Composable = sql.SQL("NULL")
    if password is not None:
        encrypted = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
        verifier = sql.Literal(encrypted.decode())
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), verifier))


def connect(rest: str, read: Read) -> PostgresqlRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without psycopg."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise MissingExtraError("postgresql: needs psycopg: pip install 'strongroom[psycopg]'") from None
    try:
        parts = urlsplit(f"postgresql:{rest}")
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        host, port, user = None, None, None
    if not host or parts.password or parts.fragment:
        raise ConfigError("postgresql: is written postgresql://host:port/database?role=NAME, without a password")
    given = options(parts.query, OPTIONS, "postgresql:")
    if not given.get("role") or (user is None and ("other" in given or "admin_secret" in given)):
        raise ConfigError("postgresql: needs role=NAME, and an administrator (admin@host) for other= and admin_secret=")
    place = {"host": host, "port": port or 5432, "dbname": unquote(parts.path.lstrip("/")) or "postgres",
             "connect_timeout": TIMEOUT, "options": f"-c statement_timeout={TIMEOUT}s", "autocommit": True,
             "application_name": "strongroom"} | {k: given[k] for k in ("sslmode",) if k in given}  # fmt: skip
    secret = given.get("admin_secret")
    password = None if secret is None else lambda: _password(read(secret))
    server = Server(place, None if user is None else unquote(user), password)
    return PostgresqlRotator(server, given["role"], given.get("other"), Policy.of(given))


def _password(data: Mapping[str, Any]) -> str:
    return str(data.get(password_field(data), ""))
