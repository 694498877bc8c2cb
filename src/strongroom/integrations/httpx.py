"""httpx: requests that carry the current token or password.

from strongroom.integrations.httpx import Basic, Bearer

client = httpx.Client(auth=Bearer(secrets.secret("API_TOKEN")))
"""

from __future__ import annotations

import base64
from collections.abc import Generator
from typing import TYPE_CHECKING

from strongroom import MissingExtraError, Secret
from strongroom.integrations._credentials import credentials
from strongroom.system.frames import leaves_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

try:
    import httpx
except ImportError:
    raise MissingExtraError("this needs httpx: pip install 'strongroom[httpx]'") from None


class Bearer(httpx.Auth):
    """Sends `Authorization: Bearer TOKEN`, from synchronous and asynchronous clients.

    A request that is answered 401 is sent once more if the secret has changed in between.
    """

    def __init__(self, handle: LiveSecret) -> None:
        self._handle = handle

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the header; see `httpx.Auth`. Raises what `LiveSecret.value` raises, and `InvalidValueError`."""
        # While it waits for the answer, an error reporter may see the variables of this generator.
        sent = self._header()
        request.headers["Authorization"] = sent.value
        response = yield request
        # After a redirect to another host the header is gone: that host did not refuse it.
        refused = response.status_code == 401 and response.request.headers.get("Authorization") == sent.value
        if refused and self._header() != sent:
            request.headers["Authorization"] = self._header().value
            yield request

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
