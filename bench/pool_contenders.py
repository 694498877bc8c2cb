"""Pools of connections to PostgreSQL, each plain and with strongroom's integration."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

from bench.contenders import missing_package
from strongroom import SecretsManager

SECRET = "POSTGRES_PASSWORD"
PER_STEP = 10
"""Uses of the pool in one step, so that entering an event loop does not count."""
PLAIN = "-plain"
"""Ends the key of a pool without the integration."""
Step = Callable[[str], object]


class Place(NamedTuple):
    """Where the server is, and how to log in: with the password, or with the secret if a manager is given."""

    port: int
    password: str
    secrets: SecretsManager | None


class Pool(NamedTuple):
    """One pool: `open` fills it with one connection and returns what uses it `PER_STEP` times."""

    key: str
    label: str
    open: Callable[[Place, ExitStack], Step]
    follows: bool
    """Whether the integration is used."""


def _psycopg(place: Place, stack: ExitStack) -> Step:
    try:
        from psycopg_pool import ConnectionPool

        from strongroom.integrations.psycopg import connection_class, drain_on_change
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    dsn = f"host=127.0.0.1 port={place.port} dbname=postgres user=app"
    login: dict[str, Any] = {"kwargs": {"autocommit": True, "password": place.password}}
    if place.secrets:
        login = {"kwargs": {"autocommit": True}, "connection_class": connection_class(place.secrets, SECRET)}
    pool = stack.enter_context(ConnectionPool(dsn, min_size=1, max_size=1, open=True, **login))
    pool.wait()
    if place.secrets:
        drain_on_change(pool, place.secrets.secret(SECRET))

    def step(_: str) -> None:
        for _ in range(PER_STEP):
            with pool.connection() as connection:
                connection.execute("SELECT 1").fetchone()

    return step


def _sqlalchemy(place: Place, stack: ExitStack) -> Step:
    try:
        from sqlalchemy import create_engine, text

        from strongroom.integrations.sqlalchemy import attach
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    login = {} if place.secrets else {"password": place.password}
    url = f"postgresql+psycopg://app@127.0.0.1:{place.port}/postgres"
    engine = create_engine(url, pool_size=1, isolation_level="AUTOCOMMIT", connect_args=login)
    stack.callback(engine.dispose)
    if place.secrets:
        attach(engine, place.secrets, SECRET)
    statement = text("SELECT 1")

    def step(_: str) -> None:
        for _ in range(PER_STEP):
            with engine.connect() as connection:
                connection.execute(statement).scalar()

    return step


def _asyncpg(place: Place, stack: ExitStack) -> Step:
    try:
        import asyncpg

        from strongroom.integrations.asyncpg import connector, expire_on_change
    except ModuleNotFoundError as error:
        raise missing_package(error) from None
    runner = stack.enter_context(asyncio.Runner())
    secrets = place.secrets

    async def open_pool() -> Any:
        login: dict[str, Any] = {"connect": connector(secrets, SECRET)} if secrets else {"password": place.password}
        server = {"host": "127.0.0.1", "port": place.port, "user": "app", "database": "postgres"}
        pool = await asyncpg.create_pool(**server, min_size=1, max_size=1, **login)
        if secrets:
            expire_on_change(pool, secrets.secret(SECRET))
        return pool

    async def use() -> None:
        for _ in range(PER_STEP):
            async with pool.acquire() as connection:
                await connection.fetchval("SELECT 1")

    pool = runner.run(open_pool())
    stack.callback(lambda: runner.run(pool.close()))
    return lambda _: runner.run(use())


_LIBRARIES = (("psycopg", "psycopg_pool", _psycopg), ("sqlalchemy", "SQLAlchemy", _sqlalchemy),
              ("asyncpg", "asyncpg", _asyncpg))  # fmt: skip
POOLS = [
    Pool(key + ending, label.format(library), function, follows)
    for key, library, function in _LIBRARIES
    for ending, label, follows in ((PLAIN, "{}, plain", False), ("", "**{} with strongroom**", True))
]
