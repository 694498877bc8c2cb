"""Accounts of MariaDB as people have them: ways to log in, others of the same name, rights of two, a second one."""

from __future__ import annotations

import re
import subprocess

import pytest

from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.mysql_hosts import Account, is_of, taken
from strongroom.rotators.mysql_methods import ED25519, NATIVE, definition
from strongroom.rotators.mysql_rights import rights, statements

from .servers import ADMIN, program

FIRST = {"value": "first"}
TWO = {"username": "app_a", "password": "first"}


def rotator(mariadb, more="", user="root"):
    place = f"{user}@127.0.0.1:{mariadb.port}?admin_secret=admin&user=app_a{more}"
    return drivers.rotator(f"mysql://{place}", lambda name: {"value": ADMIN})


def ways(mariadb, account="app_a@'%'"):
    return [way.plugin for way in definition(str(mariadb.rows(f"SHOW CREATE USER {account}")[0][0])).ways]


def by_program(mariadb, password, user="app_a"):
    """Log in as the program `mariadb` does, which can be asked as often as the server likes."""
    command = [program("mariadb"), "--no-defaults", "-h127.0.0.1", f"-P{mariadb.port}", f"-u{user}", f"-p{password}"]
    return subprocess.run([*command, "-e", "SELECT 1"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def server(mariadb):
    """`mariadb` with every plugin, and as it was before afterwards."""
    mariadb.reset()
    for plugin in ("auth_ed25519", "auth_pam"):
        if not mariadb.rows(f"SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_LIBRARY = '{plugin}.so'"):
            mariadb.execute(f"INSTALL SONAME '{plugin}'")
    yield mariadb
    for user, host in mariadb.rows("SELECT User, Host FROM mysql.user WHERE User NOT IN ('root', 'mariadb.sys')"):
        name = str(user).replace("`", "``")
        mariadb.execute(f"DROP USER `{name}`@`{host}`" if host else f"DROP ROLE `{name}`")
    mariadb.execute("CREATE USER app_a@'%'; CREATE USER app_b@'%'; DROP DATABASE IF EXISTS shop")
    mariadb.reset()


OF = " USING PASSWORD('first')"


@pytest.mark.parametrize(
    ("before", "more", "during", "after"),
    [
        (f"{NATIVE}{OF}", "", [NATIVE, NATIVE], [NATIVE]),
        (f"unix_socket OR {NATIVE}{OF}", "", [NATIVE, NATIVE, "unix_socket"], [NATIVE, "unix_socket"]),
        (f"{NATIVE}{OF} OR pam", "", [NATIVE, NATIVE, "pam"], [NATIVE, "pam"]),
        (f"{NATIVE}{OF} OR {ED25519}{OF}", "", [NATIVE, NATIVE, ED25519, ED25519], [NATIVE, ED25519]),
        (f"{ED25519}{OF}", "&plugin=ed25519", [ED25519, ED25519], [ED25519]),
        (f"{ED25519}{OF}", "&plugin=mysql_native_password", [NATIVE, NATIVE], [NATIVE]),
        (f"{NATIVE}{OF}", "&plugin=ed25519", [ED25519, ED25519], [ED25519]),
    ],
)
def test_an_account_keeps_its_ways_to_log_in(server, before, more, during, after):
    if "ed25519" in before + more:
        pytest.importorskip("nacl")
    server.execute(f"ALTER USER app_a@'%' IDENTIFIED VIA {before}")
    one = rotator(server, more)
    said = one.check(FIRST)
    assert bool(said) == ("asks twice" in "".join(said)) == (more == "&plugin=ed25519")
    assert by_program(server, "first")
    pending = one.create(FIRST)
    for _ in range(2):
        one.set(pending, FIRST)
        assert ways(server) == during
    one.test(pending)
    assert by_program(server, "first")
    assert by_program(server, pending["value"])
    assert server.accepts("app_a", "first") == (more != "&plugin=ed25519")
    one.retire(FIRST, pending)
    assert ways(server) == after
    one.test(pending)
    assert not by_program(server, "first")


def test_two_accounts_keep_ed25519_and_every_client_follows(server):
    pytest.importorskip("nacl")
    server.execute("ALTER USER app_a@'%' IDENTIFIED VIA ed25519 USING PASSWORD('first')")
    server.execute("ALTER USER app_b@'%' IDENTIFIED VIA ed25519 USING PASSWORD('unknown')")
    two = rotator(server, "&other=app_b")
    two.check(TWO)
    pending = two.create(TWO)
    two.set(pending, TWO)
    two.test(pending)
    assert server.accepts("app_a", "first")
    two.retire(TWO, pending)
    assert ways(server) == ways(server, "app_b@'%'") == [ED25519]
    assert not server.accepts("app_a", "first")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (f"{ED25519}{OF}", "logs in by ed25519, and with two passwords MariaDB would ask for it twice"),
        (f"{ED25519}{OF} OR {NATIVE}{OF}", "logs in by ed25519, and with two passwords"),
        ("unix_socket", "logs in by unix_socket, and would by mysql_native_password alone"),
        ("pam USING 'login'", "logs in by pam, and would by mysql_native_password alone"),
    ],
)
def test_a_way_that_would_be_lost_is_refused_and_stays(server, before, said):
    if ED25519 in before:
        pytest.importorskip("nacl")
    server.execute(f"ALTER USER app_a@'%' IDENTIFIED VIA {before}")
    kept = server.rows("SHOW CREATE USER app_a@'%'")
    one = rotator(server)
    for step in (lambda: one.check(FIRST), lambda: one.set({"value": "new"}, FIRST)):
        with pytest.raises(SourceRefusedError, match=said):
            step()
    assert server.rows("SHOW CREATE USER app_a@'%'") == kept


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ACCOUNT LOCK", "'app_a'@'%' is locked: ALTER USER … ACCOUNT UNLOCK"),
        ("PASSWORD EXPIRE", "18[26][02].*the password has expired"),
        ("REQUIRE SUBJECT '/CN=app'", "1045"),
        ("WITH MAX_QUERIES_PER_HOUR 1", "1226.*the account has used up what it may"),
    ],
)
def test_an_account_that_is_not_let_in_is_found(server, change, said):
    server.execute("DROP USER app_a@'%'; CREATE USER app_a@'%' IDENTIFIED BY 'first'")
    server.execute(f"ALTER USER app_a@'%' {change}")
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server, "&test=SELECT 1").check(FIRST)


