"""Where a PostgreSQL server is: one host, or several of which one is the primary, and how it is believed."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Refused
from strongroom.rotators.postgresql_errors import MD5, MD5_POOLER, REFUSED, STANDBY, explain, state_of
from strongroom.rotators.servers import is_local

TIMEOUT = 10
"""Seconds for a connection, and for a statement."""
SCRAM = "scram-sha-256"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


class Host(NamedTuple):
    """One server."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class NoConnection(SourceRefusedError):
    """A host that could not be connected to, or has refused the log-in."""

    state: str | None = None
    wants_md5 = False
    refuses = False
    """One of the hosts did not take the password; the others could not be asked."""


class Server:
    """Where the server is, and who its administrator is.

    Of several hosts the first that answers and can be written to is the server: after a failover that is another.
    """

    def __init__(
        self, hosts: Sequence[Host], database: str, trust: Callable[[str], dict[str, str]],
        admin: str | None = None, password: Callable[[], str] | None = None, *, kind: str = "PostgreSQL",
    ) -> None:  # fmt: skip
        self._hosts = list(hosts)
        self.database = database
        self._trust = trust
        self.admin = admin
        self._password = password
        self._kind = kind
        self._open: set[Any] = set()
        self._lock = threading.Lock()
        self._any_session = len(hosts) == 1

    def __str__(self) -> str:
        return f"{self._kind} at {','.join(map(str, self._hosts))}"

    def at(self, hosts: Sequence[Host]) -> Server:
        """Return other hosts that are asked in the same way, whether they can be written to or not."""
        other = Server(hosts, self.database, self._trust, self.admin, self._password, kind=self._kind)
        other._any_session, other._open, other._lock = True, self._open, self._lock
        return other

    @contextmanager
    def connected(
        self,
        user: str,
        password: str | None,
        role: str = "",
        *,
        database: str = "",
        ways: str | None = None,
        as_client: bool = False,
    ) -> Iterator[Any]:
        """Connect; raises `RotationError` for what goes wrong in the block too, without the server's own words.

        That is a `SourceRefusedError` when the server has said no, so that nothing was changed: each block has one
        statement that changes something, and its last. `role` is whom it is about. `ways` are other ways to log in
        than the rotator's, as libpq writes them; `as_client` leaves the role that the login's own settings name.
        """
        import psycopg

        host, connection = self._connect(user, password, database or self.database, ways, as_client)
        try:
            yield connection
        except psycopg.Error as error:
            state = error.sqlstate
            why = explain(state, str(error), user, role or user, database=self.database,
                          version=_version(connection))  # fmt: skip
            text = f"{self._kind} at {host}, as role {user!r}: {why}"
            answered = state is not None and not state.startswith(("08", "57P"))
            refused = SourceRefusedError(text) if answered else RotationError(text)
            refused.__dict__["state"] = state
            raise refused from None
        finally:
            with self._lock:
                self._open.discard(connection)
                connection.close()

    def as_admin(self, role: str, *, database: str = "") -> Any:
        """Connect as the administrator, to change a role."""
        assert self.admin is not None
        password = None if self._password is None else self._password()
        return self.connected(self.admin, password, role, database=database)

    def stop(self) -> None:
        """End what another thread waits for; the server rolls back what it has not committed."""
        with self._lock:
            for connection in self._open:
                with suppress(Exception), socket.socket(fileno=os.dup(connection.pgconn.socket)) as wire:
                    wire.shutdown(socket.SHUT_RDWR)

    def _connect(
        self, user: str, password: str | None, database: str, ways: str | None, as_client: bool
    ) -> tuple[Host, Any]:
        problems: list[NoConnection] = []
        for host in list(self._hosts):
            try:
                connection = self._try(host, user, password, database, ways, as_client)
            except NoConnection as problem:
                problems.append(problem)
                continue
            # The next step asks the host first that is the primary now.
            self._hosts.sort(key=lambda other: other != host)
            with self._lock:
                self._open.add(connection)
            return host, connection
        raise _summary(problems) from None

    def _try(
        self, host: Host, user: str, password: str | None, database: str, ways: str | None, as_client: bool
    ) -> Any:
        import psycopg

        known: dict[str, Any] = {} if password is None else {"password": password}
        known |= {} if self._any_session else {"target_session_attrs": "read-write"}
        known |= self._trust(host.name) | ({} if ways is None else {"require_auth": ways})
        if self._kind == "PostgreSQL":
            known["options"] = _settings(as_client)
        try:
            return psycopg.connect(
                host=host.name, port=host.port, user=user, dbname=database, autocommit=True,
                application_name="strongroom", connect_timeout=max(2, TIMEOUT // len(self._hosts)),
                keepalives_idle=TIMEOUT, keepalives_interval=2, keepalives_count=3, tcp_user_timeout=TIMEOUT * 1000,
                **known,
            )  # fmt: skip
        except psycopg.Error as error:
            used = error.pgconn is not None and bool(getattr(error.pgconn, "used_password", False))
            state = state_of(str(error), error.sqlstate, used)
            wants_md5 = MD5 in str(error)
            if wants_md5 and self._kind != "PostgreSQL":
                why = MD5_POOLER
            else:
                why = explain(state, str(error), user, user, database=database)
            refused = NoConnection(f"{self._kind} at {host}, as role {user!r}: {why}")
            refused.state, refused.wants_md5 = state, wants_md5
        raise refused


def _summary(problems: Sequence[NoConnection]) -> SourceRefusedError:
    """Return one error for all hosts: a refused password only when no host is left that might take it."""
    text = "; ".join(map(str, problems))
    states = {problem.state for problem in problems}
    if states & set(REFUSED) and states <= {*REFUSED, STANDBY}:
        return Refused(text)
    if len(problems) == 1:
        return problems[0]
    refused = NoConnection(text)
    refused.wants_md5 = any(problem.wants_md5 for problem in problems)
    refused.refuses = bool(states & set(REFUSED))
    return refused


def _version(connection: Any) -> int:
    return int(connection.info.server_version or 0)


def _settings(as_client: bool) -> str:
    """Return what a session of ours must not take from the role's own settings. A pooler is sent none of them."""
    wanted = {
        "statement_timeout": f"{TIMEOUT}s", "lock_timeout": f"{max(1, TIMEOUT // 2)}s",
        "idle_in_transaction_session_timeout": f"{max(1, TIMEOUT // 2)}s", "default_transaction_read_only": "off",
    } | ({} if as_client else {"role": "none"})  # fmt: skip
    return " ".join(f"-c {name}={value}" for name, value in wanted.items())


def trust(given: Mapping[str, str]) -> Callable[[str], dict[str, str]]:
    """Return what says for a host what is asked of it before it is believed, in libpq's words."""

    def asked_of(host: str) -> dict[str, str]:
        asked = {"sslmode": given.get("sslmode") or ("prefer" if is_local(host) else "verify-full")}
        # Else a Kerberos ticket would take the place of TLS, and its certificate.
        if asked["sslmode"].startswith("verify"):
            asked["gssencmode"] = "disable"
            if "sslrootcert" in given or not os.path.exists(os.path.expanduser("~/.postgresql/root.crt")):
                asked["sslrootcert"] = given.get("sslrootcert") or _system_authorities()
        ways = given.get("require_auth", SCRAM)
        return asked if ways == "any" else {**asked, "require_auth": ways}

    return asked_of


def _system_authorities() -> str:
    """Return the file of the authorities that the system trusts: a libpq from a wheel does not know where it is."""
    import ssl

    known = ssl.get_default_verify_paths().cafile
    return next((path for path in (known, *_BUNDLES) if path and os.path.exists(path)), "system")
