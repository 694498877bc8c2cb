"""PostgreSQL pools whose connections log in with the role and password of the moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from shared.python.secrets_manager import get_secret_or_env, secrets

from strongroom.integrations.psycopg import drain_on_change


def open_pool(password: Callable[[], str]) -> ConnectionPool:
    """Return an open pool; `password` is called for each new connection."""
    handle = secrets().secret("POSTGRES_PASSWORD")

    class Current(Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **options: Any) -> Any:
            """Log in, and again when a rotation came in between: draining the pool would not find this connection."""
            before = handle.value
            try:
                connection = super().connect(conninfo, user=role(), password=password(), **options)
            except OperationalError:
                if handle.value == before:
                    raise
            else:
                if handle.value == before:
                    return connection
                connection.close()
            return cls.connect(conninfo, **options)

    place = f"host={os.environ['POSTGRES_HOST']} port={os.environ['POSTGRES_PORT']} dbname={os.environ['POSTGRES_DB']}"
    pool = ConnectionPool(
        place, connection_class=Current, kwargs={"row_factory": dict_row}, min_size=4, max_size=8, open=True, timeout=60
    )
    # A rotation sees by this handle that the service has switched, or has not.
    drain_on_change(pool, handle)
    pool.wait()
    return pool


def role() -> str:
    """Return the role whose turn it is; the variable's where the secret is no more than a password."""
    found: str = get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_USER", "platform", field="username")
    return found
