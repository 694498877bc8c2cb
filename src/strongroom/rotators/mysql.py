"""`mysql://…`: the password of an account of a MariaDB (10.4 or later) or MySQL (8.0.14 or later) server.

    mysql://admin@db.example:3306?user=app&admin_secret=mysql/admin                  one account
    mysql://admin@db.example?user=app_a&other=app_b&admin_secret=mysql/admin         two accounts take turns

One account accepts both passwords until the previous one is retired: MariaDB gets two ways to log in (`IDENTIFIED WITH
… OR …`), MySQL keeps the old password as its second (`RETAIN CURRENT PASSWORD`). Two accounts must exist with the same
rights; the one that is retired gets a password that nobody knows.

A plain secret is the password. The server gets its hash, computed here, because MariaDB writes statements to its
general log as they are; so it cannot judge the password by rules of its own. The hash is that of `plugin=`:
`mysql_native_password` (MariaDB, and there the only one) or `caching_sha2_password` (MySQL). On MariaDB the account
then has no other way to log in. The administrator needs the right CREATE USER. Further options: `user_host` (what
stands after the @ of the account; `%` unless it says otherwise), `tls` (`system`, a file with the server's authority,
or `no`), `length`, `alphabet`. Without `tls`, a server on another host must have a certificate that the system trusts;
and no server is told a password in the clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from strongroom.crypto.verifiers import mysql_caching_sha2, mysql_native
from strongroom.errors import ConfigError, MissingExtraError, RotationError
from strongroom.generate import generate_value
from strongroom.rotators.accounts import Accounts, Login, Read, Refused, administrator
from strongroom.rotators.servers import authorities, place, tls_context
from strongroom.rotators.values import POLICY, Policy

TIMEOUT = 10
"""Seconds for a connection, and for an answer."""
OPTIONS = POLICY | {"user", "other", "user_host", "admin_secret", "plugin", "tls"}
NATIVE, SHA2 = "mysql_native_password", "caching_sha2_password"
_ASKING = ("mysql_clear_password", "dialog", "sha256_password")
"""Ways to log in by which whoever answers at the address is told the password, without TLS."""
_REFUSED, _NO_PLUGIN = 1045, 2059
_ADVICE = {
    1064: "it does not know the statement: MariaDB 10.4 or MySQL 8.0.14 is the least",
    1227: "the administrator needs the right CREATE USER",
    1372: "it wants to judge the password itself; switch strict_password_validation off",
    1396: "there is no such account; user= and user_host= name it",
    _NO_PLUGIN: "it asks for the password itself, which it is told over TLS only; say tls=",
    2003: "is it there, and has it a certificate? tls= names its authority, tls=no does without",
    2026: "it does not talk TLS; tls=no does without, on a network that is yours alone",
    1524: "it does not have that plugin; plugin= names another",
}


class _RefusedPlugin:
    """Stands for a way to log in that is not gone."""

    def __init__(self, connection: object) -> None:
        """As PyMySQL makes it."""

    def authenticate(self, packet: object) -> None:
        """Send nothing."""
        import pymysql

        raise pymysql.err.OperationalError(_NO_PLUGIN)

    def prompt(self, echo: object, prompt: object) -> None:
        """Send nothing."""
        self.authenticate(prompt)


class MysqlRotator:
    """Changes the password of an account, or lets two accounts take turns."""

    def __init__(self, where: dict[str, Any], admin: Callable[[], Login], accounts: Accounts, host: str,
                 plugin: str | None, policy: Policy) -> None:  # fmt: skip
        self._where = where
        self._admin = admin
        self._accounts = accounts
        self._host = host
        self._plugin = plugin
        self._policy = policy

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two accounts the one whose turn it is."""
        return self._accounts.pending(current, self._policy)

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the account accept the pending password, and of one account go on accepting the current one."""
        new, old = self._accounts.login(pending), self._accounts.login(current)
        with self._connected(self._admin()) as server:
            if new.user != old.user:
                self._accept_only(server, new)
            elif _is_mariadb(server):
                self._alter(server, new.user, new.password, old.password)
            elif not self._accepts(new):
                # Repeated blindly, the pending password would become its own second, in place of the current one.
                self._alter(server, new.user, new.password, retain=True)

    def test(self, pending: Mapping[str, Any]) -> None:
        """Log in with the pending password."""
        with self._connected(self._accounts.login(pending)) as server:
            server.ping(reconnect=False)

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Leave one account the current password alone; give another than the current one an unknown password."""
        old, new = self._accounts.login(previous), self._accounts.login(current)
        with self._connected(self._admin()) as server:
            self._accept_only(server, new if old.user == new.user else Login(old.user, generate_value()))

    def _accept_only(self, server: Any, login: Login) -> None:
        self._alter(server, login.user, login.password)
        if not _is_mariadb(server):
            server.cursor().execute("ALTER USER %s@%s DISCARD OLD PASSWORD", (login.user, self._host))

    def _alter(self, server: Any, user: str, *passwords: str, retain: bool = False) -> None:
        plugin = self._plugin or (NATIVE if _is_mariadb(server) else SHA2)
        if plugin != NATIVE and _is_mariadb(server):
            raise RotationError(f"MariaDB logs in with {NATIVE} here; leave plugin= out")
        ways = " OR ".join(f"{plugin} AS %s" for _ in passwords)
        statement = f"ALTER USER %s@%s IDENTIFIED WITH {ways}" + (" RETAIN CURRENT PASSWORD" if retain else "")
        server.cursor().execute(statement, (user, self._host, *(_hash(plugin, password) for password in passwords)))

    def _accepts(self, login: Login) -> bool:
        try:
            with self._connected(login):
                return True
        except Refused:
            return False

    @contextmanager
    def _connected(self, login: Login) -> Iterator[Any]:
        """Log in; raises `RotationError` for what goes wrong in the block too, without the server's own words."""
        import pymysql

        try:
            with pymysql.connect(user=login.user, password=login.password, **self._where) as connection:
                yield connection
                return
        except pymysql.Error as error:
            code = error.args[0] if error.args else None
        except (OSError, ValueError) as error:
            code = type(error).__name__
        if code == _REFUSED:
            raise Refused(f"the MySQL server refuses the user {login.user!r} (error {code})")
        advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
        raise RotationError(f"the MySQL server failed with error {code}, as user {login.user!r}{advice}")


