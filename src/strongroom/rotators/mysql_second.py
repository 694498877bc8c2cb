"""A second account with the rights of the first: the statements that make it, and how they are run."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.errors import SourceRefusedError
from strongroom.generate.generate import generate_value
from strongroom.rotators.mysql_hosts import Account
from strongroom.rotators.mysql_look import accounts, described, granted
from strongroom.rotators.mysql_methods import changed
from strongroom.rotators.mysql_passwords import Passwords, listed
from strongroom.rotators.mysql_rights import statements
from strongroom.rotators.mysql_server import Server
from strongroom.rotators.mysql_text import account, literal


def plan(server: Server, passwords: Passwords, user: str, other: str) -> list[str]:
    """Return the statements; the account gets the hash of a password that nobody knows.

    It logs in by the same ways as the first, but for those that hold no password (`unix_socket` and such).
    """
    if any(each.user == other for each in accounts(server, other)):
        raise SourceRefusedError(f"{server.name} has an account {other!r} already: name another")
    return [text for whose in passwords.accounts(user) for text in _copy(server, passwords, whose, other)]


def run(server: Server, planned: Sequence[str], whose: Sequence[Account]) -> None:
    """Make the account, whole or not at all."""
    try:
        for statement in planned:
            server.change(statement)
    except Exception:
        if server.changed:
            for each in whose:
                server.change("DROP USER IF EXISTS %s@%s", each)
            server.changed = False
        raise


def _copy(server: Server, passwords: Passwords, whose: Account, other: str) -> list[str]:
    before = described(server, whose)
    ways = changed(before, str(whose), passwords.plugin, server.is_mariadb, [generate_value()], only=True)
    made = account(other, whose.host)
    return [
        f"CREATE USER {made} IDENTIFIED WITH {listed(ways, literal)} {before.requirements()}".rstrip(),
        *statements(granted(server, whose), other, whose.host),
        *(f"ALTER USER {made} DEFAULT ROLE {roles}" for roles in before.default_roles()),
    ]
