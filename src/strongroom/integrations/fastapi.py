"""FastAPI and Starlette: one manager for an application, and its live secrets as dependencies.

    from strongroom.integrations.fastapi import lifespan, secret

    app = FastAPI(lifespan=lifespan())

    @app.get("/")
    async def index(token: Annotated[LiveSecret, Depends(secret("API_TOKEN"))]): ...

In Starlette, `await secret("API_TOKEN")(request)` returns the handle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import strongroom
from strongroom import MissingExtraError, OpenedStore, SecretsManager

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    from starlette.requests import HTTPConnection
except ImportError:
    raise MissingExtraError("this needs Starlette: pip install 'strongroom[fastapi]'") from None


def lifespan(
    open_store: Callable[[], OpenedStore] = strongroom.open,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return a lifespan that opens the store when the application starts, and closes it when it ends.

    The manager is `app.state.secrets`. A store that cannot be opened keeps the application from starting.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        with open_store() as secrets:
            app.state.secrets = secrets
            yield

    return run


def secret(name: str) -> Callable[[HTTPConnection], Awaitable[LiveSecret]]:
    """Return a dependency: the live handle of a secret of `app.state.secrets`.

    Raises what `SecretsManager.secret` raises.
    """

    # A coroutine function, because FastAPI would run any other in a thread.
    async def of(connection: HTTPConnection) -> LiveSecret:
        secrets: SecretsManager = connection.app.state.secrets
        return secrets.secret(name)

    return of
