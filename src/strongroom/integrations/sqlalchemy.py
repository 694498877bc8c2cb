"""SQLAlchemy: engines, synchronous and asynchronous, that log in with the current password.

from strongroom.integrations.sqlalchemy import attach

engine = create_engine("postgresql+psycopg://app@db/app")
attach(engine, secrets, "POSTGRES_PASSWORD")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations.credentials import credentials
from strongroom.integrations.retry import GRACE, with_refresh

try:
    from sqlalchemy import Engine, event, exc
except ImportError:
    raise MissingExtraError("this needs SQLAlchemy: pip install 'strongroom[sqlalchemy]'") from None

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from strongroom.live import LiveSecret


def attach(engine: Engine | AsyncEngine, secrets: SecretsManager, name: str, *, grace: float = GRACE) -> None:
    """Take the password of each new connection, and the user if it is there, from a secret.

    When the server refuses the password, the secret is read again, and within `grace` seconds of a change the version
    before is tried. Connections that were made before a change are replaced when they are next taken from the pool;
    those in use go on.

    Raises what `SecretsManager.secret` raises.
    """
    target = engine if isinstance(engine, Engine) else engine.sync_engine
    handle = secrets.secret(name)
    newest = [handle.version]
    mark = ("strongroom", name)

    def connect(dialect: Any, record: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        # The number before the value: a change in between costs one connection more, never leaves an old one.
        handle()
        record.info[mark] = handle.version
        return with_refresh(
            secrets,
            name,
            lambda value: dialect.connect(*args, **kwargs | credentials(value).arguments),
            grace=grace,
        )

    def checkout(connection: Any, record: Any, proxy: Any) -> None:
        if record.info.get(mark, 0) < newest[0]:
            raise exc.DisconnectionError(f"{name!r} has changed since this connection was made")

    def changed(changed: LiveSecret) -> None:
        newest[0] = changed.version

    event.listen(target, "do_connect", connect)
    event.listen(target, "checkout", checkout)
    handle.on_change(changed)
