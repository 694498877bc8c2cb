"""The example's PostgreSQL server, with what the tests need besides."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ADMIN = "admin-password"

_path = Path(__file__).parents[2] / "examples" / "platform" / "postgres.py"
_spec = importlib.util.spec_from_file_location("example_postgres", _path)
postgres = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(postgres)
free_port = postgres.free_port
NoServerError = postgres.NotAvailable


class Postgres(postgres.Server):
    @property
    def dsn(self) -> str:
        """Where the role `app` connects to, without a password."""
        return f"host=127.0.0.1 port={self.port} dbname=postgres user=app"

    def set_password(self, password: str) -> None:
        """Change the password of `app` at the server; open connections go on."""
        quoted = password.replace("'", "''")
        self.execute(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app') THEN CREATE ROLE app LOGIN; "
            f"END IF; END $$; ALTER ROLE app PASSWORD '{quoted}'"
        )


def start() -> Postgres:
    """Start a server, or skip the test."""
    import pytest  # here, as the benchmarks do without it

    try:
        return launch()
    except NoServerError as problem:
        pytest.skip(str(problem))


def launch() -> Postgres:
    """Start a server. Raises `NoServerError`."""
    return Postgres(*postgres.start(ADMIN))
