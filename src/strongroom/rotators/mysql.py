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
from strongroom.errors import ConfigError, MissingExtraError, RotationError, SourceRefusedError
from strongroom.generate.generate import generate_value
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
    1040: "it has no connection left: raise max_connections",
    1064: "it does not know the statement: MariaDB 10.4 or MySQL 8.0.14 is the least",
    1226: "the account has used up what it may (max_user_connections and such): raise that, or wait",
    1227: "the administrator needs the right CREATE USER",
    1290: "it is read-only, or a replica (--read-only): name the primary in the URL",
    1372: "it wants to judge the password itself; switch strict_password_validation off",
    1396: "there is no such account, or its way to log in takes no password; user= and user_host= name it",
    1524: "it does not have that plugin; plugin= names another",
    1698: "the account logs in by the socket, not with a password: ALTER USER gives it one",
    1819: "its password policy refuses the value: length= and alphabet= make others",
    _NO_PLUGIN: "it asks for the password itself, which it is told over TLS only; say tls=",
    2003: "is it there, and has it a certificate? tls= names its authority, tls=no does without",
    2026: "it does not talk TLS; tls=no does without, on a network that is yours alone",
    2005: "there is no such host",
    2006: "it has ended the connection",
    2013: "the connection was lost before it answered",
    4151: "the account is locked, or its password has expired: ALTER USER … ACCOUNT UNLOCK",
}
_WAYS = ("ed25519", "unix_socket", "mysql_native_password", "caching_sha2_password", "sha256_password", "gssapi", "pam",
         "parsec")  # fmt: skip


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
                 plugin: str | None, policy: Policy, known_as: str = "") -> None:  # fmt: skip
        self._where = where
        self._admin = admin
        self._accounts = accounts
        self._host = host
        self._plugin = plugin
        self._policy = policy
        self._changed = False
        self.accounts = accounts.names(known_as)
        self.users = accounts

    def check(self, current: Mapping[str, Any]) -> None:
        """Log in, and ask for the accounts, what they log in with, and the administrator's right to change them."""
        self._accounts.pending(current, self._policy)
        login = self._accounts.login(current)
        with self._connected(self._admin()) as server:
            if _row(server, "SELECT @@read_only")[0]:
                raise SourceRefusedError(f"{self._name} is read-only, as a replica is: name the primary in the URL")
            for user in (self._accounts.name, self._accounts.other):
                if user is not None:
                    self._check_method(server, user)
            grants = " ".join(row[0] for row in _rows(server, "SHOW GRANTS"))
            if not any(right in grants for right in ("CREATE USER", "ALL PRIVILEGES ON *.*", "UPDATE ON `mysql`")):
                raise SourceRefusedError(f"{self._name}: {_ADVICE[1227]}: GRANT CREATE USER ON *.* TO it")
        # After the accounts' methods were looked at, some of which this client does not know.
        with self._connected(login) as server:
            self._check_is_meant(server, login.user)

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return a new password, and of two accounts the one whose turn it is."""
        return self._accounts.pending(current, self._policy)

    def adopt(self, value: Any, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return the secret with an operator's own password."""
        return self._accounts.adopt(value, current)

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
        new = self._accounts.login(current)
        old = self._accounts.user(previous) if previous else self._accounts.turn_of(current) or new.user
        with self._connected(self._admin()) as server:
            # An account that is gone accepts nothing.
            if old == new.user or self._exists(server, old):
                self._accept_only(server, new if old == new.user else Login(old, generate_value()))

    def _exists(self, server: Any, user: str) -> bool:
        return bool(_rows(server, "SELECT 1 FROM mysql.user WHERE User = %s AND Host = %s", (user, self._host)))

    @property
    def _name(self) -> str:
        return f"the MySQL server at {self._where.get('host')}:{self._where.get('port')}"

    def _check_is_meant(self, server: Any, user: str) -> None:
        """Raise `SourceRefusedError` when the log-in is another account's: `u@localhost` comes before `u@%`."""
        found = str(_row(server, "SELECT CURRENT_USER()")[0])
        if found != f"{user}@{self._host}":
            raise SourceRefusedError(
                f"{self._name} lets {user!r} in as the account {found}, which comes before {user}@{self._host}: say "
                f"user_host={found.rpartition('@')[2]}, or remove that account"
            )

    def _check_method(self, server: Any, user: str) -> None:
        """Raise `SourceRefusedError` when an account would get another way to log in than it has."""
        said = str(_row(server, "SHOW CREATE USER %s@%s", (user, self._host))[0])
        if "ACCOUNT LOCK" in said:
            raise SourceRefusedError(f"{self._name}: {user!r}@{self._host!r} is locked: ALTER USER … ACCOUNT UNLOCK")
        ways = [way for way in _WAYS if way in said]
        plugin = self._plugin or (NATIVE if _is_mariadb(server) else SHA2)
        if self._plugin is None and any(way != plugin for way in ways):
            raise SourceRefusedError(
                f"{self._name}: {user!r}@{self._host!r} logs in by {', '.join(ways)}, and would by {plugin} alone "
                f"afterwards; plugin={plugin} allows that"
            )

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
        self._changed = True

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

        code: object
        begun, self._changed = False, False
        try:
            with pymysql.connect(user=login.user, password=login.password, **self._where) as connection:
                begun = True
                yield connection
                return
        except pymysql.Error as error:
            code = error.args[0] if error.args else None
        except (OSError, ValueError) as error:
            code = type(error).__name__
        # An answer of the server's says that this statement has changed nothing; below 2000 and from 3000 on it is one.
        answered = isinstance(code, int) and not 2000 <= code < 3000 and not self._changed
        advice = _ADVICE.get(code) if isinstance(code, int) else None
        text = f"{self._name} failed with error {code}, as user {login.user!r}" + (f": {advice}" if advice else "")
        if code == _REFUSED:
            raise Refused(f"{self._name} refuses the user {login.user!r} (error {code})")
        raise SourceRefusedError(text) if answered or not begun else RotationError(text)


def _rows(server: Any, statement: str, arguments: tuple[str, ...] = ()) -> list[Any]:
    cursor = server.cursor()
    cursor.execute(statement, arguments)
    return list(cursor.fetchall())


def _row(server: Any, statement: str, arguments: tuple[str, ...] = ()) -> Any:
    return _rows(server, statement, arguments)[0]


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
    where_it_is = place("mysql", rest, OPTIONS)
    host, port, user, path, given = where_it_is
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
                        given.get("user_host", "%"), given.get("plugin"), Policy.of(given),
                        where_it_is.known_as("mysql", 3306))  # fmt: skip
