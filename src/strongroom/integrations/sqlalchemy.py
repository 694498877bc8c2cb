"""SQLAlchemy: engines, synchronous and asynchronous, that log in with the current password.

from strongroom.integrations.sqlalchemy import attach

engine = create_engine("postgresql+psycopg://app@db/app")
attach(engine, secrets, "POSTGRES_PASSWORD")
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations._credentials import credentials
from strongroom.integrations.retry import GRACE, with_refresh
from strongroom.system.frames import leaves_no_values

try:
    from sqlalchemy import Engine, event
except ImportError:
    raise MissingExtraError("this needs SQLAlchemy: pip install 'strongroom[sqlalchemy]'") from None

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


def attach(engine: Engine | AsyncEngine, secrets: SecretsManager, name: str, *, grace: float = GRACE) -> None:
    """Take the password of each new connection, and the user if it is there, from a secret.

    When the server refuses the password, the secret is read again, and within `grace` seconds of a change the version
    before is tried. Connections that were made before a change are replaced when they are next taken from the pool;
    those in use go on.

    Raises what `SecretsManager.secret` raises.
    """
    target = engine if isinstance(engine, Engine) else engine.sync_engine
    handle = secrets.secret(name)
    connections = _Connections()
    mark = ("strongroom", name)

    @leaves_no_values
    def connect(dialect: Any, record: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        handle()
        # The number before the value: a change in between costs one connection more, never leaves an old one.
        record.info[mark] = handle.version

        def attempt(value: Any) -> Any:
            return dialect.connect(*args, **kwargs | credentials(value).arguments)

        return with_refresh(secrets, name, attempt, grace=grace)

    def connected(connection: Any, record: Any) -> None:
        connections.add(record)
        # A change while it was being made came too early to mark it.
        handle()
        if record.info.get(mark) != handle.version:
            record.invalidate(soft=True)

    event.listen(target, "do_connect", connect)
    event.listen(target, "connect", connected)
    handle.on_change(lambda _: connections.invalidate())


class _Connections:
    """The connections of a pool. Marking them is cheaper than a look at each when it is taken."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._records: WeakSet[Any] = WeakSet()

    def add(self, record: Any) -> None:
        with self._lock:
            self._records.add(record)

    def invalidate(self) -> None:
        """Let each be replaced when it is next taken; this itself closes nothing, so any thread may call it."""
        with self._lock:
            records = list(self._records)
        for record in records:
            record.invalidate(soft=True)