def test_a_second_password_of_the_account_is_told_of(server):
    server.execute(f"ALTER USER app_a@'%' IDENTIFIED VIA {NATIVE}{OF} OR {NATIVE} USING PASSWORD('theirs')")
    assert "accepts another password too" in rotator(server).check(FIRST)[0]


@pytest.mark.parametrize(
    ("statements", "more", "said"),
    [
        ("CREATE USER app_a@'127.0.0.1' IDENTIFIED BY 'first'", "", "as the account app_a@127.0.0.1, which"),
        ("CREATE USER app_a@'127.0.0.1' IDENTIFIED BY 'x'", "", "say user_host=127.0.0.1, or remove that account"),
        ("CREATE USER ''@'127.0.0.1'", "", "as the account @127.0.0.1, .*DROP USER ''@'127.0.0.1'"),
        ("CREATE USER app_a@'127.%' IDENTIFIED BY 'first'", "", "say user_host=127.%"),
        ("CREATE USER app_a@'127.0.0.0/255.0.0.0' IDENTIFIED BY 'x'", "", "say user_host=127.0.0.0/255.0.0.0"),
        ("CREATE USER app_a@'10.%' IDENTIFIED BY 'first'", "", "has the account 'app_a'@'10.%' too, with"),
        ("CREATE USER app_a@'10.%' IDENTIFIED BY 'first'", "&user_host=10.%", "as the account app_a@%, which"),
        ("CREATE USER app_b@'10.%' IDENTIFIED BY 'x'", "&other=app_b", "has 'app_b' for the hosts '10.%', and"),
        ("CREATE USER other@'%'", "&user_host=localhost", "no account 'app_a'@'localhost'; there is 'app_a'@'%'"),
    ],
)  # fmt: skip
def test_an_account_beside_the_one_that_is_meant_is_found(server, statements, more, said):
    server.execute(statements)
    kept = server.rows("SELECT User, Host, authentication_string FROM mysql.user")
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server, more).check(TWO if "other" in more else FIRST)
    assert server.rows("SELECT User, Host, authentication_string FROM mysql.user") == kept


