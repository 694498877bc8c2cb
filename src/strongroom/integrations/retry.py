"""Logs in again when a service refuses a password that has just been rotated.

from strongroom.integrations.retry import with_refresh

connection = with_refresh(secrets, "POSTGRES_PASSWORD", lambda password: psycopg.connect(dsn, password=password))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

from strongroom import SecretsManager
from strongroom.system.frames import leaves_no_values

Result = TypeVar("Result")
Refused = Callable[[BaseException], bool]

GRACE = 3600.0
"""Seconds after a change in which the version before is tried too: as long as a rotation keeps it valid."""
_SQLSTATES = ("28P01", "28000")
"""PostgreSQL's invalid_password and invalid_authorization_specification."""
_REDIS = ("redis.exceptions", "AuthenticationError")


@leaves_no_values
def with_refresh(
    secrets: SecretsManager,
    name: str,
    attempt: Callable[[Any], Result],
    *,
    grace: float = GRACE,
    refused: Refused | None = None,
    discard: Callable[[Result], object] | None = None,
) -> Result:
    """Return `attempt(value)` with the current value of a secret.

    When the service refuses it, the secret is read again and a new value tried; then, within `grace` seconds of the
    last change, the version before; then the pending value of a rotation that is not finished, as the service may have
    taken that already; and all this once more when the secret has changed meanwhile. `refused` says which errors are
    refusals, by default `is_refused`.

    With `discard`, such as a connection's `close`, a result that was under way when the secret changed is discarded,
    and made again.

    Raises the first refusal when every value is refused, any other error of `attempt`, and what
    `SecretsManager.secret` raises.
    """
    while True:
        version = _version(secrets, name)
        result = _first_taken(secrets, name, attempt, grace, refused or is_refused)
        if discard is None or _version(secrets, name) == version:
            return result
        discard(result)


def _first_taken(
    secrets: SecretsManager, name: str, attempt: Callable[[Any], Result], grace: float, refused: Refused
) -> Result:
    first: Exception | None = None
    for value in _values(secrets, name, grace):
        try:
            return attempt(value)
        except Exception as error:
            if not refused(error):
                raise
            first = first or error
    assert first is not None
    raise first


@leaves_no_values
async def with_refresh_async(
    secrets: SecretsManager,
    name: str,
    attempt: Callable[[Any], Awaitable[Result]],
    *,
    grace: float = GRACE,
    refused: Refused | None = None,
    discard: Callable[[Result], Awaitable[object]] | None = None,
) -> Result:
    """Return `await attempt(value)`; as `with_refresh` otherwise."""
    while True:
        version = _version(secrets, name)
        result = await _first_taken_async(secrets, name, attempt, grace, refused or is_refused)
        if discard is None or _version(secrets, name) == version:
            return result
        await discard(result)


async def _first_taken_async(
    secrets: SecretsManager, name: str, attempt: Callable[[Any], Awaitable[Result]], grace: float, refused: Refused
) -> Result:
    first: Exception | None = None
    for value in _values(secrets, name, grace):
        try:
            return await attempt(value)
        except Exception as error:
            if not refused(error):
                raise
            first = first or error
    assert first is not None
    raise first


def is_refused(error: BaseException) -> bool:
    """True for the errors by which psycopg, asyncpg, SQLAlchemy over them, and redis-py say that a log-in is refused.

    psycopg tells the reason for a failed connection only in the server's words, which are understood in English.
    """
    seen: BaseException | None = error
    while seen is not None:
        if _says_refused(seen):
            return True
        seen = getattr(seen, "orig", None) or seen.__cause__
    return False


def _says_refused(error: BaseException) -> bool:
    if getattr(error, "sqlstate", None) in _SQLSTATES:
        return True
    kinds = {(kind.__module__, kind.__name__) for kind in type(error).__mro__}
    return _REDIS in kinds or (("psycopg", "Error") in kinds and "password authentication failed" in str(error))


def _values(secrets: SecretsManager, name: str, grace: float) -> Iterator[Any]:
    """Yield the values to try, each read only when those before were refused."""
    handle = secrets.secret(name)
    tried = [handle.value]
    yield tried[0]
    for value in _others(secrets, name, grace):
        if value is not None and value not in tried:
            tried.append(value)
            yield value


def _others(secrets: SecretsManager, name: str, grace: float) -> Iterator[Any]:
    handle = secrets.secret(name)
    while True:
        version = handle.version
        yield handle.value
        yield from handle.accepted(grace)[1:]
        yield secrets.rotation.pending(name)
        # Promoted, or rotated once more, between two of these: what turned up is read until nothing new does.
        handle()
        if handle.version == version:
            return


def _version(secrets: SecretsManager, name: str) -> int:
    handle = secrets.secret(name)
    handle()  # takes the newest version up
    return handle.version
