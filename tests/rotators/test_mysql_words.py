"""What MariaDB says is told in words with the next step, host and port named, and whether nothing was changed."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from strongroom import drivers
from strongroom.errors import SourceRefusedError
from strongroom.rotators.mysql_errors import explain

from .servers import ADMIN

FIRST = {"value": "first"}


def rotator(port, more="", user="root", password=ADMIN, host="127.0.0.1"):
    place = f"{user}@{host}:{port}?admin_secret=admin&user=app_a{more}"
    return drivers.rotator(f"mysql://{place}", lambda name: {"value": password})


@pytest.fixture
def server(mariadb):
    mariadb.reset()
    yield mariadb
    mariadb.execute(
        "DROP USER IF EXISTS little@'%'; DROP USER IF EXISTS little@'10.%'; DROP USER IF EXISTS app_a@'10.%'"
    )
    mariadb.execute("DROP DATABASE IF EXISTS shop; SET GLOBAL require_secure_transport = OFF")
    mariadb.execute("DROP USER IF EXISTS app_a@'%'; CREATE USER app_a@'%'")
    mariadb.reset()


def refusal(server, more="", current=FIRST, step="check", **options):
    """Return what a look says, which must have changed nothing and name host and port."""
    before = server.rows("SELECT User, Host, authentication_string FROM mysql.user ORDER BY User, Host")
    one = rotator(server.port, more, **options)
    with pytest.raises(SourceRefusedError) as caught:
        one.check(current) if step == "check" else one.set({**current, "value": "new"}, current)
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert "first" not in str(caught.value)
    assert ADMIN not in str(caught.value)
    assert server.rows("SELECT User, Host, authentication_string FROM mysql.user ORDER BY User, Host") == before
    return str(caught.value)


def test_a_refused_password_names_the_account_and_the_host_that_the_server_sees(server):
    said = refusal(server, current={"value": "drifted"})
    assert "error 1045, as user 'app_a': it refuses the user from the host '127.0.0.1': the password is another" in said
    assert "error 1045, as user 'root'" in refusal(server, password="other")
    assert "as user 'nobody'" in refusal(server, user="nobody")


KNOWN = f"CREATE USER little@'%' IDENTIFIED BY '{ADMIN}'"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("CREATE USER little@'10.%' IDENTIFIED BY 'x'", "1045, as user 'little'"),
        (f"{KNOWN} ACCOUNT LOCK", "4151, as user 'little': the account is locked"),
        (f"{KNOWN} PASSWORD EXPIRE", "18.., as user 'little': the password has expired"),
        (f"{KNOWN} WITH MAX_QUERIES_PER_HOUR 1", "1226, .* has used up what it may"),
        ("CREATE USER little@'%' IDENTIFIED VIA unix_socket", "1698, as user 'little': .* logs in by the socket alone"),
        (f"{KNOWN} REQUIRE X509", "1045, as user 'little': .* a client's certificate"),
        (KNOWN, "1142.*GRANT SELECT ON mysql"),
    ],
)
def test_an_administrator_that_is_not_let_in_is_told_why(server, change, said):
    server.execute(change)
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server.port, user="little").check(FIRST)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 FROM mysql.user", "1142.*'app_a' lacks a right on a table"),
        ("SELECT 1 FROM shop.missing", "114[26]"),
        ("SELECT price FROM shop.goods", "1143.*'app_a' lacks a right on a column"),
        ("SELECT 1 FROM goods", "1046.*write database.table"),
        ("SELECT nonsense nonsense nonsense", "1064"),
        ("CALL shop.nothing()", "1370.*GRANT EXECUTE"),
    ],
)
def test_a_test_query_that_fails_says_which_right_is_missing(server, query, said):
    server.execute("CREATE DATABASE shop; CREATE TABLE shop.goods (name int, price int)")
    server.execute("GRANT SELECT (name) ON shop.goods TO app_a@'%'; CREATE PROCEDURE shop.nothing() SELECT 1")
    with pytest.raises(SourceRefusedError, match=said):
        rotator(server.port, f"&test={query}").check(FIRST)


def test_an_account_that_is_not_there_is_named_with_those_that_are(server):
    server.execute("DROP USER app_a@'%'; CREATE USER app_a@'10.%'")
    assert "no account 'app_a'@'%'; there is 'app_a'@'10.%': user_host= names it" in refusal(server)
    assert "1133" in refusal(server, step="set")


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("ALTER USER app_a@'%' WITH MAX_USER_CONNECTIONS 1", "error 1226.*ALTER USER … WITH raises that"),
        ("ALTER USER app_a@'%' WITH MAX_CONNECTIONS_PER_HOUR 1", "error 1226"),
    ],
)
def test_limits_of_an_account_are_told(server, limit, said):
    import pymysql

    server.execute(limit)
    with contextlib.ExitStack() as held:
        # It may have used up its hour already.
        with contextlib.suppress(pymysql.OperationalError):
            where = {"host": "127.0.0.1", "port": server.port, "user": "app_a", "password": "first"}
            held.enter_context(pymysql.connect(**where))
        with pytest.raises(SourceRefusedError, match=said):
            rotator(server.port).test(FIRST)


def test_a_server_without_a_connection_left_is_told(server):
    import pymysql

    before = server.rows("SELECT @@max_connections")[0][0]
    with contextlib.ExitStack() as held:
        server.execute("SET GLOBAL max_connections = 10")
        try:
            for _ in range(10):
                where = {"host": "127.0.0.1", "port": server.port, "user": "app_a", "password": "first"}
                with contextlib.suppress(pymysql.OperationalError):
                    held.enter_context(pymysql.connect(**where))
            with pytest.raises(SourceRefusedError, match=r"error 1040.*raise max_connections"):
                rotator(server.port).test(FIRST)
        finally:
            held.close()
            server.execute(f"SET GLOBAL max_connections = {before}")


@pytest.mark.parametrize("step", ["check", "set"])
def test_a_server_that_wants_to_judge_passwords_itself_is_told(server, step):
    server.execute("INSTALL SONAME 'simple_password_check'")
    try:
        said = refusal(server, step=step)
        assert "strict_password_validation" in said
        server.execute("SET GLOBAL strict_password_validation = OFF")
        rotator(server.port).check(FIRST)
    finally:
        server.execute("UNINSTALL SONAME 'simple_password_check'; SET GLOBAL strict_password_validation = ON")


def test_tls_that_is_required_is_told(server, monkeypatch):
    server.execute("SET GLOBAL require_secure_transport = ON")
    rotator(server.port, f"&tls={server.authority}").check(FIRST)
    monkeypatch.setattr("pymysql.connections.SSL_ENABLED", False)
    with pytest.raises(SourceRefusedError, match=r"as user 'root': .* TLS"):
        rotator(server.port).check(FIRST)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "127.0.0.1:1 failed with error 2003, .*is it there"),
        ("[::1]:1", r"at \[::1\]:1 failed with error 2003"),
        ("nowhere.invalid", "nowhere.invalid:3306 failed with error 2003"),
    ],
)
def test_a_server_that_is_not_there_is_named(address, said):
    host, _, port = address.rpartition(":") if ":" in address else (address, "", "3306")
    with pytest.raises(SourceRefusedError, match=said):
        rotator(port, "&tls=no", host=host).check(FIRST)


def test_what_is_no_mysql_server_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            client, _ = listener.accept()
            client.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(SourceRefusedError, match=rf"the MySQL server at 127.0.0.1:{port} failed"):
            rotator(port).check(FIRST)
        thread.join()


BY_THEIR_MANUALS = {
    1040: "max_connections", 1044: "no right on the database", 1129: "FLUSH HOSTS", 1130: "from this host",
    1203: "max_user_connections", 1290: "name the primary", 1396: "way to log in takes no password",
    1524: "plugin= names another", 1820: "has expired", 1862: "has expired", 2006: "ended the connection",
    2013: "was lost", 3032: "offline", 3118: "locked", 3159: "TLS only", 3955: "locked", 4055: "TLS only",
    4151: "locked",
}  # fmt: skip


@pytest.mark.parametrize("code", BY_THEIR_MANUALS)
def test_what_the_servers_of_the_tests_do_not_say_is_told_too(code, monkeypatch):
    pymysql = pytest.importorskip("pymysql")

    def refuse(**_):
        raise pymysql.err.OperationalError(code, "Host '10.1.2.3' is 'hidden'")

    monkeypatch.setattr("pymysql.connect", refuse)
    one = drivers.rotator("mysql://root@db.example?user=a&admin_secret=s", lambda name: FIRST)
    with pytest.raises(
        SourceRefusedError, match=rf"at db.example:3306 failed with error {code}, as user 'root'"
    ) as caught:
        one.check(FIRST)
    assert BY_THEIR_MANUALS[code] in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_words_of_the_server_are_not_passed_on():
    assert explain(1045, "Access denied for user 'a'@'<script>'", "a", False).startswith("it refuses the user: the")
    assert explain(9999, "hidden", "a", True) == ""
    assert "hidden" not in explain("hidden", "hidden", "a", False)
