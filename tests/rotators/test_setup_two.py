"""`strongroom rotate setup-two` at real servers: the second account takes its turn, with the rights of the first."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from integrations.server import ADMIN
from strongroom.rotators.mysql import MysqlRotator
from strongroom.rotators.postgresql import PostgresqlRotator

PASSWORD = "first-of-the-application"
Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def strongroom(tmp_path: Path) -> Run:
    """The command line as processes of their own, on a store with the administrator's password."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("STRONGROOM_", "SECRETS_"))}
    settings = {"STORE": "sqlite:s.db", "KEY": f"file:{tmp_path}/m.key", "AUDIT": "file:a.log"}
    environ = clean | {f"STRONGROOM_{name}": text for name, text in settings.items()}

    def run(*words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess:
        argv = [sys.executable, "-m", "strongroom", *words]
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=120)
        assert done.returncode == code, done.stderr
        return done

    run("init", "--generate-key")
    run("set", "admin", stdin=ADMIN)
    return run


def fields(run: Run) -> dict:
    return json.loads(run("export", "--format", "json").stdout)["DB"]


@pytest.fixture
def application(postgresql):
    """A role with a table that only its group may read; gone afterwards, with the second one."""
    if not hasattr(PostgresqlRotator, "second_account"):
        pytest.skip("this rotator makes no second account")
    postgresql.execute(
        f"CREATE ROLE orders NOLOGIN; CREATE TABLE bills (n int); GRANT SELECT ON bills TO orders; "
        f"CREATE ROLE shop LOGIN PASSWORD '{PASSWORD}' IN ROLE orders"
    )
    yield postgresql
    postgresql.execute("DROP TABLE bills; DROP ROLE IF EXISTS shop, shop_2, orders")


def postgresql_url(server) -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}/postgres?role=shop&admin_secret=admin"


def reads(server, user: str, password: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(
            host="127.0.0.1", port=server.port, user=user, password=password, dbname="postgres"
        ) as connection:
            connection.execute("SELECT * FROM bills")
            return True
    except psycopg.Error:
        return False


def check_turns(run: Run, can_log_in: Callable[[str, str], bool]) -> None:
    """After two rotations each account had its turn, and the one that left is refused once it is retired."""
    seen = {}
    for _ in range(2):
        run("rotate", "DB", "--wait", "0s")
        now = fields(run)
        password = now.get("password", now.get("value"))
        assert can_log_in(now["username"], password)
        run("rotate", "retire", "DB", "--force")
        assert not any(can_log_in(user, old) for user, old in seen.items() if user != now["username"])
        seen[now["username"]] = password
    assert len(seen) == 2


@pytest.mark.parametrize("shape", ["fields", "text"])
def test_a_postgresql_role_gets_a_second(application, strongroom: Run, shape: str) -> None:
    if shape == "fields":
        strongroom("set", "DB", "--json-data", stdin=json.dumps({"username": "shop", "password": PASSWORD}))
    else:
        strongroom("set", "DB", stdin=PASSWORD)
    strongroom("rotate", "DB", "--attach", postgresql_url(application), "--every", "30d")
    more = [] if shape == "fields" else ["--add-username"]
    strongroom("rotate", "setup-two", "DB", "--other", "shop_2", "--apply", *more)
    if shape == "text":
        assert strongroom("get", "DB").stdout == f"{PASSWORD}\n"
    check_turns(strongroom, lambda user, password: reads(application, user, password))


def test_the_printed_statements_do_the_same_at_postgresql(application, strongroom: Run) -> None:
    strongroom("set", "DB", "--json-data", stdin=json.dumps({"username": "shop", "password": PASSWORD}))
    strongroom("rotate", "DB", "--attach", postgresql_url(application))
    printed = strongroom("rotate", "setup-two", "DB", "--other", "shop_2")
    assert PASSWORD not in printed.stdout + printed.stderr
    for statement in printed.stdout.split(";\n"):
        if statement.strip():
            application.execute(statement)
    attach = next(line for line in printed.stderr.splitlines() if "--attach" in line).partition("then: strongroom ")[2]
    strongroom(*shlex.split(attach))
    check_turns(strongroom, lambda user, password: reads(application, user, password))


@pytest.mark.parametrize("shape", ["fields", "text"])
def test_a_mariadb_account_gets_a_second(mariadb, strongroom: Run, shape: str) -> None:
    if not hasattr(MysqlRotator, "second_account"):
        pytest.skip("this rotator makes no second account")
    mariadb.execute(f"CREATE USER shop@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON mysql.db TO shop@'%'")
    try:
        if shape == "fields":
            strongroom("set", "DB", "--json-data", stdin=json.dumps({"username": "shop", "password": PASSWORD}))
        else:
            strongroom("set", "DB", stdin=PASSWORD)
        url = f"mysql://root@127.0.0.1:{mariadb.port}?user=shop&admin_secret=admin"
        strongroom("rotate", "DB", "--attach", url)
        more = [] if shape == "fields" else ["--add-username"]
        strongroom("rotate", "setup-two", "DB", "--other", "shop_2", "--apply", *more)
        check_turns(strongroom, mariadb.accepts)
    finally:
        mariadb.execute("DROP USER IF EXISTS shop@'%', shop_2@'%'")


@pytest.mark.parametrize("terminates", [False, True])
def test_open_sessions_of_a_retired_role_are_said_or_ended(application, strongroom: Run, terminates: bool) -> None:
    if not hasattr(PostgresqlRotator, "sessions"):
        pytest.skip("this rotator counts no sessions")
    import psycopg

    strongroom("set", "DB", "--json-data", stdin=json.dumps({"username": "shop", "password": PASSWORD}))
    url = postgresql_url(application) + ("&terminate=1" if terminates else "")
    strongroom("rotate", "DB", "--attach", url)
    strongroom("rotate", "setup-two", "DB", "--other", "shop_2", "--apply")
    where = {"host": "127.0.0.1", "port": application.port, "dbname": "postgres"}
    left = [psycopg.connect(user="shop", password=PASSWORD, autocommit=True, **where) for _ in range(2)]
    try:
        assert "still open" not in strongroom("rotate", "DB", "--wait", "0s").stderr
        said = strongroom("rotate", "retire", "DB", "--force").stderr
        assert ("2 sessions of " in said and "terminate=1 in the rotator's URL ends them" in said) != terminates
        for connection in left:
            if terminates:
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT 1")
            else:
                connection.execute("SELECT 1")
    finally:
        for connection in left:
            connection.close()
