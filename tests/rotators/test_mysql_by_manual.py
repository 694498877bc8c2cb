"""What the rotator asks of MySQL, against a model of its manual: no MySQL server can be had for the tests."""

from __future__ import annotations

import pytest

from strongroom import drivers
from strongroom.errors import SourceRefusedError
from strongroom.rotators import mysql_sessions

from .mysql_manual import Account

pytest.importorskip("pymysql")
FIRST = {"value": "first"}
CREATED = "SHOW CREATE USER %s@%s"


@pytest.fixture
def account(monkeypatch):
    account = Account("caching_sha2_password", "first")
    monkeypatch.setattr("pymysql.connect", account.connect)
    return account


def rotator(more="", hosts="host"):
    return drivers.rotator(f"mysql://admin@{hosts}?user=app&admin_secret=admin{more}", lambda name: {"value": "x"})


def defined(text):
    return [(f"CREATE USER `app`@`%` IDENTIFIED WITH {text}",)]


ROUTINES = mysql_sessions._ROUTINES
SOME = [("GRANT CREATE USER, PROCESS ON *.* TO `admin`@`%`",)]
ROWS = "SELECT User, Host FROM mysql.user WHERE User IN (%s, %s, '')"
SHA2 = "'caching_sha2_password' AS '$A$005$xxxxxxxxxxxxxxxxxxxxyyy'"


@pytest.mark.parametrize(
    ("answers", "more", "said"),
    [
        ({CREATED: defined(f"{SHA2} AND IDENTIFIED WITH 'authentication_webauthn'")}, "", "several factors"),
        ({CREATED: defined("'sha256_password' AS 'x'")}, "", "logs in by sha256_password, and would by"),
        ({CREATED: defined("'authentication_ldap_simple'")}, "", "logs in by authentication_ldap_simple, and would by"),
        ({CREATED: defined("'auth_socket'")}, "", "logs in by auth_socket"),
        ({}, "&plugin=mysql_native_password", "keep the previous password of 'app'@'%' when caching_sha2"),
        ({CREATED: defined("'sha256_password' AS 'x'")}, "&plugin=caching_sha2_password", "cannot keep the previous"),
        ({}, "&plugin=ed25519", "does not log in by ed25519"),
        ({CREATED: defined(f"{SHA2} REQUIRE NONE ACCOUNT LOCK")}, "", "'app'@'%' is locked"),
        ({"SELECT @@read_only": [(1,)]}, "", "read-only .read_only., as a replica"),
        ({"SELECT @@read_only": [("ON",)]}, "", "read-only .read_only., as a replica"),
        ({"SELECT @@innodb_read_only": [(1,)]}, "", "read-only .innodb_read_only., as a replica"),
        ({"SHOW GRANTS": [("GRANT SELECT ON *.* TO `admin`@`%`",)]}, "", "needs the right CREATE USER"),
        ({}, "&terminate=1&other=app", "GRANT PROCESS"),
        ({"SHOW GRANTS": SOME}, "&terminate=1&other=app", "GRANT CONNECTION_ADMIN"),
        ({"SELECT CURRENT_USER()": [("app@localhost",)]}, "", "as the account app@localhost, which comes before app@%"),
        ({ROWS: [("app", "10.%")]}, "", "there is 'app'@'10.%': user_host= names it"),
    ],
)  # fmt: skip
def test_what_would_go_wrong_is_found_and_nothing_is_changed(account, answers, more, said):
    account.answers = answers
    account.answers |= {ROUTINES: []}
    current = {"username": "app", "password": "first"} if "other" in more else FIRST
    with pytest.raises(SourceRefusedError, match=said):
        rotator(more).check(current)
    assert account.statements == []


