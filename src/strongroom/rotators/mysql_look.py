"""What is looked at before anything is changed: the accounts, those beside them, and the administrator's rights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from strongroom.errors import SourceRefusedError
from strongroom.rotators.accounts import Login
from strongroom.rotators.mysql_hosts import Account, taken
from strongroom.rotators.mysql_methods import MARIADB, Definition, definition
from strongroom.rotators.mysql_rights import has, lacking, rights
from strongroom.rotators.mysql_server import Server
from strongroom.rotators.mysql_sessions import KILLERS, killing_routine


def accounts(server: Server, *users: str) -> list[Account]:
    """Return the rows of mysql.user with these names, and the anonymous ones; roles are none."""
    found = _about_accounts(
        server, "SELECT User, Host FROM mysql.user WHERE User IN (%s, %s, '')", (users[0], users[-1])
    )
    return [Account(str(user), str(host)) for user, host in found if host or not user]


def described(server: Server, account: Account) -> Definition:
    """Return how an account is defined; raises what PyMySQL does for one that is not there."""
    return definition(str(_about_accounts(server, "SHOW CREATE USER %s@%s", account)[0][0]))


def granted(server: Server, account: Account) -> list[str]:
    """Return the lines of `SHOW GRANTS` for an account."""
    return [str(row[0]) for row in _about_accounts(server, "SHOW GRANTS FOR %s@%s", account)]


def _about_accounts(server: Server, statement: str, arguments: tuple[str, ...]) -> list[Any]:
    import pymysql

    try:
        return server.rows(statement, arguments)
    except pymysql.Error as error:
        if error.args and error.args[0] in (1044, 1142):
            raise SourceRefusedError(
                f"{server.name} failed with error {error.args[0]}, as user {server.user!r}: the administrator needs "
                f"the rights CREATE USER and, to see what is there, SELECT ON mysql.*: GRANT CREATE USER ON *.* TO "
                f"{server.user!r}; GRANT SELECT ON mysql.* TO {server.user!r}"
            ) from None
        raise


def check_exist(server: Server, found: Sequence[Account], wanted: Sequence[Account]) -> None:
    """Raise `SourceRefusedError` for an account that is not there, with those of its name that are."""
    for account in wanted:
        if account not in found:
            others = [str(each) for each in found if each.user == account.user]
            hint = f"; there is {', '.join(others)}: user_host= names it" if others else "; CREATE USER makes it"
            raise SourceRefusedError(f"{server.name} has no account {account}{hint}")


def check_beside(server: Server, found: Sequence[Account], login: Login, hosts: Sequence[str]) -> list[str]:
    """Return what is to be said of accounts with the same name for other hosts.

    Raises `SourceRefusedError` when one of them has the password of the secret: whoever logs in as that one would be
    left behind.
    """
    said = []
    for account in found:
        if account.user == login.user and account.host not in hosts:
            if any(way.accepts(login.password) for way in described(server, account).ways):
                raise SourceRefusedError(
                    f"{server.name} has the account {account} too, with the same password: clients that it lets in "
                    f"would be refused the new one; say user_host={','.join((*hosts, account.host))} to change it too, "
                    "or DROP USER it"
                )
            said.append(f"the account {account} has another password, which stays: clients from there get that one")
        elif account.user == login.user and server.is_mariadb:
            ways = described(server, account).ways
            if any(way.kept and way.plugin in MARIADB and not way.accepts(login.password) for way in ways):
                said.append(f"the account {account} accepts another password too, which ends with the rotation")
        elif not account.user and taken(found, login.user, account.host) == account:
            said.append(f"clients from {account.host!r} are let in as the anonymous account {account}: DROP USER it")
    return said


def check_pair(server: Server, found: Sequence[Account], pair: tuple[str, str], hosts: Sequence[str]) -> None:
    """Raise `SourceRefusedError` when one of two accounts has not what the other has, be it a host, a right or a limit.

    Readers get one after the other.
    """
    for one, other in (pair, pair[::-1]):
        missing = {each.host for each in found if each.user == other} - {
            each.host for each in found if each.user == one
        }
        if missing:
            raise SourceRefusedError(
                f"{server.name} has {other!r} for the hosts {', '.join(map(repr, sorted(missing)))}, and {one!r} "
                "not: clients from there are let in as that one; CREATE or DROP it, or say rights=any"
            )
    for host in hosts:
        accounts = [Account(user, host) for user in pair]
        having = [rights(granted(server, each)) | described(server, each).limits() for each in accounts]
        for at in (0, 1):
            lacks = lacking(having[at], having[1 - at])
            if lacks:
                raise SourceRefusedError(
                    f"{server.name}: {accounts[at]} has not what {accounts[1 - at]} has: {lacks}; GRANT or ALTER "
                    "USER it, since readers get one after the other, or say rights=any"
                )


def check_administrator(server: Server, terminate: bool) -> None:
    """Raise `SourceRefusedError` when the administrator lacks a right."""
    found = own_rights(server)
    if not has(found, "CREATE USER") and not any(right.startswith("UPDATE ON `mysql`.") for right in found):
        raise SourceRefusedError(f"{server.name}: the administrator needs the right CREATE USER: GRANT CREATE USER "
                                 f"ON *.* TO {server.user!r}")  # fmt: skip
    if terminate:
        check_sessions(server, found, end=True)


def check_takes_hashes(server: Server) -> None:
    """Raise `SourceRefusedError` when MariaDB takes no password whose text it cannot judge."""
    found = server.allowed("SELECT @@strict_password_validation AS strict")
    if not found or str(found[0]["strict"]) not in ("1", "ON"):
        return
    judges = server.rows(
        "SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'PASSWORD VALIDATION' AND "
        "PLUGIN_STATUS = 'ACTIVE'"
    )
    if judges:
        raise SourceRefusedError(
            f"{server.name} judges passwords itself ({', '.join(str(row[0]) for row in judges)}), and is given hashes "
            "here: SET GLOBAL strict_password_validation = OFF"
        )


def check_sessions(server: Server, found: set[str], end: bool) -> None:
    """Raise `SourceRefusedError` for an administrator who sees only sessions of its own, or may `end` no others."""
    if not has(found, "PROCESS"):
        raise SourceRefusedError(f"{server.name}: the administrator does not see the sessions of others: GRANT "
                                 f"PROCESS ON *.* TO {server.user!r}")  # fmt: skip
    if end and not has(found, *KILLERS) and killing_routine(server) is None:
        right = "CONNECTION ADMIN" if server.is_mariadb else "CONNECTION_ADMIN"
        raise SourceRefusedError(f"{server.name}: the administrator may not end sessions: GRANT {right} ON *.* "
                                 f"TO {server.user!r}, or leave terminate= out")  # fmt: skip


def own_rights(server: Server) -> set[str]:
    """Return what the administrator may do, by its roles too."""
    lines = [str(row[0]) for row in server.rows("SHOW GRANTS")]
    if not server.is_mariadb:
        role = server.value("SELECT CURRENT_ROLE()")
        if role != "NONE":
            lines += [str(row[0]) for row in server.rows(f"SHOW GRANTS FOR CURRENT_USER() USING {role}")]
    return rights(lines)


def taken_for(server: Server, found: Sequence[Account], user: str) -> Account | None:
    """Return the account that the server should take for `user` from this host."""
    return taken(found, user, server.value("SELECT USER()").rpartition("@")[2])


def check_is_meant(server: Server, found: Account, meant: Sequence[Account]) -> None:
    """Raise `SourceRefusedError` when the server takes another account than those that are meant."""
    if found not in meant:
        same = found.user == meant[0].user
        hint = f"say user_host={found.host}, or remove that account" if same else f"DROP USER {found}"
        raise SourceRefusedError(
            f"{server.name} lets {meant[0].user!r} in as the account {found.user}@{found.host}, which comes before "
            f"{meant[0].user}@{meant[0].host}: {hint}"
        )
