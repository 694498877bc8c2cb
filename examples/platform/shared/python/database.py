"""PostgreSQL pools whose connections log in with the role and password of the moment."""

from __future__ import annotations

import os
from collections.abc import Callable

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from shared.python.secrets_manager import get_secret_or_env, secrets

from strongroom.integrations.psycopg import drain_on_change


def open_pool(password: Callable[[], str]) -> ConnectionPool:
    """Return an open pool; `password` is called for each new connection."""

    def login() -> dict[str, object]:
        role, word = _role(), password()
        # Two roles take turns, and a rotation may have come in between.
        return {"user": role, "password": word, "row_factory": dict_row} if role == _role() else login()

    place = f"host={os.environ['POSTGRES_HOST']} port={os.environ['POSTGRES_PORT']} dbname={os.environ['POSTGRES_DB']}"
    pool = ConnectionPool(place, kwargs=login, min_size=4, max_size=8, open=True, timeout=60)
    # Takes effect at once: a rotation sees by this handle that the service has switched, or has not.
    drain_on_change(pool, secrets().secret("POSTGRES_PASSWORD"))
    pool.wait()
    return pool


def _role() -> str:
    """Return the role whose turn it is; the variable's where the secret is no more than a password."""
    role: str = get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_USER", "platform", field="username")
    return role
