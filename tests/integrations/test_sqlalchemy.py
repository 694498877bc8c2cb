"""SQLAlchemy's engines log in at a real server with the current password, without a restart."""

from __future__ import annotations

import asyncio
import time

import pytest

from strongroom import SecretNotFoundError
from strongroom.integrations.sqlalchemy import attach

sqlalchemy = pytest.importorskip("sqlalchemy")
PID = sqlalchemy.text("SELECT pg_backend_pid()")


def url(postgres, driver):
    return f"postgresql+{driver}://app@127.0.0.1:{postgres.port}/postgres"


def rotate(postgres, secrets):
    postgres.set_password("new password")
    secrets.set_secret("DB", "new password")


@pytest.fixture
def engine(postgres, secrets):
    engine = sqlalchemy.create_engine(url(postgres, "psycopg"), pool_size=1, max_overflow=0)
    attach(engine, secrets, "DB")
    yield engine
    engine.dispose()


def pid(engine):
    with engine.connect() as connection:
        return connection.scalar(PID)


def test_the_pool_keeps_its_connection_while_nothing_changes(engine, secrets):
    before = pid(engine)
    secrets.set_secret("another", "x")
    assert [pid(engine) for _ in range(3)] == [before] * 3


def test_a_connection_in_use_goes_on_and_is_replaced_when_it_is_next_taken(engine, postgres, secrets, wait_until):
    with engine.connect() as connection:
        before = connection.scalar(PID)
        rotate(postgres, secrets)
        assert connection.scalar(PID) == before
    wait_until(lambda: pid(engine) != before)
    after = pid(engine)
    assert [pid(engine) for _ in range(3)] == [after] * 3


def test_a_connection_that_was_being_made_during_a_change_is_replaced(engine, postgres, secrets, monkeypatch):
    connect, made = engine.dialect.connect, []

    def connect_and_change(*args, **kwargs):
        connection = connect(*args, **kwargs)
        made.append(connection.info.backend_pid)
        if len(made) == 1:
            rotate(postgres, secrets)
            time.sleep(0.2)  # the callbacks have been called by then
        return connection

    monkeypatch.setattr(engine.dialect, "connect", connect_and_change)
    assert [pid(engine) for _ in range(3)] == [made[-1]] * 3
    assert len(made) == 2


def test_a_refused_password_is_read_again(engine, secrets):
    secrets.set_secret("DB", "set here, and not yet at the server")
    assert pid(engine)


def test_the_error_is_sqlalchemys_own_when_every_password_is_refused(engine, postgres):
    postgres.set_password("another-one")
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        pid(engine)


def test_the_user_can_come_from_the_secret(postgres, secrets):
    secrets.set_secret("LOGIN", {"username": "app", "password": secrets.get_secret("DB")})
    engine = sqlalchemy.create_engine(url(postgres, "psycopg").replace("app@", "nobody@"))
    attach(engine, secrets, "LOGIN")
    assert pid(engine)
    engine.dispose()


def test_the_engine_does_not_show_the_password(engine, secrets):
    pid(engine)
    assert secrets.get_secret("DB") not in repr(engine) + repr(engine.url) + repr(engine.pool.status())


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_asynchronous_engine_goes_on_after_a_rotation(postgres, secrets, driver):
    from sqlalchemy.ext.asyncio import create_async_engine

    async def main():
        engine = create_async_engine(url(postgres, driver), pool_size=1, max_overflow=0)
        attach(engine, secrets, "DB")

        async def pid():
            async with engine.connect() as connection:
                return await connection.scalar(PID)

        before = await pid()
        await asyncio.to_thread(rotate, postgres, secrets)
        while await pid() == before:
            await asyncio.sleep(0.01)
        await engine.dispose()

    asyncio.run(asyncio.wait_for(main(), 20))


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_asynchronous_engine_reads_a_refused_password_again(postgres, secrets, driver):
    from sqlalchemy.ext.asyncio import create_async_engine

    secrets.set_secret("DB", "set here, and not yet at the server")

    async def main():
        engine = create_async_engine(url(postgres, driver))
        attach(engine, secrets, "DB")
        async with engine.connect() as connection:
            assert await connection.scalar(PID)
        await engine.dispose()

    asyncio.run(main())


def test_a_secret_that_is_not_there_is_told_at_once(postgres, secrets):
    engine = sqlalchemy.create_engine(url(postgres, "psycopg"))
    with pytest.raises(SecretNotFoundError):
        attach(engine, secrets, "missing")