@pytest.mark.parametrize(
    "hosts", [["%", "%.0.0.1"], ["127.%", "%.1"], ["127.0.0._", "127.0.%"], ["127.0.0.1", "127.0.0.0/255.255.255.0"]]
)
def test_the_real_server_takes_the_account_that_is_expected(server, hosts):
    import pymysql

    server.execute("DROP USER app_a@'%'")
    for host in hosts:
        server.execute(f"CREATE USER app_a@'{host}' IDENTIFIED BY 'first'")
    with pymysql.connect(host="127.0.0.1", port=server.port, user="app_a", password="first") as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT CURRENT_USER()")
        expected = taken([Account("app_a", host) for host in hosts], "app_a", "127.0.0.1")
        assert cursor.fetchone() == (f"app_a@{expected.host}",)


def test_an_account_beside_that_another_secret_has_is_told_of(server):
    server.execute("CREATE USER app_a@'10.%' IDENTIFIED BY 'other'; CREATE USER ''@'db.example'")
    said = rotator(server).check(FIRST)
    assert any("'app_a'@'10.%' has another password, which stays" in text for text in said)
    assert any("clients from 'db.example' are let in as the anonymous account" in text for text in said)


def test_accounts_that_share_a_password_are_rotated_together(server):
    server.execute("CREATE USER app_a@'127.0.0.1' IDENTIFIED BY 'first'")
    one = rotator(server, "&user_host=%,127.0.0.1")
    assert one.check(FIRST) == []
    pending = one.create(FIRST)
    one.set(pending, FIRST)
    one.test(pending)
    one.retire(FIRST, pending)
    kept = {row[0] for row in server.rows("SELECT authentication_string FROM mysql.user WHERE User = 'app_a'")}
    assert len(kept) == 1
    assert not server.accepts("app_a", "first")


ROLE = "CREATE ROLE readers; GRANT readers TO app_a@'%'"
READ = "GRANT SELECT ON shop.* TO"


@pytest.mark.parametrize(
    ("statements", "who", "lacks"),
    [
        (f"{READ} app_a@'%'", "app_b", "SELECT ON `shop`.*"),
        ("GRANT UPDATE (price) ON shop.goods TO app_b@'%'", "app_a", "UPDATE (`price`) ON `shop`.`goods`"),
        (ROLE, "app_b", "the role `readers`"),
        (f"{ROLE}; GRANT readers TO app_b@'%'; SET DEFAULT ROLE readers FOR app_b@'%'", "app_a", "the default role"),
        (f"{READ} app_a@'%' WITH GRANT OPTION; {READ} app_b@'%'", "app_b", "SELECT ON `shop`.* WITH GRANT OPTION"),
        ("ALTER USER app_b@'%' WITH MAX_USER_CONNECTIONS 2", "app_a", "MAX_USER_CONNECTIONS 2"),
        ("ALTER USER app_b@'%' REQUIRE X509", "app_a", "REQUIRE X509"),
    ],
)
def test_a_second_account_that_has_not_the_same_rights_is_found(server, statements, who, lacks):
    server.execute("CREATE DATABASE shop; CREATE TABLE shop.goods (name int, price int)")
    server.execute(statements)
    with pytest.raises(SourceRefusedError, match=rf"'{who}'@'%' has not what .* has: .*{re.escape(lacks)}"):
        rotator(server, "&other=app_b").check(TWO)
    assert rotator(server, "&other=app_b&rights=any").check(TWO) == []


