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
own ways (PGPASSWORD, .pgpass) apply.

The server must log us in with SCRAM, which tells it nothing that it does not know; `require_auth=` allows other ways,
as libpq writes them, or `any`. A server on another host must have a certificate for its name (`sslmode=verify-full`):
SCRAM guards the password, but not the statements that follow it. `sslmode=` asks for less, `sslrootcert=PATH` names
the authority, by default libpq's own file (~/.postgresql/root.crt) where there is one, else the system's. Further
options: `test` (a query that the new login must be able to run, besides logging in), `length`, `alphabet`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from strongroom.errors import ConfigError, MissingExtraError, RotationError, SourceRefusedError
from strongroom.rotators.accounts import Accounts, Read, Refused, administrator
from strongroom.rotators.postgresql_errors import REFUSED, explain, state_of
from strongroom.rotators.servers import is_local, place
from strongroom.rotators.values import POLICY, Policy

TIMEOUT = 10
"""Seconds for a connection, and for a statement."""
OPTIONS = POLICY | {"role", "other", "admin_secret", "sslmode", "sslrootcert", "require_auth", "test"}
SCRAM = "scram-sha-256"
LEAST = 160000
"""The first libpq that can be told by which way to log in."""
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


class Server:
    """Where the server is, and who its administrator is."""

    def __init__(self, where: dict[str, Any], admin: str | None, password: Callable[[], str] | None) -> None:
        self._where = where
        self.admin = admin
        self._password = password

    @contextmanager
    def connected(self, user: str, password: str | None, role: str = "") -> Iterator[Any]:
        """Connect; raises `RotationError` for what goes wrong in the block too, without the server's own words.

        That is a `SourceRefusedError` when the server has said no, so that nothing was changed: each block has one
        statement that changes something, and its last. `role` is whom it is about.
        """
        import psycopg

        known: dict[str, Any] = {} if password is None else {"password": password}
        begun = False
        try:
            with psycopg.connect(user=user, **known, **self._where) as connection:
                begun = True
                yield connection
                return
        except psycopg.Error as error:
            said = str(error)
            state = state_of(said, error.sqlstate)
            answered = error.sqlstate is not None and error.sqlstate[:3] not in ("08", "57P")
        why = explain(state, said, user, role or user)
        text = f"PostgreSQL at {self._where['host']}:{self._where['port']}, as role {user!r}: {why}"
        if state in REFUSED:
            raise Refused(text)
        raise SourceRefusedError(text) if answered or not begun else RotationError(text)

    def as_admin(self, role: str) -> Any:
        """Connect as the administrator, to change a role."""
        assert self.admin is not None
        return self.connected(self.admin, None if self._password is None else self._password(), role)


