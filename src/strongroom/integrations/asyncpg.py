"""asyncpg: connections that log in with the current password.

    from strongroom.integrations.asyncpg import connector, expire_on_change

    pool = await asyncpg.create_pool(dsn, connect=connector(secrets, "POSTGRES_PASSWORD"))
    expire_on_change(pool, secrets.secret("POSTGRES_PASSWORD"))

A live handle itself is a password too: `asyncpg.connect(dsn, password=handle)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations._changes import call_on_change
from strongroom.integrations._credentials import credentials
from strongroom.integrations.retry import GRACE, with_refresh_async
from strongroom.system.frames import leaves_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    import asyncpg
except ImportError:
    raise MissingExtraError("this needs asyncpg: pip install 'strongroom[asyncpg]'") from None


def connector(secrets: SecretsManager, name: str, *, grace: float = GRACE) -> Callable[..., Awaitable[Any]]:
    """Return what does as `asyncpg.connect`, with the password, and the user if it is there, from a secret.

    When the server refuses the password, the secret is read again, and within `grace` seconds of a change the version
    before is tried. A connection that was under way when the secret changed is made again: expiring those of a pool
    would not find it. The result raises what `asyncpg.connect` and `SecretsManager.secret` raise.
    """

    @leaves_no_values
    async def connect(*args: Any, **kwargs: Any) -> Any:
        async def attempt(value: Any) -> Any:
            return await asyncpg.connect(*args, **kwargs | credentials(value).arguments)

        return await with_refresh_async(secrets, name, attempt, grace=grace, discard=asyncpg.Connection.close)

    return connect


def expire_on_change(pool: Any, handle: LiveSecret) -> None:
    """Replace each of the pool's connections at its next use when a secret has changed.

    Call this on the pool's event loop; `InvalidInputError` otherwise.
    """
    call_on_change(handle, pool, type(pool).expire_connections)
