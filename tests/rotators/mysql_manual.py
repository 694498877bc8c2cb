"""What MySQL's manual says of two passwords, as a model: no MySQL server can be had from the packages of the tests.

From the reference manual of 8.4, "ALTER USER Statement" and "Password Management, Dual Password Support":

- `RETAIN CURRENT PASSWORD` makes the current primary password the secondary one, in place of any that was there.
- Without it a change of the primary password leaves the secondary one as it is.
- A change of the plugin discards the secondary password; with RETAIN CURRENT PASSWORD it fails.
- `DISCARD OLD PASSWORD` discards the secondary password, if there is one.
"""

from __future__ import annotations

import re

import pymysql

from strongroom.crypto.verifiers import mysql_caching_sha2, mysql_native

_STATEMENT = re.compile(
    r"ALTER USER %s@%s (?:IDENTIFIED WITH (?P<plugin>mysql_native_password|caching_sha2_password) AS %s"
    r"(?P<retain> RETAIN CURRENT PASSWORD)?|(?P<discard>DISCARD OLD PASSWORD))"
)


class Account:
    """An account, `app@%`, and a connection to its server, which has nothing but it."""

    server_version = "8.4.6"
    description = ()

    def __init__(self, plugin: str, password: str) -> None:
        self.plugin = plugin
        self.primary = mysql_native(password) if plugin.startswith("mysql") else mysql_caching_sha2(password, "s" * 20)
        self.secondary: str | None = None
        self.statements: list[str] = []
        self.answers: dict[str, list[tuple[object, ...]]] = {}
        """What else it answers."""

    def connect(self, *, user: str, password: str, **_: object) -> Account:
        """Stand for `pymysql.connect`."""
        if user == "app" and not self.accepts(password):
            raise pymysql.err.OperationalError(1045, f"Access denied for user {user!r}@'localhost'")
        return self

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def thread_id(self) -> int:
        return 7

    def accepts(self, password: str) -> bool:
        return any(self._matches(kept, password) for kept in (self.primary, self.secondary) if kept)

    def _matches(self, kept: str, password: str) -> bool:
        made = mysql_native(password) if kept[0] == "*" else mysql_caching_sha2(password, kept[7:27])
        return made == kept

    def cursor(self) -> Account:
        return self

    def fetchall(self) -> list[tuple[object, ...]]:
        return self.answer

    def execute(self, statement: str, arguments: tuple[str, ...] | None = None) -> None:
        answers: dict[str, list[tuple[object, ...]]] = {
            "SELECT CURRENT_USER()": [("app@%",)], "SELECT USER()": [("admin@localhost",)],
            "SELECT @@read_only": [(0,)], "SELECT @@innodb_read_only": [(0,)], "SELECT CURRENT_ROLE()": [("NONE",)],
            "SHOW GRANTS": [("GRANT CREATE USER ON *.* TO `admin`@`%`",)],
            "SELECT User, Host FROM mysql.user WHERE User IN (%s, %s, '')": [("app", "%")],
            "SELECT ID, USER, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST": [],
            "SHOW GLOBAL STATUS LIKE 'Uptime'": [("Uptime", 7)], "SELECT @@performance_schema": [],
            "SELECT @@strict_password_validation AS strict": [], "SHOW REPLICA STATUS": [], "SHOW SLAVE STATUS": [],
            "SHOW CREATE USER %s@%s": [
                (f"CREATE USER `app`@`%` IDENTIFIED WITH '{self.plugin}' AS '{self.primary}' REQUIRE NONE PASSWORD "
                 "EXPIRE DEFAULT ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT",)
            ],
        } | self.answers  # fmt: skip
        self.answer = answers.get(statement, [])
        if statement in answers:
            return
        assert arguments is not None, f"nobody answers {statement}"
        found = _STATEMENT.fullmatch(statement)
        assert found is not None, f"MySQL does not know this: {statement}"
        assert arguments[:2] == ("app", "%")
        self.statements.append(statement)
        if found["discard"]:
            self.secondary = None
            return
        if found["plugin"] != self.plugin:
            assert not found["retain"], "the old password is retained by the same plugin only"
            self.secondary, self.plugin = None, found["plugin"]
        if found["retain"]:
            self.secondary = self.primary
        self.primary = arguments[2]
