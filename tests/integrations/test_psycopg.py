"""psycopg and its pools log in at a real server with the current password, without a restart."""

from __future__ import annotations

import asyncio

import pytest

from strongroom import InvalidInputError
from strongroom.integrations.psycopg import async_connection_class, connection_class, drain_on_change

psycopg = pytest.importorskip("psycopg")
psycopg_pool = pytest.importorskip("psycopg_pool")


def rotate(postgres, secrets, value="new password's"):
    postgres.set_password(value)
    secrets.set_secret("DB", value)


def backend(connection):
    return connection.info.backend_pid


def test_a_handle_is_a_password(postgres, secrets):
    handle = secrets.secret("DB")
    psycopg.connect(postgres.dsn, password=handle).close()
    rotate(postgres, secrets)
    psycopg.connect(postgres.dsn, password=handle).close()


def test_a_pool_with_a_handle_among_its_arguments_goes_on_after_a_rotation(postgres, secrets):
    with psycopg_pool.ConnectionPool(
        postgres.dsn, min_size=1, open=True, timeout=10, kwargs={"password": secrets.secret("DB")}
    ) as pool:
        with pool.connection() as connection:
            before = backend(connection)
        rotate(postgres, secrets)
        pool.drain()
        with pool.connection() as connection:
            assert backend(connection) != before


def test_a_connection_that_is_under_way_when_the_secret_changes_is_made_again(postgres, secrets, monkeypatch):
    made, connect = [], psycopg.Connection.connect.__func__

    def connect_slowly(cls, *arguments, **more):
        made.append(connect(cls, *arguments, **more))
        if len(made) == 1:
            rotate(postgres, secrets)
        return made[-1]

    monkeypatch.setattr(psycopg.Connection, "connect", classmethod(connect_slowly))
    with connection_class(secrets, "DB").connect(postgres.dsn) as connection:
        assert made[1] is connection
        assert (len(made), made[0].closed, connection.closed) == (2, True, False)
        assert connection.info.password == secrets.get_secret("DB")


def test_an_async_connection_that_is_under_way_when_the_secret_changes_is_made_again(postgres, secrets, monkeypatch):
    made, connect = [], psycopg.AsyncConnection.connect.__func__

    async def connect_slowly(cls, *arguments, **more):
        made.append(await connect(cls, *arguments, **more))
        if len(made) == 1:
            rotate(postgres, secrets)
        return made[-1]

    async def main():
        monkeypatch.setattr(psycopg.AsyncConnection, "connect", classmethod(connect_slowly))
        async with await async_connection_class(secrets, "DB").connect(postgres.dsn) as connection:
            assert (len(made), made[0].closed, connection.closed) == (2, True, False)
            assert connection.info.password == secrets.get_secret("DB")

    asyncio.run(main())


def test_a_pool_is_drained_when_the_secret_changes(postgres, secrets, wait_until):
    cls = connection_class(secrets, "DB")
    with psycopg_pool.ConnectionPool(postgres.dsn, connection_class=cls, min_size=2, open=True, timeout=10) as pool:
        pool.wait()
        drain_on_change(pool, secrets.secret("DB"))
        with pool.connection() as connection:
            before = backend(connection)
            rotate(postgres, secrets)
            connection.execute("SELECT 1")

        def replaced():
            with pool.connection() as connection:
                return backend(connection) != before

        wait_until(replaced)


def test_a_refused_password_is_read_again(postgres, secrets):
    secrets.set_secret("DB", "set here, and not yet at the server")
    with connection_class(secrets, "DB").connect(postgres.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_error_is_the_drivers_own_when_every_password_is_refused(postgres, secrets):
    postgres.set_password("another-one")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed") as caught:
        connection_class(secrets, "DB").connect(postgres.dsn)
    assert "old-Password" not in str(caught.value)


def test_the_user_can_come_from_the_secret(postgres, secrets):
    secrets.set_secret("LOGIN", {"username": "app", "password": secrets.get_secret("DB")})
    dsn = postgres.dsn.replace("user=app", "user=nobody")
    connection_class(secrets, "LOGIN").connect(dsn).close()


def test_an_asynchronous_pool_is_drained_when_the_secret_changes(postgres, secrets):
    async def main():
        cls = async_connection_class(secrets, "DB")
        pool = psycopg_pool.AsyncConnectionPool(postgres.dsn, connection_class=cls, min_size=1, open=False, timeout=10)
        async with pool:
            drain_on_change(pool, secrets.secret("DB"))
            async with pool.connection() as connection:
                before = backend(connection)
            await asyncio.to_thread(rotate, postgres, secrets)
            while True:
                async with pool.connection() as connection:
                    if backend(connection) != before:
                        return
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_an_asynchronous_pool_needs_its_loop_to_be_told(secrets):
    async def make():
        return psycopg_pool.AsyncConnectionPool("", open=False)

    pool = asyncio.run(make())
    with pytest.raises(InvalidInputError, match="event loop"):
        drain_on_change(pool, secrets.secret("DB"))
