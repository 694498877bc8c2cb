"""Flask: a manager for an application, and sessions that are signed with a live key.

from strongroom.integrations.flask import LiveSessions, secret

app.extensions["strongroom"] = secrets
app.session_interface = LiveSessions(secrets, "SESSION_KEY")
secret("API_TOKEN").value  # in a request
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom import MissingExtraError, SecretsManager
from strongroom.system.frames import methods_leave_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

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


@methods_leave_no_values
class LiveSessions(SecureCookieSessionInterface):
    """Signs session cookies with the current value of a secret, and takes those signed with the version before.

    These are taken for as long as Flask takes a session (`PERMANENT_SESSION_LIFETIME`) after the change.
    """

    def __init__(self, secrets: SecretsManager, name: str) -> None:
        self._handle = secrets.secret(name)

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        """Return the serializer of cookies. Raises what `LiveSecret.value` raises."""
        keys = self._handle.accepted(grace=app.permanent_session_lifetime.total_seconds())
        return URLSafeTimedSerializer(
            keys[::-1],  # it signs with the last one
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )
