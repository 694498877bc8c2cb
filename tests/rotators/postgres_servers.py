"""PostgreSQL servers as people run them: another release, a standby, and pgbouncer before one."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from integrations import server
from integrations.server import ADMIN, Postgres, free_port, postgres
from strongroom import drivers

DEBIAN = Path("/usr/lib/postgresql/15/bin")


def start_15() -> Postgres:
    """Start a server of release 15, from Debian's package, or skip the test."""
    if not (DEBIAN / "initdb").exists():
        pytest.skip("there is no PostgreSQL 15: install the Debian package postgresql-15")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", "de")  # of its messages, with any lc_messages but C
        return Postgres(*postgres.start(ADMIN, programs=str(DEBIAN)))


class Standby:
    """A read-only copy of a server, which follows it."""

    def __init__(self, primary: Postgres) -> None:
        self.directory = tempfile.mkdtemp(prefix="strongroom-standby-")
        self.port = free_port()
        data, password = f"{self.directory}/data", f"{self.directory}/password"
        Path(password).write_text(f"127.0.0.1:*:*:*:{ADMIN}\n")
        for path in (self.directory, password):
            own(path)
        os.chmod(password, 0o600)
        self._run(
            "pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync",
            "-d", f"host=127.0.0.1 port={primary.port} user=postgres passfile={password}",
        )  # fmt: skip
        options = f"-p {self.port} {postgres.OPTIONS}"
        self._run("pg_ctl", "-D", data, "-w", "-l", f"{self.directory}/log", "-o", options, "start")

    def promote(self) -> None:
        self._run("pg_ctl", "-D", f"{self.directory}/data", "-w", "promote")

    def stop(self) -> None:
        postgres.run_as_nobody(postgres.tool("pg_ctl"), "-D", f"{self.directory}/data", "-m", "immediate", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        done = postgres.run_as_nobody(postgres.tool(name), *arguments)
        if done.returncode:
            self.stop()
            pytest.skip(f"no standby can be made here: {done.stdout.decode(errors='replace')[-300:]}")


class PgBouncer:
    """pgbouncer before a server; it knows passwords by `auth_query`, or from its file `userlist.txt`."""

    def __init__(self, behind: Postgres, how: str, users: dict[str, str], auth_type: str = "scram-sha-256") -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if program is None:
            pytest.skip("there is no pgbouncer: install the Debian package pgbouncer")
        self.directory = Path(tempfile.mkdtemp(prefix="strongroom-pgbouncer-"))
        self.port = free_port()
        self.users = self.directory / "userlist.txt"
        self.write_users(users)
        settings = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "auth_type": auth_type,
            "auth_file": self.users, "unix_socket_dir": "", "logfile": self.directory / "log",
            "admin_users": "postgres", "ignore_startup_parameters": "extra_float_digits,options",
            "server_login_retry": 1, "pidfile": self.directory / "pid",
        }  # fmt: skip
        if how == "auth_query":
            query = "SELECT usename, passwd FROM pg_shadow WHERE usename=$1"
            settings |= {"auth_user": "postgres", "auth_query": query}
        lines = ["[databases]", f"* = host=127.0.0.1 port={behind.port}", "[pgbouncer]"]
        lines += [f"{key} = {value}" for key, value in settings.items()]
        (self.directory / "pgbouncer.ini").write_text("\n".join(lines))
        for path in (self.directory, *self.directory.iterdir()):
            own(path)
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self.process = subprocess.Popen(
            [program, "-q", *user, str(self.directory / "pgbouncer.ini")], stderr=subprocess.DEVNULL, cwd="/"
        )
        deadline = time.monotonic() + 20
        while not server.postgres.listens(self.port):
            assert self.process.poll() is None, "pgbouncer has ended"
            assert time.monotonic() < deadline, "pgbouncer does not answer"
            time.sleep(0.02)

    def write_users(self, users: dict[str, str]) -> None:
        self.users.write_text("".join(f'"{user}" "{password}"\n' for user, password in users.items()))

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def own(path: str | Path) -> None:
    """Give a file to the user that servers run as when the tests run as root."""
    if os.getuid() == 0:
        os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)


def rotator(
    server: Postgres | Standby, more: str = "", *, user: str = "postgres", role: str = "app_a", hosts: str = ""
) -> Any:
    """Return a rotator of a role, by the administrator `user`, whose secret has that name."""
    place = f"{user}@{hosts or f'127.0.0.1:{server.port}'}/postgres?role={role}&admin_secret={user}"
    return drivers.rotator(f"postgresql://{place}{more}", lambda name: {"value": ADMIN if name == "postgres" else name})


def login(server: Postgres | Standby | PgBouncer, user: str, password: str, **more: str) -> psycopg.Connection:
    """Return an open session."""
    place = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres", "autocommit": True} | more
    return psycopg.connect(user=user, password=password, **place)


def accepts(server: Postgres | Standby | PgBouncer, user: str, password: str) -> bool:
    """True when the server lets a role in."""
    try:
        login(server, user, password).close()
    except psycopg.OperationalError:
        return False
    return True


def first_line_of_hba(server: Postgres, line: str) -> str:
    """Put a line before those of pg_hba.conf, and wait until it counts; return what was there."""
    path = f"{server.directory}/data/pg_hba.conf"
    with open(path) as file:
        before = file.read()
    set_hba(server, f"{line}\n{before}")
    return before


def set_hba(server: Postgres, text: str) -> None:
    """Replace pg_hba.conf and wait until it counts."""
    with open(f"{server.directory}/data/pg_hba.conf", "w") as file:
        file.write(text)
    place = {"host": "127.0.0.1", "port": server.port, "dbname": "postgres", "user": "postgres", "password": ADMIN}
    with psycopg.connect(autocommit=True, **place) as connection:
        before = connection.execute("SELECT pg_conf_load_time()").fetchone()
        connection.execute("SELECT pg_reload_conf()")
        while connection.execute("SELECT pg_conf_load_time()").fetchone() == before:
            time.sleep(0.01)
