"""A connection to a MariaDB or MySQL server, and its errors in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Login, Refused
from strongroom.rotators.mysql_errors import NO_PLUGIN, REFUSED, explain

_ASKING = ("mysql_clear_password", "dialog", "sha256_password")
"""Ways to log in by which whoever answers at the address is told the password, without TLS."""


class Server:
    """A server, to which `user` has logged in."""

    def __init__(self, connection: Any, where: dict[str, Any], user: str) -> None:
        self.connection = connection
        self.address = address(where)
        self.name = f"the MySQL server at {self.address}"
        self.where = where
        self.user = user
        self.changed = False
        """True once a statement has changed something."""

    @property
    def is_mariadb(self) -> bool:
        """True for MariaDB, False for MySQL."""
        return "MariaDB" in self.connection.server_version

    @property
    def number(self) -> int:
        """The number that the server gave this session."""
        return int(self.connection.thread_id())

    def rows(self, statement: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        """Run a statement and return its rows, as tuples."""
        cursor = self.connection.cursor()
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())

    def value(self, statement: str) -> str:
        """Run a statement and return the first value of its first row, as a text."""
        return str(self.rows(statement)[0][0])

    def change(self, statement: str, arguments: tuple[Any, ...] = ()) -> None:
        """Run a statement that changes something; from then on no error says that nothing was changed."""
        self.connection.cursor().execute(statement, arguments or None)
        self.changed = True

    def allowed(self, statement: str) -> list[dict[str, Any]]:
        """Run a statement and return its rows, none when the user may not or the server does not know it."""
        import pymysql

        cursor = self.connection.cursor()
        try:
            cursor.execute(statement)
        except (pymysql.err.OperationalError, pymysql.err.ProgrammingError) as error:
            if error.args and error.args[0] in _NOT_ALLOWED:
                return []
            raise
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


_NOT_ALLOWED = (1044, 1045, 1064, 1142, 1143, 1146, 1193, 1227)


class _RefusedPlugin:
    """Stands for a way to log in that is not gone."""

    def __init__(self, connection: object) -> None:
        """As PyMySQL makes it."""

    def authenticate(self, packet: object) -> None:
        """Send nothing."""
        import pymysql

        raise pymysql.err.OperationalError(NO_PLUGIN)

    def prompt(self, echo: object, prompt: object) -> None:
        """Send nothing."""
        self.authenticate(prompt)


@contextmanager
def connected(where: dict[str, Any], login: Login) -> Iterator[Server]:
    """Log in; raises `RotationError` for what goes wrong in the block too, without the server's own words."""
    import pymysql

    code: object
    said: object = None
    server: Server | None = None
    try:
        with pymysql.connect(user=login.user, password=login.password, **where) as connection:
            server = Server(connection, where, login.user)
            yield server
            return
    except pymysql.Error as error:
        code, said = (*error.args, None, None)[:2]
        # PyMySQL has no number for what it cannot do, and may quote the server.
        code = code if isinstance(code, int) else "no number"
    except (OSError, ValueError, RuntimeError, LookupError) as error:
        if server is not None and isinstance(error, LookupError | RuntimeError):
            raise
        code = type(error).__name__
    # An answer of the server's says that this statement has changed nothing; below 2000 and from 3000 on it is one.
    answered = isinstance(code, int) and not 2000 <= code < 3000 and not (server and server.changed)
    advice = explain(code, said, login.user, server is not None)
    text = f"the MySQL server at {address(where)} failed with error {code}, as user {login.user!r}"
    text += f": {advice}" if advice else ""
    if code in REFUSED and server is None:
        raise Refused(text)
    raise SourceRefusedError(text) if answered or server is None else RotationError(text)


def arguments(host: str, port: int, tls: Any, seconds: int) -> dict[str, Any]:
    """Return what PyMySQL is given to connect to a host; `seconds` is for the connection, and for an answer."""
    return {"host": host, "port": port, "connect_timeout": seconds, "read_timeout": seconds, "write_timeout": seconds,
            "autocommit": True, "program_name": "strongroom", "ssl": tls,
            "auth_plugin_map": {} if tls else dict.fromkeys(_ASKING, _RefusedPlugin)}  # fmt: skip


def address(where: dict[str, Any]) -> str:
    """Return host and port."""
    host = f"[{where['host']}]" if ":" in str(where["host"]) else where["host"]
    return f"{host}:{where['port']}"
