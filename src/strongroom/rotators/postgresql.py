"""`postgresql://…`: the password of a role of a PostgreSQL server.

    postgresql://db.example:5432/app?role=app                                    the role changes its own password
    postgresql://admin@db.example/app?role=app&admin_secret=pg/admin             an administrator changes it
    postgresql://admin@db.example/app?role=app_a&other=app_b&admin_secret=…      two roles take turns
    postgresql://admin@a.example,b.example:5433/app?role=…                       a primary and its standbys

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
the authority, by default libpq's own file (~/.postgresql/root.crt) where there is one, else the system's.

Further options: `test` (a query that the new login must be able to run, besides logging in), `terminate=1` (end the
sessions of the previous login once it is retired), `rights=any` (two roles need not have the same rights),
`md5=upgrade` (the role's MD5 password becomes SCRAM), `replicas=HOST:PORT,…` (standbys that must have the new password
before readers get it) and `lag` (the seconds for that), `also=pgbouncer:…` (see `pgbouncer`), `length`, `alphabet`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from strongroom.errors import ConfigError, SourceRefusedError
from strongroom.protocols import Sessions
from strongroom.rotators import postgresql_look as look
from strongroom.rotators import postgresql_roles as roles
from strongroom.rotators.accounts import Read, Refused
from strongroom.rotators.postgresql_server import NoConnection, Server
from strongroom.rotators.postgresql_url import Asked, with_other


class PostgresqlRotator:
    """Changes the password of a role, or lets two roles take turns."""

    def __init__(self, server: Server, asked: Asked) -> None:
        self._server = server
        self._asked = asked
        self._roles = asked.roles
        self._stops = 0
        self.accounts = asked.accounts
        self.users = asked.roles
        self.keeps_previous = asked.roles.other is not None
        """A role has one password at a time."""
        self.terminates = asked.terminates
        waits = (asked.lag if asked.replicas else 0.0) + 10.0 * len(asked.poolers)
        self.timeout = 30.0 + waits if waits else None

    def check(self, current: Mapping[str, Any]) -> list[str]:
        """Log in, and change each role that a rotation will change, in a transaction that is rolled back."""
        self._roles.pending(current, self._asked.policy)
        login = self._roles.login(current)
        look.check_login(self._server, self._asked, login)
        said: list[str] = []
        for role in self._roles.all():
            with self._changing(role, current) as connection:
                said += look.check_role(connection, self._asked, role)
                with connection.transaction(force_rollback=True):
                    roles.take_turns(connection, role)
                    roles.alter(connection, role, roles.verifier_of(connection, role, self._asked.policy.draw()))
        said += look.check_replicas(self._server, self._asked, login)
        for pooler in self._asked.poolers:
            pooler.check(login, self._roles.all())
        if self._roles.other is not None:
            return said + look.check_pair(self._server, self._asked)
        return [*said, look.ONE_ROLE, *([look.ONE_ROLE_POOLED] if self._asked.poolers else [])]

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two roles the one whose turn it is."""
        return self._roles.pending(current, self._asked.policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self._roles.adopt(value, current)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Give the role the pending password; one that has it already keeps what the server has of it."""
        role, password = self._roles.login(pending)
        if self._server.admin is None and self._accepts(role, password):
            # What a process sent before it was killed may still be on its way, and change that.
            with self._server.connected(role, password) as connection, connection.transaction():
                roles.take_turns(connection, role)
            if self._accepts(role, password):
                return
        with self._changing(role, current) as connection:
            if self._asked.poolers:
                self._set_with_poolers(connection, role, password)
                return
            roles.take_turns(connection, role)
            if self._server.admin is not None and self._asked.only_scram and self._accepts(role, password):
                # Another salt would shut out what passes log-ins on, such as pgbouncer with auth_query.
                return
            roles.alter_at_once(connection, role, roles.verifier_of(connection, role, password))

    def _set_with_poolers(self, connection: Any, role: str, password: str) -> None:
        """Change the server and each list together: a list that cannot be changed leaves the server as it was."""
        with ExitStack() as listed, connection.transaction():
            roles.take_turns(connection, role)
            known = (pooler.verifier(role, password) for pooler in self._asked.poolers)
            verifier = next(filter(None, known), None) or roles.verifier_of(connection, role, password)
            roles.alter(connection, role, verifier)
            for pooler in self._asked.poolers:
                listed.enter_context(pooler.given(role, password, verifier))

    def test(self, pending: Mapping[str, Any]) -> None:
        """Connect with the pending password, and run the test query; wait for replicas and poolers to know it."""
        login, stops = self._roles.login(pending), self._stops
        with self._server.connected(*login, as_client=True) as connection:
            connection.execute(self._asked.test)
        deadline = time.monotonic() + self._asked.lag
        for replica in self._asked.replicas:
            look.wait_for_replica(self._server.at([replica]), login, lambda: deadline if stops == self._stops else 0.0)
        for pooler in self._asked.poolers:
            pooler.wait_for(login, lambda: stops != self._stops)

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Take the password of the role that is not current away; a single role has lost the old one already.

        A role that is gone is as good as one without a password.
        """
        role = self._roles.user(previous) if previous else self._roles.turn_of(current)
        if role is None or role == self._roles.user(current):
            return
        with self._server.as_admin(role) as connection:
            unknown = self._asked.policy.draw()
            for pooler in self._asked.poolers:
                pooler.forget(role, unknown, roles.verifier_of(connection, role, unknown))
            if roles.exists(connection, role):
                roles.alter_at_once(connection, role, None)

    def sessions(self, current: Mapping[str, Any], age: float) -> list[Sessions]:
        """Count the sessions of the other role, and those of the current one that are older than `age` seconds."""
        from strongroom.rotators import postgresql_sessions

        asked = time.monotonic()
        with self._looking(current) as connection:
            return postgresql_sessions.count(connection, self._bounds(current, age), asked)

    def end_sessions(self, current: Mapping[str, Any], age: float) -> int:
        """End the sessions that `sessions` counts, and return how many they were."""
        from strongroom.rotators import postgresql_sessions

        asked = time.monotonic()
        with self._looking(current) as connection:
            return postgresql_sessions.end(connection, self._bounds(current, age), asked)

    def second_account(self, current: Mapping[str, Any], other: str) -> tuple[list[str], str]:
        """Return the statements that make `other`, and the URL of a rotator of both roles."""
        from strongroom.rotators import postgresql_second

        if self._roles.other is not None or other == self._roles.name:
            raise ConfigError("the rotator has two roles already, or the second one has the name of the first")
        with self._looking(current) as connection:
            made = postgresql_second.statements(connection, self._roles.name, other)
        return made, with_other(self._asked.rest, other)

    def make_second_account(self, current: Mapping[str, Any], other: str) -> None:
        """Make the second role; one that is there already and has the same rights is left as it is."""
        if self._server.admin is None:
            raise ConfigError("to make a role takes an administrator: postgresql://admin@host/…&admin_secret=NAME")
        made, _ = self.second_account(current, other)
        with self._changing(self._roles.name, current) as connection:
            there = roles.exists(connection, other)
            if not there:
                with connection.transaction():
                    for statement in made:
                        connection.execute(statement)
        if there:
            look.check_pair(self._server, self._asked._replace(roles=self._roles._replace(other=other)))

    def stop(self) -> None:
        """End what another thread waits for."""
        self._stops += 1
        self._server.stop()
        for pooler in self._asked.poolers:
            pooler.stop()

    @contextmanager
    def _changing(self, role: str, current: Mapping[str, Any]) -> Iterator[Any]:
        """Connect as whoever changes the role; a right that is lacking is named."""
        try:
            with self._looking(current, role) as connection:
                yield connection
        except SourceRefusedError as error:
            if getattr(error, "state", None) == "42501" and self._server.admin is not None:
                look.name_the_right(self._server, role, error)
            raise

    def _looking(self, current: Mapping[str, Any], role: str = "") -> Any:
        if self._server.admin is not None:
            return self._server.as_admin(role or self._roles.name)
        return self._server.connected(*self._roles.login(current))

    def _bounds(self, current: Mapping[str, Any], age: float) -> list[tuple[str, float]]:
        user, other = self._roles.user(current), self._roles.turn_of(current)
        return [(user, age), *([(other, 0.0)] if other is not None else [])]

    def _accepts(self, role: str, password: str) -> bool:
        try:
            with self._server.connected(role, password):
                return True
        except Refused:
            return False
        except NoConnection as problem:
            if problem.refuses:
                return False
            raise


def connect(rest: str, read: Read) -> PostgresqlRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without psycopg."""
    from strongroom.rotators.postgresql_url import parse

    return PostgresqlRotator(*parse(rest, read))
