"""What a PostgreSQL server refuses is said in words: the host and port, what it means, and the next step."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import psycopg
import pytest

from integrations.server import ADMIN
from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotators.accounts import Refused
from strongroom.rotators.postgresql_errors import explain

from .postgres_servers import accepts, login, own, rotator
from .servers import make_certificate

CURRENT = {"username": "app_a", "password": "first"}


@pytest.fixture(params=["postgresql", "postgresql_15"])
def server(request):
    server = request.getfixturevalue(request.param)
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'; ALTER ROLE app_b LOGIN PASSWORD NULL")
    return server


@pytest.fixture
def undo(server):
    """Run statements after the test."""
    later = []
    yield later.append
    for statement in reversed(later):
        server.execute(statement)


@pytest.mark.parametrize(
    ("statement", "back", "said"),
    [
        ("ALTER ROLE app_a CONNECTION LIMIT 1", "ALTER ROLE app_a CONNECTION LIMIT -1",
         r'53300: the role has as many connections .*ALTER ROLE "app_a" CONNECTION LIMIT -1'),
        ("ALTER DATABASE shop CONNECTION LIMIT 0", "ALTER DATABASE shop CONNECTION LIMIT -1",
         r'53300: the database has as many .*ALTER DATABASE "shop" CONNECTION LIMIT -1'),
        ("ALTER DATABASE shop ALLOW_CONNECTIONS false", "ALTER DATABASE shop ALLOW_CONNECTIONS true",
         r'55000: .*ALTER DATABASE "shop" ALLOW_CONNECTIONS true'),
        ("REVOKE CONNECT ON DATABASE shop FROM PUBLIC", "GRANT CONNECT ON DATABASE shop TO PUBLIC",
         r'42501: .*GRANT CONNECT ON DATABASE "shop" TO "app_a"'),
        ("DROP DATABASE shop", "CREATE DATABASE shop", "3D000: there is no such database"),
    ],
)  # fmt: skip
def test_what_a_connection_is_refused_for(server, undo, statement, back, said):
    server.execute("DROP DATABASE IF EXISTS shop")
    server.execute("CREATE DATABASE shop")
    undo("DROP DATABASE shop")
    undo(back)
    taken = login(server, "app_a", "first")
    server.execute(statement)
    one = drivers.rotator(f"postgresql://127.0.0.1:{server.port}/shop?role=app_a", dict)
    with pytest.raises(SourceRefusedError, match=rf"at 127.0.0.1:{server.port}, as role 'app_a': {said}"):
        one.check(CURRENT)
    taken.close()


def test_a_role_that_is_locked_by_another_session_is_named(server, monkeypatch):
    monkeypatch.setattr("strongroom.rotators.postgresql_server.TIMEOUT", 2)
    with login(server, "postgres", ADMIN) as holds, holds.transaction(force_rollback=True):
        holds.execute("ALTER ROLE app_a CONNECTION LIMIT -1")
        with pytest.raises(SourceRefusedError, match="55P03: another session holds a lock on the role"):
            rotator(server).set({"username": "app_a", "password": "new"}, CURRENT)
    assert accepts(server, "app_a", "first")


def test_a_statement_that_takes_too_long_is_named(server, monkeypatch):
    monkeypatch.setattr("strongroom.rotators.postgresql_server.TIMEOUT", 2)
    with pytest.raises(SourceRefusedError, match="57014: the statement took too long"):
        rotator(server, "&test=SELECT pg_sleep(9)").test(CURRENT)


def test_a_role_that_another_changes_at_the_same_moment_is_named(server):
    with login(server, "postgres", ADMIN) as other:
        other.execute("BEGIN; ALTER ROLE app_a CONNECTION LIMIT -1")
        threading.Timer(0.5, lambda: other.execute("COMMIT")).start()
        try:
            rotator(server).set({"username": "app_a", "password": "new"}, CURRENT)
        except SourceRefusedError as error:
            assert "XX000" in str(error)  # noqa: PT017
            assert "somebody else changed the role at the same moment" in str(error)  # noqa: PT017
            assert accepts(server, "app_a", "first")
        else:
            assert accepts(server, "app_a", "new")


def test_a_session_that_an_administrator_ends_is_no_definite_refusal(server):
    one = rotator(server, "&test=SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(RotationError, match="57P01") as caught:
        one.test(CURRENT)
    assert not isinstance(caught.value, SourceRefusedError)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no-such-host.invalid:5432", r"at no-such-host.invalid:5432, .*there is no such host"),
        ("127.0.0.1:1", "at 127.0.0.1:1, .*nothing listens there"),
        ("localhost:1", "at localhost:1, .*nothing listens there"),
    ],
)
def test_a_host_that_cannot_be_reached_is_named(postgresql, host, said):
    with pytest.raises(SourceRefusedError, match=said):
        drivers.rotator(f"postgresql://{host}/x?role=app_a&sslmode=prefer", dict).test(CURRENT)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"-ERR unknown command\r\n", "it is no PostgreSQL server"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it is no PostgreSQL server"),
        (b"", "it closed the connection"),
        (None, "it does not answer"),
    ],
)
def test_what_is_no_postgresql_is_named(postgresql, answer, said, monkeypatch):
    monkeypatch.setattr("strongroom.rotators.postgresql_server.TIMEOUT", 2)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                if answer is None:
                    held.append(client)
                    continue
                with client:
                    client.recv(1000)
                    client.sendall(answer)

        held = []
        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        with pytest.raises(SourceRefusedError, match=f"at 127.0.0.1:{port}, .*{said}"):
            drivers.rotator(f"postgresql://127.0.0.1:{port}/x?role=app_a&sslmode=disable", dict).test(CURRENT)
        listener.shutdown(socket.SHUT_RDWR)


def test_tls_that_fails_is_named(server):
    one = "&sslmode={}&sslrootcert={}"
    with pytest.raises(SourceRefusedError, match="it does not talk TLS; ssl=on makes it"):
        rotator(server, one.format("require", "/nowhere")).test(CURRENT)
    directory = f"{server.directory}/data"
    make_certificate(Path(directory))
    for name in ("server.key", "server.pem"):
        own(f"{directory}/{name}")
        os.chmod(f"{directory}/{name}", 0o600)
    for name, value in (("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key"), ("ssl", "on")):
        server.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    server.execute("SELECT pg_reload_conf()")
    try:
        mine = f"{directory}/server.pem"
        wait_until(lambda: talks_tls(server))
        rotator(server, one.format("verify-full", mine)).check(CURRENT)
        with pytest.raises(SourceRefusedError, match="its certificate is not trusted: sslrootcert=PATH"):
            rotator(server, one.format("verify-full", "/etc/ssl/certs/ca-certificates.crt")).test(CURRENT)
        with pytest.raises(SourceRefusedError, match=r"at localhost:\d+, .*certificate is for another name"):
            rotator(server, one.format("verify-full", mine), hosts=f"localhost:{server.port}").test(CURRENT)
    finally:
        for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
            server.execute(f"ALTER SYSTEM RESET {name}")
        server.execute("SELECT pg_reload_conf()")


def talks_tls(server):
    try:
        login(server, "app_a", "first", sslmode="require").close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_server_that_speaks_another_language_is_understood(postgresql_15):
    if not os.path.exists("/usr/share/locale/de/LC_MESSAGES/postgres-15.mo"):
        pytest.skip("PostgreSQL 15 has no German messages here")
    server = postgresql_15
    server.execute("ALTER ROLE app_a LOGIN PASSWORD 'first'")
    server.execute("ALTER SYSTEM SET lc_messages = 'C.UTF-8'")  # in the language that LANGUAGE names
    try:
        server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "fehlgeschlagen" in refusal(server))
        one = drivers.rotator(f"postgresql://127.0.0.1:{server.port}/postgres?role=app_a", dict)
        with pytest.raises(Refused, match="28P01: it refuses the password, or the log-in"):
            one.test({"value": "wrong"})
        pending = one.create(CURRENT)
        one.set(pending, CURRENT)
        one.test(pending)
    finally:
        server.execute("ALTER SYSTEM RESET lc_messages")
        server.execute("SELECT pg_reload_conf()")
        wait_until(lambda: "failed" in refusal(server).replace("connection failed", ""))


def refusal(server):
    try:
        login(server, "app_a", "wrong")
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("version", "said", "unsaid"),
    [(150004, "In PostgreSQL 15 ", "ADMIN OPTION"), (160002, "WITH ADMIN OPTION", "Up to"),
     (0, "Up to PostgreSQL 15", "In PostgreSQL")],
)  # fmt: skip
def test_which_right_is_lacking_depends_on_the_release(version, said, unsaid):
    text = explain("42501", "permission denied", "boss", 'o"dd', version=version)
    assert said in text
    assert unsaid not in text
    assert 'ALTER ROLE "boss" CREATEROLE' in text
    assert 'o"dd' not in text or 'o""dd' in text