@pytest.mark.parametrize("query", ["SELECT name FROM shop.goods", "SELECT 1 FROM shop.goods WHERE name LIKE '%25a'"])
def test_a_test_query_finds_a_second_account_without_the_right_before_promotion(server, query):
    server.execute("CREATE DATABASE shop; CREATE TABLE shop.goods (name int)")
    server.execute("GRANT SELECT ON shop.goods TO app_a@'%'")
    two = rotator(server, f"&other=app_b&rights=any&test={query}")
    two.check(TWO)
    pending = two.create(TWO)
    two.set(pending, TWO)
    with pytest.raises(SourceRefusedError, match=r"1142.*'app_b' lacks a right on a table: GRANT it to 'app_b'"):
        two.test(pending)
    server.execute("GRANT SELECT ON shop.goods TO app_b@'%'")
    two.test(pending)


def test_a_second_account_is_made_with_the_same_rights(server):
    server.execute("CREATE DATABASE shop; CREATE TABLE shop.goods (`a TO b` int, `c``d` int); CREATE ROLE readers")
    server.execute("ALTER USER app_a@'%' REQUIRE NONE WITH MAX_USER_CONNECTIONS 50")
    server.execute("GRANT SELECT (`a TO b`, `c``d`), INSERT ON shop.goods TO app_a@'%' WITH GRANT OPTION")
    server.execute(
        "GRANT EXECUTE ON shop.* TO app_a@'%'; GRANT readers TO app_a@'%'; SET DEFAULT ROLE readers FOR app_a@'%'"
    )
    one = rotator(server)
    planned, url = one.second_account(FIRST, "o'neil `b`")
    assert url.endswith("&other=o%27neil%20%60b%60")
    assert not [text for text in planned if "first" in text]
    assert "AS '*" in planned[0]
    one.make_second_account(FIRST, "o'neil `b`")
    two = drivers.rotator(url, lambda name: {"value": ADMIN})
    assert two.check(TWO) == []
    pending = two.create(TWO)
    two.set(pending, TWO)
    two.test(pending)
    with pytest.raises(SourceRefusedError, match=r"has an account .* already"):
        one.make_second_account(FIRST, "app_b")
    with pytest.raises(RotationError, match="name a second account"):
        one.second_account(FIRST, "app_a")


def test_a_second_account_that_cannot_be_made_whole_is_not_made(server):
    server.execute(f"CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}'; GRANT CREATE USER ON *.* TO admin@'%'")
    server.execute("GRANT SELECT ON mysql.* TO admin@'%'; CREATE DATABASE shop; GRANT DELETE ON shop.* TO app_a@'%'")
    with pytest.raises(SourceRefusedError, match=r"10(44|45|64|142).*'admin' lacks a right"):
        rotator(server, user="admin").make_second_account(FIRST, "app_c")
    assert not server.rows("SELECT 1 FROM mysql.user WHERE User = 'app_c'")


@pytest.mark.parametrize(
    ("grants", "said"),
    [
        ("GRANT SELECT ON mysql.* TO admin@'%'", "the administrator needs the right CREATE USER: GRANT CREATE USER ON"),
        ("GRANT CREATE USER ON *.* TO admin@'%'", "SELECT ON mysql.*: GRANT CREATE USER"),
        ("GRANT SELECT ON `create user`.* TO admin@'%'", "the administrator needs the rights CREATE USER"),
    ],
)
def test_an_administrator_who_lacks_a_right_is_told_which(server, grants, said):
    server.execute(f"CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}'; {grants}")
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server, user="admin").check(FIRST)


def test_an_administrator_may_have_the_right_by_a_role(server):
    server.execute(f"CREATE USER admin@'%' IDENTIFIED BY '{ADMIN}'; CREATE ROLE admins")
    server.execute("GRANT CREATE USER ON *.* TO admins; GRANT SELECT ON mysql.* TO admins; GRANT admins TO admin@'%'")
    server.execute("SET DEFAULT ROLE admins FOR admin@'%'")
    rotator(server, user="admin").check(FIRST)


