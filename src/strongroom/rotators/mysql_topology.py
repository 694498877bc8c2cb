"""The hosts of a MariaDB or MySQL server: which of them can be written, and those that follow it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from strongroom.errors import SourceRefusedError
from strongroom.rotators.accounts import Login, Refused
from strongroom.rotators.mysql_server import Server, address, connected

REPLICAS_WAIT = 15.0
"""Seconds for replicas to follow."""
_OFF = ("0", "OFF")
_RUNNING = ("_IO_Running", "_SQL_Running")


class Servers:
    """The hosts of one server, of which the first that can be written is meant, and replicas that follow it."""

    def __init__(self, hosts: Sequence[dict[str, Any]], replicas: Sequence[dict[str, Any]],
                 admin: Callable[[], Login], may_replicate: bool) -> None:  # fmt: skip
        self._hosts = hosts
        self._replicas = replicas
        self._admin = admin
        self._may_replicate = may_replicate
        self.marks: dict[str, list[tuple[float, int]]] = {}
        """By host: at which moment (monotonic) the server gave which number to a connection."""

    @contextmanager
    def as_admin(self) -> Iterator[Server]:
        """Log in as the administrator at the first host that can be written."""
        with ExitStack() as stack:
            yield self._writable(stack, self._admin())

    @contextmanager
    def as_user(self, login: Login) -> Iterator[Server]:
        """Log in as an account, at the same host."""
        where = self._hosts[0]
        if len(self._hosts) > 1:
            with self.as_admin() as server:
                where = server.where
        with self._connected(where, login) as connection:
            yield connection

    @contextmanager
    def at_each(self, login: Login | None) -> Iterator[list[Server]]:
        """Log in at the host that can be written and at each replica, as an account or as the administrator."""
        with ExitStack() as stack:
            admin = self._admin()
            first = self._writable(stack, admin)
            wheres = self._replicas if login is None else [first.where, *self._replicas]
            more = [stack.enter_context(self._connected(where, login or admin)) for where in wheres]
            yield more if login is not None else [first, *more]

    def wait_for_replicas(self, login: Login) -> None:
        """Return when each replica lets the account in; raises `RotationError` for one that does not follow in time."""
        deadline = time.monotonic() + REPLICAS_WAIT
        for where in self._replicas:
            while True:
                try:
                    with self._connected(where, login):
                        break
                except Refused:
                    if time.monotonic() > deadline:
                        raise SourceRefusedError(
                            f"the replica at {address(where)} does not take the password of {login.user!r} after "
                            f"{REPLICAS_WAIT:.0f} s: it lags (SHOW REPLICA STATUS), or does not replicate accounts"
                        ) from None
                time.sleep(0.1)

    def check_is_primary(self, server: Server) -> None:
        """Raise `SourceRefusedError` when the server follows another one, as far as the administrator may know."""
        if self._may_replicate:
            return
        known = ("SHOW ALL SLAVES STATUS",) if server.is_mariadb else ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
        states = [row for statement in known for row in server.allowed(statement)]
        if any(str(value) != "No" for row in states for name, value in row.items() if name.endswith(_RUNNING)):
            raise SourceRefusedError(
                f"{server.name} is a replica, although it can be written: a password that is changed there is lost; "
                "name the primary in the URL (replica=yes is for two primaries that follow each other)"
            )

    def _writable(self, stack: ExitStack, login: Login) -> Server:
        refusals: list[SourceRefusedError] = []
        for where in self._hosts:
            try:
                with ExitStack() as trying:
                    server = trying.enter_context(self._connected(where, login))
                    _check_writable(server)
                    stack.push(trying.pop_all())
                    return server
            except SourceRefusedError as error:
                refusals.append(error)
        if len(refusals) == 1:
            raise refusals[0]
        raise SourceRefusedError("none of the hosts can be written: " + "; ".join(str(error) for error in refusals))

    @contextmanager
    def _connected(self, where: dict[str, Any], login: Login) -> Iterator[Server]:
        with connected(where, login) as server:
            marks = self.marks.setdefault(server.address, [])
            marks.append((time.monotonic(), server.number))
            del marks[1:-100]
            yield server


def _check_writable(server: Server) -> None:
    """Raise `SourceRefusedError` for a server that cannot be written; the administrator might be exempt."""
    for name in ("read_only", "innodb_read_only"):
        if server.value(f"SELECT @@{name}") not in _OFF:
            raise SourceRefusedError(
                f"{server.name} is read-only ({name}), as a replica is: name the primary in the URL"
            )
