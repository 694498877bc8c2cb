"""Gives accounts of MariaDB and MySQL their passwords, as hashes, and keeps the ways by which they log in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from strongroom.errors import SourceRefusedError
from strongroom.rotators.accounts import Login
from strongroom.rotators.mysql_hosts import Account
from strongroom.rotators.mysql_look import described
from strongroom.rotators.mysql_methods import Definition, Way, changed, reachable
from strongroom.rotators.mysql_server import Server


class Passwords(NamedTuple):
    """How passwords are given to accounts."""

    hosts: tuple[str, ...]
    """Of each user: the accounts that share its password."""
    plugin: str | None
    """The only way to log in afterwards; None lets each account keep its ways."""

    def accounts(self, *users: str) -> list[Account]:
        """Return the accounts of these users."""
        return [Account(user, host) for user in users for host in self.hosts]

    def check(self, server: Server, whose: Account, retain: bool) -> list[str]:
        """Raise `SourceRefusedError` when an account is locked, or would get another way to log in than it has.

        Returns what is to be said of clients, where `plugin` asks for what not all of them can.
        """
        before = described(server, whose)
        if before.locked:
            raise SourceRefusedError(f"{server.name}: {whose} is locked: ALTER USER … ACCOUNT UNLOCK")
        tried = ["a", "b"] if retain and server.is_mariadb else ["a"]
        ways = self._ways(server, before, whose, tried, retain)
        if not server.is_mariadb or reachable(ways, tried):
            return []
        return [f"with two passwords MariaDB asks twice for {self.plugin}: clients that cannot answer that (PyMySQL, "
                "Go's driver) are refused the previous password"]  # fmt: skip

    def give(self, server: Server, whose: Sequence[Account], *passwords: str, retain: bool = False) -> None:
        """Let accounts accept these passwords alone; `retain` (MySQL): and the one that they have."""
        # All that can be refused is refused before the first is changed.
        planned = [(each, self._ways(server, described(server, each), each, passwords, retain)) for each in whose]
        for each, ways in planned:
            statement = f"ALTER USER %s@%s IDENTIFIED WITH {listed(ways, lambda kept: '%s')}"
            statement += " RETAIN CURRENT PASSWORD" if retain else ""
            server.change(statement, (*each, *(way.kept for way in ways if way.kept is not None)))

    def give_only(self, server: Server, login: Login, whose: Sequence[Account]) -> None:
        """Let accounts accept one password, and no second one."""
        self.give(server, whose, login.password)
        if not server.is_mariadb:
            for each in whose:
                server.change("ALTER USER %s@%s DISCARD OLD PASSWORD", each)

    def has(self, server: Server, login: Login, whose: Account) -> bool:
        """True when an account has this password, as its first one with MySQL."""
        return any(way.accepts(login.password) for way in described(server, whose).ways)

    def _ways(self, server: Server, before: Definition, whose: Account, passwords: Sequence[str],
              retain: bool) -> list[Way]:  # fmt: skip
        ways = changed(before, f"{server.name}: {whose}", self.plugin, server.is_mariadb, passwords)
        if retain and not server.is_mariadb and ways[0].plugin != before.ways[0].plugin:
            raise SourceRefusedError(
                f"{server.name} cannot keep the previous password of {whose} when {before.ways[0].plugin} becomes "
                f"{ways[0].plugin}: leave plugin= out, change it by hand first, or let two accounts take turns (other=)"
            )
        return ways


def listed(ways: Sequence[Way], kept: Callable[[str], str]) -> str:
    """Return ways as a statement writes them; `kept` writes what the server is to keep for one."""
    return " OR ".join(way.plugin + ("" if way.kept is None else f" AS {kept(way.kept)}") for way in ways)