def _is_mariadb(server: Any) -> bool:
    return "MariaDB" in server.server_version


def _hash(plugin: str, password: str) -> str:
    return mysql_native(password) if plugin == NATIVE else mysql_caching_sha2(password, generate_value(20))


def connect(rest: str, read: Read) -> MysqlRotator:
    """Return the rotator; raises `ConfigError`, and `MissingExtraError` without PyMySQL."""
    try:
        import pymysql  # noqa: F401
    except ImportError:
        raise MissingExtraError("mysql: needs PyMySQL: pip install 'strongroom[mysql]'") from None
    host, port, user, path, given = place("mysql", rest, OPTIONS)
    password = administrator(read, given.get("admin_secret"))
    if path or not given.get("user") or user is None or password is None:
        raise ConfigError("mysql: is written mysql://admin@host:port?user=NAME&admin_secret=NAME, without a database")
    if given.get("plugin", NATIVE) not in (NATIVE, SHA2):
        raise ConfigError(f"mysql: plugin is {NATIVE} or {SHA2}")
    tls = tls_context(authorities(host, given))
    where = {"host": host, "port": port or 3306, "connect_timeout": TIMEOUT, "read_timeout": TIMEOUT,
             "write_timeout": TIMEOUT, "autocommit": True, "program_name": "strongroom", "ssl": tls,
             "auth_plugin_map": {} if tls else dict.fromkeys(_ASKING, _RefusedPlugin)}  # fmt: skip
    return MysqlRotator(where, lambda: Login(user, password()), Accounts(given["user"], given.get("other")),
                        given.get("user_host", "%"), given.get("plugin"), Policy.of(given))  # fmt: skip
