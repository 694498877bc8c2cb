"""asyncpg logs in at a real server with the current password, without a restart."""

from __future__ import annotations

import asyncio

import pytest

from strongroom.integrations.asyncpg import connector, expire_on_change

asyncpg = pytest.importorskip("asyncpg")


def place(postgres):
    return {"host": "127.0.0.1", "port": postgres.port, "user": "app", "database": "postgres"}


def test_a_handle_is_a_password(postgres, secrets):
    async def main():
        handle = secrets.secret("DB")
        for password in ("first", "second"):
            postgres.set_password(password)
            secrets.set_secret("DB", password)
            connection = await asyncpg.connect(**place(postgres), password=handle)
            await connection.close()

    asyncio.run(main())


def test_a_pool_replaces_its_connections_when_the_secret_changes(postgres, secrets):
    async def main():
        connect = connector(secrets, "DB")
        async with asyncpg.create_pool(**place(postgres), min_size=1, max_size=1, connect=connect) as pool:
            expire_on_change(pool, secrets.secret("DB"))
            before = await pool.fetchval("SELECT pg_backend_pid()")
            await asyncio.to_thread(postgres.set_password, "new")
            secrets.set_secret("DB", "new")
            while await pool.fetchval("SELECT pg_backend_pid()") == before:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_refused_password_is_read_again(postgres, secrets):
    secrets.set_secret("DB", "set here, and not yet at the server")

    async def main():
        connection = await connector(secrets, "DB")(**place(postgres))
        await connection.close()

    asyncio.run(main())


def test_the_error_is_the_drivers_own_when_every_password_is_refused(postgres, secrets):
    postgres.set_password("another-one")
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(connector(secrets, "DB")(**place(postgres)))


def test_a_connection_that_is_under_way_when_the_secret_changes_is_made_again(postgres, secrets, monkeypatch):
    made, connect = [], asyncpg.connect

    async def connect_slowly(*arguments, **more):
        made.append(await connect(*arguments, **more))
        if len(made) == 1:
            await asyncio.to_thread(postgres.set_password, "new")
            secrets.set_secret("DB", "new")
        return made[-1]

    async def main():
        monkeypatch.setattr(asyncpg, "connect", connect_slowly)
        connection = await connector(secrets, "DB")(**place(postgres))
        assert (len(made), made[0].is_closed(), connection.is_closed()) == (2, True, False)
        await connection.close()

    asyncio.run(main())
