"""Flask: a manager for an application, and sessions that are signed with a live key.

from strongroom.integrations.flask import LiveSessions, secret

app.extensions["strongroom"] = secrets
app.session_interface = LiveSessions(secrets, "SESSION_KEY")
secret("API_TOKEN").value  # in a request
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations.values import read

if TYPE_CHECKING:
    from strongroom.live import LiveSecret

try:
    from flask import Flask, current_app
    from flask.sessions import SecureCookieSessionInterface
    from itsdangerous import URLSafeTimedSerializer
except ImportError:
    raise MissingExtraError("this needs Flask: pip install 'strongroom[flask]'") from None


def secret(name: str) -> LiveSecret:
    """Return a live handle of the current application's manager. Raises what `SecretsManager.secret` raises."""
    secrets: SecretsManager = current_app.extensions["strongroom"]
    return secrets.secret(name)


class LiveSessions(SecureCookieSessionInterface):
    """Signs session cookies with the current value of a secret, and takes those signed with the version before."""

    def __init__(self, secrets: SecretsManager, name: str) -> None:
        self._secrets = secrets
        self._handle = secrets.secret(name)
        self._previous: tuple[int, Any] = (0, None)

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """Return the serializer of cookies. Raises what `LiveSecret.value` raises."""
        current = self._handle.value
        previous = self._before(self._handle.version)
        return URLSafeTimedSerializer(
            [current] if previous is None else [previous, current],
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )

    def _before(self, version: int) -> Any:
        """Return the value of the version before, read once for each version."""
        of, value = self._previous
        if of != version:
            value = read(self._secrets, self._handle.name, version - 1) if version > 1 else None
            self._previous = (version, value)
        return value