def test_a_replica_is_found_by_its_state(account):
    account.description = (("Replica_IO_Running",), ("Replica_SQL_Running",), ("Source_SSL_Allowed",))
    account.answers = {"SHOW REPLICA STATUS": [("Connecting", "Yes", "Yes")]}
    with pytest.raises(SourceRefusedError, match="is a replica, although it can be written"):
        rotator().check(FIRST)
    account.answers = {"SHOW REPLICA STATUS": [("No", "No", "Yes")]}
    assert rotator().check(FIRST) == []


def test_rights_that_the_administrator_has_by_a_role_count(account):
    grants = [("GRANT USAGE ON *.* TO `admin`@`%`",), ("GRANT `r`@`%` TO `admin`@`%`",)]
    account.answers = {"SHOW GRANTS": grants}
    with pytest.raises(SourceRefusedError, match="CREATE USER"):
        rotator().check(FIRST)
    account.answers |= {
        "SELECT CURRENT_ROLE()": [("`r`@`%`",)],
        "SHOW GRANTS FOR CURRENT_USER() USING `r`@`%`": [("GRANT CREATE USER, PROCESS ON *.* TO `admin`@`%`",),
                                                         ("GRANT CONNECTION_ADMIN ON *.* TO `admin`@`%`",)],
    }  # fmt: skip
    assert rotator("&terminate=1").check(FIRST) == []


def test_several_rows_are_changed_once_each_however_often(account):
    one = rotator("&user_host=%,%")
    pending = one.create(FIRST)
    for _ in range(2):
        one.set(pending, FIRST)
    assert len(account.statements) == 1
    assert account.accepts("first")


def test_sessions_are_told_apart(account):
    account.answers = {
        "SHOW GRANTS": [("GRANT PROCESS, CREATE USER ON *.* TO `admin`@`%`",)],
        "SHOW GLOBAL STATUS LIKE 'Uptime'": [("Uptime", "5000")],
        "SELECT @@performance_schema": [(0,)],
        "SELECT ID, USER, HOST, COMMAND, TIME FROM information_schema.PROCESSLIST": [
            (3, "event_scheduler", "localhost", "Daemon", 4000), (7, "admin", "localhost", "Query", 0),
            (4, "app", "10.0.0.1:50000", "Query", 0), (5, "other", "10.0.0.2:50000", "Sleep", 900),
            (6, "app", "10.0.0.1:50001", "Sleep", 10), (8, "app", "10.0.0.1:50002", "Sleep", 9000),
            (9, "system user", "", "Connect", 4999),
        ],
    }  # fmt: skip
    account.description = (("@@performance_schema",),)
    (found,) = rotator().sessions(FIRST, 600)
    # The first one is older than the one of another user that came later; more than the server's age is nonsense.
    assert (found.open, found.oldest) == (1, 900)
    assert [each.open for each in rotator().sessions(FIRST, -1)] == [3]


def test_the_statements_for_a_second_account(account):
    account.answers = {
        CREATED: defined(f"{SHA2} DEFAULT ROLE `r`@`%` REQUIRE SSL PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"),
        "SHOW GRANTS FOR %s@%s": [("GRANT USAGE ON *.* TO `app`@`%`",), ("GRANT SELECT ON `shop`.* TO `app`@`%`",),
                                  ("GRANT `r`@`%` TO `app`@`%`",)],
    }  # fmt: skip
    (made, *rest), url = rotator().second_account(FIRST, "app_b")
    head, _, tail = made.partition(" AS '$A$005$")
    assert head == "CREATE USER `app_b`@`%` IDENTIFIED WITH caching_sha2_password"
    assert tail[63:] == "' REQUIRE SSL PASSWORD EXPIRE DEFAULT"
    assert rest == ["GRANT SELECT ON `shop`.* TO `app_b`@`%`", "GRANT `r`@`%` TO `app_b`@`%`",
                    "ALTER USER `app_b`@`%` DEFAULT ROLE `r`@`%`"]  # fmt: skip
    assert url == "mysql://admin@host?user=app&admin_secret=admin&other=app_b"
