"""redis-py: connections that log in with the current password.

from strongroom.integrations.redis import LiveCredentials, disconnect_on_change

client = redis.Redis(host="cache", credential_provider=LiveCredentials(secrets.secret("REDIS_PASSWORD")))
disconnect_on_change(client, secrets.secret("REDIS_PASSWORD"))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError
from strongroom.integrations._changes import call_on_change
from strongroom.integrations._credentials import credentials
from strongroom.system.frames import methods_leave_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    from redis.credentials import CredentialProvider
except ImportError:
    raise MissingExtraError("this needs redis-py: pip install 'strongroom[redis]'") from None


@methods_leave_no_values
class LiveCredentials(CredentialProvider):
    """Gives each new connection, synchronous or asynchronous, the current password.

    The user is `username`, or the secret's field of that name, or the server's default user.
    """

    def __init__(self, handle: LiveSecret, username: str | None = None) -> None:
        self._handle = handle
        self._username = username

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return the password, or user and password. Raises what `LiveSecret.value` raises, `InvalidValueError`."""
        username, password = credentials(self._handle.value)
        user = self._username or username
        return (password,) if user is None else (user, password)


def disconnect_on_change(client: Any, handle: LiveSecret) -> None:
    """Replace the client's connections when a secret changes; those in use are replaced when they come back.

    Needs redis-py 8. For `redis.asyncio`, call this on the client's event loop; `InvalidInputError` otherwise.
    """
    asynchronous = hasattr(client, "aclose")
    call_on_change(handle, client.connection_pool, _replace_async if asynchronous else _replace)


# Those in use are marked before and after, because connections come and go meanwhile.


def _replace(pool: Any) -> None:
    pool.update_active_connections_for_reconnect()
    pool.disconnect(inuse_connections=False)
    pool.update_active_connections_for_reconnect()


async def _replace_async(pool: Any) -> None:
    await pool.update_active_connections_for_reconnect()
    await pool.disconnect(inuse_connections=False)
    await pool.update_active_connections_for_reconnect()
