"""psycopg 3 and psycopg_pool: connections that log in with the current password.

    from strongroom.integrations.psycopg import connection_class, drain_on_change

    pool = ConnectionPool("host=db user=app", connection_class=connection_class(secrets, "POSTGRES_PASSWORD"))
    drain_on_change(pool, secrets.secret("POSTGRES_PASSWORD"))

A live handle itself is a password too: `psycopg.connect(dsn, password=handle)`, or in a pool's `kwargs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations._changes import call_on_change
from strongroom.integrations._credentials import credentials
from strongroom.integrations.retry import GRACE, with_refresh, with_refresh_async
from strongroom.system.frames import leaves_no_values

if TYPE_CHECKING:
    import psycopg_pool

    from strongroom.live.live import LiveSecret

try:
    import psycopg
except ImportError:
    raise MissingExtraError("this needs psycopg 3: pip install 'strongroom[psycopg]'") from None


def connection_class(secrets: SecretsManager, name: str, *, grace: float = GRACE) -> type[psycopg.Connection[Any]]:
    """Return a connection class whose `connect` takes the password, and the user if it is there, from a secret.

    When the server refuses the password, the secret is read again, and within `grace` seconds of a change the version
    before is tried. A connection that was under way when the secret changed is made again: draining a pool would not
    find it. `connect` raises what psycopg's own raises, and what `SecretsManager.secret` raises.
    """

    class LiveConnection(psycopg.Connection[Any]):
        @classmethod
        @leaves_no_values
        def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            def attempt(value: Any) -> Any:
                return super(LiveConnection, cls).connect(conninfo, **kwargs | credentials(value).arguments)

            return with_refresh(secrets, name, attempt, grace=grace, discard=psycopg.Connection.close)

    return LiveConnection


def async_connection_class(
    secrets: SecretsManager, name: str, *, grace: float = GRACE
) -> type[psycopg.AsyncConnection[Any]]:
    """Return the same for `AsyncConnection` and `AsyncConnectionPool`."""

    class LiveAsyncConnection(psycopg.AsyncConnection[Any]):
        @classmethod
        @leaves_no_values
        async def connect(cls, conninfo: str = "", **kwargs: Any) -> Any:
            async def attempt(value: Any) -> Any:
                return await super(LiveAsyncConnection, cls).connect(conninfo, **kwargs | credentials(value).arguments)

            return await with_refresh_async(secrets, name, attempt, grace=grace, discard=psycopg.AsyncConnection.close)

    return LiveAsyncConnection


def drain_on_change(
    pool: psycopg_pool.ConnectionPool[Any] | psycopg_pool.AsyncConnectionPool[Any], handle: LiveSecret
) -> None:
    """Replace the pool's connections when a secret changes; those in use are replaced when they come back.

    Needs psycopg_pool 3.3. For an asynchronous pool, call this on its event loop; `InvalidInputError` otherwise.
    """
    call_on_change(handle, pool, type(pool).drain)