@pytest.mark.parametrize(
    ("hosts", "client", "expected"),
    [
        (["%", "localhost"], "localhost", "localhost"),
        (["%", "10.%", "10.1.%"], "10.1.2.3", "10.1.%"),
        (["%", "10.%", "10.1.2.3"], "10.1.2.3", "10.1.2.3"),
        (["%.example", "db_.example"], "db1.example", "db_.example"),
        (["10.0.0.0/255.0.0.0", "%"], "10.9.9.9", "10.0.0.0/255.0.0.0"),
        (["10.0.0.0/8", "%"], "192.168.0.1", "%"),
        (["DB.example"], "db.EXAMPLE", "DB.example"),
        (["10.%"], "11.0.0.1", None),
        (["%", "::1"], "::1", "::1"),
    ],
)  # fmt: skip
def test_the_server_takes_the_account_whose_host_fits_most_closely(hosts, client, expected):
    found = taken([Account("app", host) for host in hosts], "app", client)
    assert (found and found.host) == expected
    assert taken([*(Account("app", host) for host in hosts), Account("", client)], "nobody", client) == Account(
        "", client
    )


@pytest.mark.parametrize(
    ("others", "client", "expected"),
    [
        ([], "10.1.2.3", True), ([], "web.example", True), (["10.%"], "10.1.2.3", False), (["10.%"], "11.1.2.3", True),
        (["10.%"], "web.example", False), (["localhost"], "localhost", False), (["localhost"], "web.example", True),
        (["%.example"], "web.example", False), (["fe80::%"], "::1", True), (["db1.example"], "db2.example", True),
    ],
)  # fmt: skip
def test_a_session_whose_account_is_not_certain_is_nobodys(others, client, expected):
    assert is_of([Account("app", host) for host in ("%", *others)], "app", client, ["%"]) == expected
    assert is_of([Account("other", "10.%")], "app", client, ["%"])


MYSQL_GRANTS = [
    "GRANT USAGE ON *.* TO `app`@`%`",
    "GRANT SELECT (`to`, `b`), INSERT ON `s TO x`.`t` TO `app`@`%` WITH GRANT OPTION",
    "GRANT BACKUP_ADMIN,CONNECTION_ADMIN ON *.* TO `app`@`%`",
    "GRANT PROXY ON `other`@`%` TO `app`@`%`",
    "GRANT `r1`@`%`,`r2`@`%` TO `app`@`%` WITH ADMIN OPTION",
    "REVOKE SELECT ON `mysql`.* FROM `app`@`%`",
]


def test_grants_of_mysql_are_read_and_written_for_another_account():
    assert rights(MYSQL_GRANTS) == {
        *(f"{right} ON `s TO x`.`t`{passed}" for right in ("SELECT (`to`)", "SELECT (`b`)", "INSERT")
          for passed in ("", " WITH GRANT OPTION")),
        *(f"the role `{role}`@`%`{passed}" for role in ("r1", "r2") for passed in ("", " WITH ADMIN OPTION")),
        "BACKUP_ADMIN ON *.*", "CONNECTION_ADMIN ON *.*", "PROXY ON `other`@`%`",
        "REVOKE SELECT ON `mysql`.*",
    }  # fmt: skip
    made = statements(MYSQL_GRANTS, "new`one", "10.%")
    assert [text.replace("`new``one`@`10.%`", "`app`@`%`") for text in made] == MYSQL_GRANTS[1:]


def test_a_definition_of_mysql_is_read():
    said = ("CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$a''b\\\\c' AND IDENTIFIED WITH "
            "'authentication_webauthn' DEFAULT ROLE `r`@`%` REQUIRE SSL WITH MAX_USER_CONNECTIONS 5 "
            "MAX_QUERIES_PER_HOUR 0 PASSWORD EXPIRE ACCOUNT LOCK PASSWORD HISTORY 3")  # fmt: skip
    found = definition(said)
    assert found.factors == 2
    assert found.ways[0] == ("caching_sha2_password", "$A$005$a'b\\c")
    assert found.locked
    assert found.limits() == {"REQUIRE SSL", "MAX_USER_CONNECTIONS 5", "DEFAULT ROLE `r`@`%`"}
    assert found.requirements() == "REQUIRE SSL WITH MAX_USER_CONNECTIONS 5 MAX_QUERIES_PER_HOUR 0 PASSWORD HISTORY 3"
