"""`webhook:https://…`: a service of your own rotates the secret.

Each step is a POST of one JSON object, `{"step": …}` with the mappings `current`, `pending`, `previous` that
the step has (see `command:`); `create` is answered with the new mapping. Any other status than 200 to 299 is a failure;
one from 400 to 499 says that nothing was changed. 410 to `retire` is a yes: the previous value is gone already.
`#keeps_previous=no` says that the service refuses the previous value as soon as `set` has given it a new one.

`webhook:https://host/path#key=NAME` signs: the header `Strongroom-Signature` is `t=SECONDS,v1=HEX`, where HEX is
HMAC-SHA256(value of the secret NAME, `SECONDS.BODY`).

Nothing takes the values elsewhere: redirects are not followed, and the proxies that the environment names are not used
unless `#proxy=environment` says so (`#key=NAME&proxy=environment` says both; HTTPS goes through a proxy unread).
`http://` is for this machine alone, never goes through a proxy, and is sent only once the other end is on it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from strongroom.crypto.hmac import sign
from strongroom.errors import ConfigError, RotationError, SourceRefusedError
from strongroom.rotators.servers import is_local
from strongroom.rotators.values import keeps_previous, options

TIMEOUT = 20.0
"""Seconds without an answer; less than a step has, so that the caller learns what happened."""
MAX_ANSWER = 1 << 20
_MEANINGS = {
    401: "it does not accept the signature: is #key= its secret, and is its clock right?",
    403: "it does not let us do this",
    404: "there is no such address",
    409: "it says that its state is another one: `strongroom rotate check` asks whether the current value is accepted",
    410: "what it rotated is gone",
    422: "it refuses the value",
    429: "it asks to be left alone for a while; try again later",
    503: "it cannot answer now; try again later",
}
Read = Callable[[str], Mapping[str, Any]]


class WebhookRotator:
    """Posts each step."""

    _clock = staticmethod(time.time)

    def __init__(
        self, url: str, key: Callable[[], bytes] | None, *, use_proxies: bool = False, timeout: float = TIMEOUT,
        keeps: bool = True,
    ) -> None:  # fmt: skip
        self.keeps_previous = keeps
        self._url = url
        self._key = key
        self._use_proxies = use_proxies
        self._timeout = timeout
        self._host = urlsplit(url).netloc

    def create(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what the service answered."""
        answer = None
        with suppress(ValueError, RecursionError):
            answer = json.loads(self._post("create", {"current": current}))
        if not isinstance(answer, dict):
            raise RotationError(f"{self._host} did not answer create with a JSON object of fields")
        return answer

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Post `set`."""
        self._post("set", {"pending": pending, "current": current})

    def test(self, pending: Mapping[str, Any]) -> None:
        """Post `test`."""
        self._post("test", {"pending": pending})

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Post `retire`."""
        self._post("retire", {"previous": previous, "current": current}, gone_is_well=True)

    def notify(self, event: str, about: Mapping[str, Any]) -> None:
        """Post an event of a rotation, for a hook."""
        self._post(event, about)

    def _post(self, step: str, data: Mapping[str, Any], *, gone_is_well: bool = False) -> bytes:
        from http.client import HTTPException
        from urllib.request import Request

        from strongroom.rotators.sending import opener

        try:
            body = json.dumps({"step": step, **data}).encode()
        except TypeError:
            raise RotationError("a value of bytes cannot be sent as JSON") from None
        request = Request(self._url, body, self._headers(body), method="POST")  # noqa: S310
        status: object
        try:
            with opener(use_proxies=self._use_proxies).open(request, timeout=self._timeout) as answer:
                content: bytes = answer.read(MAX_ANSWER)
                return content
        except HTTPException as error:
            status = type(error).__name__
        except OSError as error:
            # An HTTP status is an OSError too; its reason and body are the server's own words, so they are not shown.
            status = getattr(error, "code", None) or type(getattr(error, "reason", error)).__name__
        if status == 410 and gone_is_well:
            return b""
        if isinstance(status, int):
            why = _MEANINGS.get(status, "its log says why")
            text = f"{self._host} answered {step} with status {status}; {why}"
            raise SourceRefusedError(text) if 400 <= status < 500 else RotationError(text)
        raise RotationError(f"{self._host} did not answer {step} ({status}); it may have done it all the same")

    def _headers(self, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "strongroom"}
        if self._key is not None:
            stamp = str(int(self._clock()))
            headers["Strongroom-Signature"] = f"t={stamp},v1={sign(self._key(), stamp.encode() + b'.' + body)}"
        return headers


def connect(rest: str, read: Read) -> WebhookRotator:
    """Return the rotator; raises `ConfigError` for a URL that would send values in the clear, or holds a password."""
    url, _, fragment = rest.partition("#")
    given = options(fragment, {"key", "proxy", "keeps_previous"}, "webhook:")
    try:
        parts = urlsplit(url)
        local = is_local(parts.hostname or "")
    except ValueError:
        raise ConfigError("webhook: takes a URL such as webhook:https://host/path") from None
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ConfigError("webhook: takes https://…, or http:// to this machine: values must not go in the clear")
    if parts.username or parts.password:
        raise ConfigError("webhook: takes no password in the URL; sign with #key=NAME of a secret")
    if given.get("proxy", "environment") != "environment" or ("proxy" in given and local):
        raise ConfigError("webhook: proxy is environment, and only for https:// to another host")
    name = given.get("key")
    key = None if name is None else (lambda: _key(read(name)))
    keeps = keeps_previous(given, "webhook:")
    return WebhookRotator(url, key, use_proxies="proxy" in given, keeps=keeps)


def _key(data: Mapping[str, Any]) -> bytes:
    value = data.get("value")
    if not isinstance(value, str | bytes) or not value:
        raise RotationError("the secret that signs webhooks is no plain value")
    return value.encode() if isinstance(value, str) else value
