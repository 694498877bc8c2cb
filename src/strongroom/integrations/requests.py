"""Requests: requests that carry the current token or password.

from strongroom.integrations.requests import Basic, Bearer

session = requests.Session()
session.auth = Bearer(secrets.secret("API_TOKEN"))
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from strongroom import MissingExtraError, Secret
from strongroom.integrations._credentials import credentials
from strongroom.system.frames import leaves_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    from requests import PreparedRequest, Response
    from requests.auth import AuthBase
except ImportError:
    raise MissingExtraError("this needs requests: pip install 'strongroom[requests]'") from None


class Bearer(AuthBase):
    """Sends `Authorization: Bearer TOKEN`.

    A request that is answered 401 is sent once more if the secret has changed in between, unless its body is a stream.
    """

    def __init__(self, handle: LiveSecret) -> None:
        self._handle = handle

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Set the header; raises what `LiveSecret.value` raises, and `InvalidValueError`."""
        sent = self._header()
        request.headers["Authorization"] = sent.value

        def again(response: Response, **options: Any) -> Response:
            return self._again(response, sent, options)

        request.register_hook("response", again)
        return request

    @leaves_no_values
    def _again(self, response: Response, sent: Secret[str], options: dict[str, Any]) -> Response:
        # After a redirect to another host the header is gone, and must not be sent there.
        refused = response.status_code == 401 and response.request.headers.get("Authorization") == sent.value
        rewindable = isinstance(response.request.body, str | bytes | None)
        if not (refused and rewindable) or self._header() == sent:
            return response
        _ = response.content  # so that the connection can be used again
        response.close()
        request = response.request.copy()
        request.headers["Authorization"] = self._header().value
        answer: Response = response.connection.send(request, **options)  # type: ignore[attr-defined]
        answer.history.append(response)
        answer.request = request
        return answer

    @leaves_no_values
    def _header(self) -> Secret[str]:
        return Secret(f"Bearer {self._handle.value}")


class Basic(Bearer):
    """Sends user and password; the user is `username`, or the secret's field of that name."""

    def __init__(self, handle: LiveSecret, username: str | None = None) -> None:
        super().__init__(handle)
        self._username = username

    @leaves_no_values
    def _header(self) -> Secret[str]:
        username, password = credentials(self._handle.value)
        pair = f"{self._username or username or ''}:{password}"
        return Secret("Basic " + base64.b64encode(pair.encode()).decode())
