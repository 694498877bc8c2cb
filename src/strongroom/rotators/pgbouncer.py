"""`also=pgbouncer:/etc/pgbouncer/userlist.txt?at=127.0.0.1:6432`: a pooler that has passwords in a list of its own.

    at=HOST:PORT[/DATABASE]   where clients log in; the new password must be accepted there before it is promoted
    pid=PATH                  its pid file: SIGHUP makes it read the list (its `pidfile`)
    console=USER%26secret=NAME
                              or RELOAD on its console, as one of its admin_users; the secret NAME has the password

One of the two is needed. Several poolers are separated by commas.

The list keeps the form that a password has there: the same verifier as the server's, so that pgbouncer can pass the
log-in on, or in the clear.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from strongroom.crypto.verifiers import scram_fits
from strongroom.errors import ConfigError, RotationError, SourceRefusedError, StrongroomError
from strongroom.rotators.accounts import Login, Read, administrator
from strongroom.rotators.postgresql_errors import MD5_ADVICE
from strongroom.rotators.postgresql_server import Host, Server, trust
from strongroom.rotators.servers import place
from strongroom.rotators.userlist import UserList, kind
from strongroom.rotators.values import options

WAIT = 10.0
"""Seconds for pgbouncer to accept a new password."""
_OPTIONS = {"at", "pid", "console", "secret"}


class Console(NamedTuple):
    """Who may tell pgbouncer to read its files again."""

    user: str
    password: Callable[[], str] | None


class PgBouncer:
    """One pgbouncer and its list."""

    def __init__(self, users: UserList, server: Server, pid: str | None, console: Console | None, md5: bool) -> None:
        self._users = users
        self._server = server
        self._pid = pid
        self._console = console
        self._md5 = md5

    def check(self, login: Login, roles: Sequence[str]) -> None:
        """Raise `SourceRefusedError` unless it accepts the login, and its list can be rewritten and read again."""
        self._users.check()
        for role in roles:
            self._form(role)
        if self._pid is not None:
            self._process()
        if self._console is not None:
            with self._at_console() as connection:
                connection.execute("SHOW VERSION")
        self._log_in(login)

    def verifier(self, role: str, password: str) -> str | None:
        """Return the verifier of the list when it is of this password: with another salt it could not be passed on."""
        listed = self._users.password(role)
        return listed if listed is not None and scram_fits(listed, password) else None

    @contextmanager
    def given(self, role: str, password: str, verifier: str) -> Iterator[None]:
        """Have the password in the list, from before the block on; take it back when the block raises."""
        before = self._users.put(role, password if self._form(role) == "plain" else verifier)
        try:
            self._reload()
            yield
        except BaseException:
            with suppress(StrongroomError):
                self._users.put(role, before)
                self._reload()
            raise

    def forget(self, role: str, password: str, verifier: str) -> None:
        """Let the role have a password that nobody knows, in the form that it had."""
        listed = self._users.password(role)
        if listed is not None:
            self._users.put(role, password if kind(listed) == "plain" else verifier)
            self._reload()

    def wait_for(self, login: Login, stopped: Callable[[], bool]) -> None:
        """Return when the login is accepted; raises `RotationError` after some seconds."""
        deadline = time.monotonic() + WAIT
        while True:
            try:
                return self._log_in(login)
            except RotationError:
                if stopped() or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def stop(self) -> None:
        """End what another thread waits for."""
        self._server.stop()

    def _form(self, role: str) -> str:
        form = kind(self._users.password(role))
        if form == "md5" and not self._md5:
            raise SourceRefusedError(f"pgbouncer's list {self._users.path}, {role!r}: {MD5_ADVICE}")
        return form

    def _log_in(self, login: Login) -> None:
        with self._server.connected(*login) as connection:
            # pgbouncer logs in to the server only now, and may wait for that as long as it likes.
            watch = threading.Timer(WAIT, self._server.stop)
            watch.daemon = True
            watch.start()
            try:
                connection.execute("SELECT 1")
            finally:
                watch.cancel()

    def _at_console(self) -> Any:
        assert self._console is not None
        known = None if self._console.password is None else self._console.password()
        return self._server.connected(self._console.user, known, database="pgbouncer")

    def _reload(self) -> None:
        if self._pid is not None:
            os.kill(self._process(), signal.SIGHUP)
        if self._console is not None:
            with self._at_console() as connection:
                connection.execute("RELOAD")

    def _process(self) -> int:
        """Return the process of the pid file; raises `SourceRefusedError` when it is no pgbouncer of ours."""
        assert self._pid is not None
        try:
            with open(self._pid, "rb") as file:
                pid = int(file.read(20))
            with open(f"/proc/{pid}/comm", "rb") as file:
                name = file.read().strip()
            if name != b"pgbouncer":
                raise ValueError
            os.kill(pid, 0)
        except PermissionError:
            raise SourceRefusedError(
                f"pgbouncer of {self._pid} may not be sent a signal by this user: run strongroom as root or as "
                "pgbouncer's user, or let it RELOAD by console="
            ) from None
        except (OSError, ValueError):
            raise SourceRefusedError(
                f"{self._pid} is not the pid file of a running pgbouncer: its setting `pidfile` names it"
            ) from None
        return pid


def poolers(text: str, database: str, given: Mapping[str, str], read: Read) -> list[PgBouncer]:
    """Read `also=`; raises `ConfigError`."""
    return [_pooler(one, database, given, read) for one in re.split(r",(?=pgbouncer:)", text)] if text else []


def _pooler(text: str, database: str, given: Mapping[str, str], read: Read) -> PgBouncer:
    scheme, _, rest = text.partition(":")
    path, _, query = rest.partition("?")
    if scheme != "pgbouncer" or not path.startswith("/"):
        raise ConfigError("also= is written pgbouncer:/path/of/userlist.txt?at=HOST:PORT")
    asked = options(query, _OPTIONS, "also=pgbouncer:")
    if not asked.get("at"):
        raise ConfigError("also=pgbouncer: needs at=HOST:PORT, where its clients log in")
    where = place("pgbouncer", f"//{asked['at']}", set())
    server = Server([Host(where.host, where.port or 6432)], where.path or database, trust(given),
                    kind="pgbouncer")  # fmt: skip
    if not ("pid" in asked or "console" in asked):
        raise ConfigError("also=pgbouncer: needs pid=PATH of its pid file, or console=USER and secret=NAME, so that it "
                          "reads its list again")  # fmt: skip
    console = Console(asked["console"], administrator(read, asked.get("secret"))) if "console" in asked else None
    return PgBouncer(UserList(path), server, asked.get("pid"), console, given.get("md5") == "upgrade")
