"""`mysql://…`: the password of an account of a MariaDB (10.4 or later) or MySQL (8.0.14 or later) server.

    mysql://admin@db.example:3306?user=app&admin_secret=mysql/admin                  one account
    mysql://admin@db.example?user=app_a&other=app_b&admin_secret=mysql/admin         two accounts take turns
    mysql://admin@db-1.example,db-2.example?user=app&admin_secret=mysql/admin        the one that can be written

One account accepts both passwords until the previous one is retired: MariaDB gets two ways to log in (`IDENTIFIED WITH
… OR …`), MySQL keeps the old password as its second (`RETAIN CURRENT PASSWORD`). Two accounts must exist with the same
rights (`rights=any` goes without); the one that is retired gets a password that nobody knows.

A plain secret is the password. The server gets its hash, computed here, because MariaDB writes statements to its
general log as they are; so it cannot judge the password by rules of its own. The account keeps its ways to log in:
`mysql_native_password`, `ed25519` (MariaDB) and `caching_sha2_password` (MySQL) get the new password, `unix_socket`,
`gssapi` and `pam` stay beside it. An account of any other is refused, unless `plugin=` names the one that it is to have
instead, and then has alone.

The administrator needs CREATE USER, and SELECT on mysql.*. Further options: `user_host` (what stands after the @ of the
account, `%` unless it says otherwise; several that share the password with commas between), `replicas`
(`host:port,host:port`: promotion waits until they have the new password), `replica=yes` (the server is a replica and is
meant all the same), `test` (a query that the account must be able to run), `terminate=1` (sessions that were opened
with the previous password end when it is retired; for two accounts the administrator then needs PROCESS and
CONNECTION ADMIN), `tls` (`system`, a file with the
server's authority, or `no`), `length`, `alphabet`. Without `tls`, a server on another host must have a certificate that
the system trusts; and no server is told a password in the clear.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from strongroom.errors import ConfigError, MissingExtraError, RotationError, SourceRefusedError
from strongroom.generate.generate import generate_value
from strongroom.protocols import Sessions
from strongroom.rotators import mysql_look as look
from strongroom.rotators.accounts import Accounts, Login, Read, Refused, administrator
from strongroom.rotators.mysql_hosts import Account
from strongroom.rotators.mysql_methods import ED25519, NATIVE, SHA2
from strongroom.rotators.mysql_passwords import Passwords
from strongroom.rotators.mysql_second import plan, run
from strongroom.rotators.mysql_server import Server, arguments
from strongroom.rotators.mysql_sessions import Session, end, of_accounts, sessions
from strongroom.rotators.mysql_topology import Servers
from strongroom.rotators.servers import authorities, places, tls_context
from strongroom.rotators.values import POLICY, Policy

TIMEOUT = 10
"""Seconds for a connection, and for an answer."""
OPTIONS = POLICY | {"user", "other", "user_host", "admin_secret", "plugin", "tls", "test", "terminate", "rights",
                    "replicas", "replica"}  # fmt: skip


class MysqlRotator:
    """Changes the password of an account, or lets two accounts take turns."""

    def __init__(self, servers: Servers, users: Accounts, passwords: Passwords, policy: Policy,
                 given: Mapping[str, str], url: str, known_as: Sequence[str]) -> None:  # fmt: skip
        self._servers = servers
        self._passwords = passwords
        self._policy = policy
        self._test = given.get("test")
        self._any_rights = given.get("rights") == "any"
        self._url = url
        self.users = users
        self.terminates = given.get("terminate") == "1"
        self.accounts = frozenset(
            f"{user!r} at {place}" if host == "%" else f"{user!r}@{host!r} at {place}"
            for place in known_as for user, host in passwords.accounts(*self._both)
        )  # fmt: skip

    @property
    def _both(self) -> list[str]:
        return [user for user in (self.users.name, self.users.other) if user is not None]

    def check(self, current: Mapping[str, Any]) -> list[str]:
        """Log in, and ask for the accounts, what they log in with, those beside them, and the administrator's rights.

        Returns what is to be said of accounts beside the ones that are rotated.
        """
        self.users.pending(current, self._policy)
        login = self.users.login(current)
        with self._servers.as_admin() as server:
            self._servers.check_is_primary(server)
            rotated, found = self._passwords.accounts(*self._both), look.accounts(server, *self._both)
            look.check_exist(server, found, rotated)
            retain = self.users.other is None
            said = [text for account in rotated for text in self._passwords.check(server, account, retain)]
            look.check_administrator(server, self.terminates and self.users.other is not None)
            look.check_takes_hashes(server)
            # After the accounts' methods were looked at, some of which this client does not know.
            try:
                self.test(current)
            except Refused:
                taken = look.taken_for(server, found, login.user)
                if taken is not None:
                    look.check_is_meant(server, taken, self._passwords.accounts(login.user))
                raise
            if self.users.other is not None and not self._any_rights:
                look.check_pair(server, found, (self.users.name, self.users.other), self._passwords.hosts)
            return said + look.check_beside(server, found, login, self._passwords.hosts)

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two accounts the one whose turn it is."""
        return self.users.pending(current, self._policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self.users.adopt(value, current)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the account accept the pending password, and of one account go on accepting the current one."""
        new, old = self.users.login(pending), self.users.login(current)
        accounts, passwords = self._passwords.accounts(new.user), self._passwords
        with self._servers.as_admin() as server:
            if new.user != old.user:
                passwords.give_only(server, new, accounts)
            elif server.is_mariadb:
                passwords.give(server, accounts, new.password, old.password)
            elif len(accounts) > 1 or not self._accepts(new):
                # Repeated blindly, the pending password would become its own second, in place of the current one.
                without = [account for account in accounts if not passwords.has(server, new, account)]
                passwords.give(server, without, new.password, retain=True)

    def test(self, pending: Mapping[str, Any]) -> None:
        """Log in with the pending password, as the account that is meant; run the test query; wait for replicas."""
        login = self.users.login(pending)
        with self._servers.as_user(login) as server:
            user, _, host = server.value("SELECT CURRENT_USER()").rpartition("@")
            look.check_is_meant(server, Account(user, host), self._passwords.accounts(login.user))
            if self._test is not None:
                server.rows(self._test)
        self._servers.wait_for_replicas(login)

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Leave one account the current password alone; give another than the current one an unknown password."""
        new = self.users.login(current)
        old = self.users.user(previous) if previous else self.users.turn_of(current) or new.user
        accounts = self._passwords.accounts(old)
        with self._servers.as_admin() as server:
            if old != new.user:
                # An account that is gone accepts nothing.
                found = look.accounts(server, old)
                accounts = [account for account in accounts if account in found]
            self._passwords.give_only(server, new if old == new.user else Login(old, generate_value()), accounts)

    def sessions(self, current: Mapping[str, Any], age: float) -> list[Sessions]:
        """Return the open sessions of the other account, and those of the current one older than `age` seconds.

        Ages are least ones, see `mysql_sessions`. Raises `SourceRefusedError` when the administrator lacks PROCESS,
        without which it sees none of two accounts; a single one sees its own sessions.
        """
        with self._outdated(current, age, end=False) as found:
            servers = {server.address for server, _, _ in found}
            return [
                Sessions(user if len(servers) == 1 else f"{user} at {server.address}", len(old),
                         max(session.age for session in old))
                for server, user, old in found if old
            ]  # fmt: skip

    def end_sessions(self, current: Mapping[str, Any], age: float) -> int:
        """End these sessions, and return how many they were; for two accounts it takes CONNECTION ADMIN too."""
        with self._outdated(current, age, end=True) as found:
            return sum(end(server, old) for server, _, old in found)

    def second_account(self, current: Mapping[str, Any], other: str) -> tuple[list[str], str]:
        """Return the statements that make an account `other` with the rights of the current one, and the URL of both.

        It gets the hash of a password that nobody knows; the first rotation gives it one.
        """
        user = self.users.user(current)
        if self.users.other is not None or not other or other == user:
            raise RotationError(f"name a second account, another than {user!r}, of a rotator with one account")
        with self._servers.as_admin() as server:
            return plan(server, self._passwords, user, other), f"{self._url}&other={quote(other, safe='')}"

    def make_second_account(self, current: Mapping[str, Any], other: str) -> None:
        """Make the second account, whole or not at all."""
        planned, _ = self.second_account(current, other)
        with self._servers.as_admin() as server:
            run(server, planned, self._passwords.accounts(other))

    @contextmanager
    def _outdated(
        self, current: Mapping[str, Any], age: float, end: bool
    ) -> Iterator[list[tuple[Server, str, list[Session]]]]:
        """Find the sessions at each server, as somebody who may see them, and `end` them."""
        asked = time.monotonic()
        login, own = None, self.users.login(current)
        with self._servers.as_admin() as server:
            accounts = look.accounts(server, *self._both)
            try:
                look.check_sessions(server, look.own_rights(server), end)
            except SourceRefusedError:
                if self.users.other is not None:
                    raise
                login = own
        with self._servers.at_each(login) as servers:
            found = [(server, of_accounts(sessions(server, self._servers.marks[server.address]), accounts,
                                          self._passwords.hosts)) for server in servers]  # fmt: skip
            # A session that was opened while we asked is no older than what has passed since.
            age += time.monotonic() - asked
            yield [
                (server, user, [one for one in each if one.user == user and (user != own.user or one.age > age)])
                for server, each in found for user in self._both
            ]  # fmt: skip

    def _accepts(self, login: Login) -> bool:
        try:
            with self._servers.as_user(login):
                return True
        except Refused:
            return False


def connect(rest: str, read: Read) -> MysqlRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without PyMySQL."""
    try:
        import pymysql  # noqa: F401
    except ImportError:
        raise MissingExtraError("mysql: needs PyMySQL: pip install 'strongroom[mysql]'") from None
    found = places("mysql", rest, OPTIONS)
    _, _, user, path, given = found[0]
    password = administrator(read, given.get("admin_secret"))
    if path or not given.get("user") or user is None or password is None:
        raise ConfigError("mysql: is written mysql://admin@host:port?user=NAME&admin_secret=NAME, without a database")
    if given.get("plugin", NATIVE) not in {NATIVE, ED25519, SHA2}:
        raise ConfigError(f"mysql: plugin is {NATIVE}, {ED25519} (MariaDB) or {SHA2} (MySQL)")
    for name, allowed in (("rights", ("same", "any")), ("terminate", ("0", "1")), ("replica", ("no", "yes"))):
        if given.get(name, allowed[0]) not in allowed:
            raise ConfigError(f"mysql: {name} is {' or '.join(allowed)}")
    hosts = tuple(dict.fromkeys(given.get("user_host", "%").split(",")))
    listed = [f"//{text}" for text in given.get("replicas", "").split(",") if text]
    replicas = [each for text in listed for each in places("mysql", text, set())]
    seconds = max(2, TIMEOUT // len(found))
    reached, followers = ([arguments(each.host, each.port or 3306, tls_context(authorities(each.host, given)), seconds)
                           for each in group] for group in (found, replicas))  # fmt: skip
    servers = Servers(reached, followers, lambda: Login(user, password()), given.get("replica") == "yes")
    return MysqlRotator(servers, Accounts(given["user"], given.get("other")), Passwords(hosts, given.get("plugin")),
                        Policy.of(given), given, f"mysql:{rest}",
                        [each.known_as("mysql", 3306) for each in found])  # fmt: skip