class PostgresqlRotator:
    """Changes the password of a role, or lets two roles take turns."""

    def __init__(self, server: Server, roles: Accounts, policy: Policy, place: str, test: str = "SELECT 1") -> None:
        self._server = server
        self._roles = roles
        self._policy = policy
        self._test = test
        self.accounts = roles.names(place)
        self.users = roles
        self.keeps_previous = roles.other is not None
        """A role has one password at a time."""

    def check(self, current: Mapping[str, Any]) -> list[str]:
        """Log in, and change each role that a rotation will change, in a transaction that is rolled back."""
        self._roles.pending(current, self._policy)
        self.test(current)
        roles = [self._roles.name, *([self._roles.other] if self._roles.other is not None else [])]
        for role in roles:
            with self._changing(role, current) as connection, connection.transaction(force_rollback=True):
                _alter(connection, role, self._policy.draw())
        if self._roles.other is None:
            return ["the role has one password: new log-ins with the previous value are refused as soon as the new one "
                    "is set, some milliseconds before readers get that; two roles that take turns (`other=`) have no "
                    "such gap"]  # fmt: skip
        self._compare(*roles)
        return []

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two roles the one whose turn it is."""
        return self._roles.pending(current, self._policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self._roles.adopt(value, current)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Give the role the pending password; one that has it already keeps it."""
        role, password = self._roles.login(pending)
        if self._server.admin is None and self._accepts(role, password):
            # What a process sent before it was killed may still be on its way, and change that.
            with self._server.connected(role, password) as connection, connection.transaction():
                _take_turns(connection, role)
            if self._accepts(role, password):
                return
        with self._changing(role, current) as connection:
            _alter(connection, role, password)

    def test(self, pending: Mapping[str, Any]) -> None:
        """Connect with the pending password, and run the test query."""
        with self._server.connected(*self._roles.login(pending)) as connection:
            connection.execute(self._test)

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Take the password of the role that is not current away; a single role has lost the old one already.

        A role that is gone is as good as one without a password.
        """
        role = self._roles.user(previous) if previous else self._roles.turn_of(current)
        if role is not None and role != self._roles.user(current):
            with self._server.as_admin(role) as connection:
                found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
                if found is not None:
                    _alter(connection, role, None)

    def _changing(self, role: str, current: Mapping[str, Any]) -> Any:
        if self._server.admin is not None:
            return self._server.as_admin(role)
        return self._server.connected(*self._roles.login(current))

    def _compare(self, one: str, other: str) -> None:
        """Raise `SourceRefusedError` when one of two roles is a member of more than the other."""
        member = "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole"
        with self._server.as_admin(one) as connection:
            found = [{row[0] for row in connection.execute(member, (f'"{role}"',))} for role in (one, other)]
            odd = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s) AND NOT rolcanlogin",
                                     ([one, other],)).fetchone()  # fmt: skip
        if odd is not None:
            raise SourceRefusedError(f"the role {odd[0]!r} may not log in: ALTER ROLE {odd[0]} LOGIN")
        for role, lacking in ((one, found[1] - found[0]), (other, found[0] - found[1])):
            if lacking:
                raise SourceRefusedError(
                    f"the role {role!r} is no member of {', '.join(sorted(lacking))}, as the other is: GRANT it, since "
                    "readers get one after the other"
                )

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
    with connection.transaction():
        _take_turns(connection, role)
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), verifier))


def _take_turns(connection: Any, role: str) -> None:
    """Let one transaction at a time change the role; the lock is taken before the change is sent."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"strongroom {role}",))


def _system_authorities() -> str:
    """Return the file of the authorities that the system trusts: a libpq from a wheel does not know where it is."""
    import ssl

    known = ssl.get_default_verify_paths().cafile
    return next((path for path in (known, *_BUNDLES) if path and os.path.exists(path)), "system")


def _trust(host: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what is asked of a server before it is believed, in libpq's words."""
    asked = {"sslmode": given.get("sslmode") or ("prefer" if is_local(host) else "verify-full")}
    # Else a Kerberos ticket would take the place of TLS, and its certificate.
    if asked["sslmode"].startswith("verify"):
        asked["gssencmode"] = "disable"
        if "sslrootcert" in given or not os.path.exists(os.path.expanduser("~/.postgresql/root.crt")):
            asked["sslrootcert"] = given.get("sslrootcert") or _system_authorities()
    ways = given.get("require_auth", SCRAM)
    return asked if ways == "any" else {**asked, "require_auth": ways}


def connect(rest: str, read: Read) -> PostgresqlRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without psycopg."""
    try:
        import psycopg
    except ImportError:
        raise MissingExtraError("postgresql: needs psycopg: pip install 'strongroom[psycopg]'") from None
    where_it_is = place("postgresql", rest, OPTIONS)
    host, port, user, database, given = where_it_is
    if not given.get("role") or (user is None and ("other" in given or "admin_secret" in given)):
        raise ConfigError("postgresql: needs role=NAME, and an administrator (admin@host) for other= and admin_secret=")
    where = {"host": host, "port": port or 5432, "dbname": database or "postgres",
             "connect_timeout": TIMEOUT, "options": f"-c statement_timeout={TIMEOUT}s", "autocommit": True,
             "application_name": "strongroom"} | _trust(host, given)  # fmt: skip
    if psycopg.pq.version() < LEAST and "require_auth" in where:
        raise ConfigError(
            "postgresql: libpq 16 or later can ask for SCRAM: pip install 'psycopg[binary]', or say require_auth=any"
        )
    password = administrator(read, given.get("admin_secret"))
    return PostgresqlRotator(
        Server(where, user, password), Accounts(given["role"], given.get("other")), Policy.of(given),
        where_it_is.known_as("postgresql", 5432), given.get("test", "SELECT 1"),
    )  # fmt: skip
