"""`webhook:https://…`: a service of your own rotates the secret.

Each step is a POST of one JSON object: see `strongroom.rotators.stepwise`. `create` is answered with the new mapping.
The id of the request is also in the header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header).

Any status from 200 to 299 is a yes. One from 400 to 499, 307, 308 and 501 says that nothing was changed; any other
answer, and none, may have changed something. 410 to `retire` and `discard` is a yes: what they are about is gone. So is
404, 405 or 501 to `discard`, from a service that does not know that step. 409, 425, 429 and 503 with `Retry-After` are
asked again after that, while the step has time.

`webhook:https://host/path#key=NAME` signs: the header `Strongroom-Signature` is `t=SECONDS,v1=HEX`, where HEX is
HMAC-SHA256(value of the secret NAME, `SECONDS.BODY`). So all of the body is signed, the ids included.

`#keeps_previous=no` says that the service refuses the previous value as soon as `set` has given it a new one,
`#timeout=60` gives a step another time than 25 seconds, up to an hour, `#tls=PATH` names a file with the service's
authority where that is not one of the system's.

Nothing takes the values elsewhere: redirects are not followed, and the proxies that the environment names are not used
unless `#proxy=environment` says so (`#key=NAME&proxy=environment` says both; HTTPS goes through a proxy unread).
`http://` is for this machine alone, never goes through a proxy, and is sent only once the other end is on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from strongroom.crypto.hmac import sign
from strongroom.errors import ConfigError, RotationError, SourceRefusedError, StrongroomError
from strongroom.rotators.servers import is_local, tls_context
from strongroom.rotators.statuses import REFUSALS, is_page, meaning, unpacked, wait_for
from strongroom.rotators.stepwise import GONE, MOST, UNKNOWN, Fields, Stepwise
from strongroom.rotators.values import keeps_previous, options, seconds

if TYPE_CHECKING:
    from strongroom.rotators.sending import Answer, Exchange

TIMEOUT = 25.0
"""Seconds for a step; less than a rotation gives it, so that the caller learns what happened."""
MARGIN = 5.0
_SHORTEST_WAIT = 1.0
_ANSWERS = {410: GONE, 404: UNKNOWN, 405: UNKNOWN, 501: UNKNOWN}
_OPTIONS = {"key", "proxy", "keeps_previous", "timeout", "tls"}
_UNREACHED = {
    "SSLCertVerificationError": "its certificate is of an authority that is not known here (#tls=PATH names it), for "
    "another name, or out of date",
    "SSLError": "it does not speak TLS as it should",
    "gaierror": "its name is not known",
    "ConnectionRefusedError": "nothing listens there",
    "TimeoutError": "no connection was made in the step's time",
}
Read = Callable[[str], Mapping[str, Any]]


class WebhookRotator(Stepwise):
    """Posts each step."""

    _clock = staticmethod(time.time)

    def __init__(
        self, url: str, key: Callable[[], bytes] | None, *, use_proxies: bool = False, timeout: float = TIMEOUT,
        keeps: bool = True, tls: str = "system",
    ) -> None:  # fmt: skip
        super().__init__(urlsplit(url).netloc, keeps=keeps)
        self._url = url
        self._key = key
        self._use_proxies = use_proxies
        self._timeout = timeout
        self.timeout = timeout + MARGIN
        """Seconds for a step as a rotation sees it."""
        self._tls = tls
        self._exchanges: set[Exchange] = set()
        self._stopping = Event()

    def stop(self) -> None:
        """End the requests that are under way, and the waits between them."""
        self._stopping.set()
        self._stopping = Event()
        for exchange in list(self._exchanges):
            exchange.end()

    def _tell(self, step: str, data: Mapping[str, Fields], well: Collection[str] = ()) -> bytes:
        request, body = self._document(step, data)
        deadline, stopping, may_be_done = time.monotonic() + self._timeout, self._stopping, False
        while True:
            answer = self._ask(step, request, body, max(deadline - time.monotonic(), 0.01), stopping)
            status = answer.status
            content = unpacked(answer.content, answer.encoding, MOST)
            if 200 <= status < 300:
                return self._accepted(step, content)
            if _ANSWERS.get(status) in well:
                return b""
            wait = wait_for(status, answer.retry_after, self._clock())
            if wait is None or time.monotonic() + max(wait, _SHORTEST_WAIT) >= deadline:
                raise self._refusal(step, status, wait, may_be_done=may_be_done)
            may_be_done = may_be_done or status not in REFUSALS
            if stopping.wait(max(wait, _SHORTEST_WAIT)):
                raise RotationError(f"{self._who} {step} was stopped")

    def _accepted(self, step: str, content: bytes | None) -> bytes:
        if content is not None and is_page(content):
            raise RotationError(f"{self._who} answered {step} with a web page, as a log-in or a proxy before it does")
        if content is None and step == "create":
            raise RotationError(f"{self._who}: the answer to create is longer than {MOST} bytes, or packed")
        return content or b""

    def _refusal(self, step: str, status: int, wait: float | None, *, may_be_done: bool) -> RotationError:
        text = f"{self._who} answered {step} with status {status}; {meaning(status)}"
        if wait is not None:
            text += time.strftime("; try again at %Y-%m-%d %H:%M:%S UTC", time.gmtime(self._clock() + wait + 1))
        elif status in (429, 503):
            text += "; try again later"
        if status in REFUSALS and not may_be_done:
            return SourceRefusedError(text)
        return RotationError(f"{text}; it may have done it before that" if may_be_done else text)

    def _ask(self, step: str, request: str, body: bytes, seconds: float, stopping: Event) -> Answer:
        """Return the answer to one request; raises `SourceRefusedError` when nothing was sent."""
        from http.client import HTTPException
        from urllib.request import Request

        from strongroom.rotators.sending import Exchange

        post = Request(self._url, body, self._headers(request, body), method="POST")  # noqa: S310
        tls = tls_context(self._tls) if self._url.startswith("https:") else None
        exchange = Exchange()
        self._exchanges.add(exchange)
        try:
            if stopping.is_set():
                exchange.end()
            return exchange.send(post, seconds, MOST, use_proxies=self._use_proxies, tls=tls)
        except (HTTPException, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
        finally:
            self._exchanges.discard(exchange)
        if stopping.is_set():
            raise RotationError(f"{self._who} {step} was stopped")
        # Its text is not shown: it may be what the other end said.
        kind = TimeoutError if exchange.is_ended else type(reason)
        text = f"{self._who} did not answer {step} ({kind.__name__})"
        if exchange.is_open:
            raise RotationError(f"{text}; it may have done it all the same")
        raise SourceRefusedError(f"{text}; {_UNREACHED.get(kind.__name__, 'it cannot be reached')}. Nothing was sent")

    def _headers(self, request: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "strongroom", "Accept": "application/json",
                   "Idempotency-Key": f'"{request}"'}  # fmt: skip
        if self._key is not None:
            try:
                key = self._key()
            except StrongroomError as error:
                failure = str(error)
            else:
                stamp = str(int(self._clock()))
                headers["Strongroom-Signature"] = f"t={stamp},v1={sign(key, stamp.encode() + b'.' + body)}"
                return headers
            raise SourceRefusedError(f"{failure}. Nothing was sent")
        return headers


def connect(rest: str, read: Read) -> WebhookRotator:
    """Return the rotator; raises `ConfigError` for a URL that would send values in the clear, or holds a password."""
    url, _, fragment = rest.partition("#")
    given = options(fragment, _OPTIONS, "webhook:")
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
    tls = given.get("tls", "system")
    if tls == "no" or (tls != "system" and parts.scheme != "https"):
        raise ConfigError("webhook: tls is the path of a PEM file with the authority of an https:// service")
    if tls != "system":
        tls_context(tls)
    name = given.get("key")
    key = None if name is None else (lambda: _key(read(name)))
    timeout, keeps = seconds(given, TIMEOUT, "webhook:"), keeps_previous(given, "webhook:")
    return WebhookRotator(url, key, use_proxies="proxy" in given, timeout=timeout, keeps=keeps, tls=tls)


def _key(data: Mapping[str, Any]) -> bytes:
    value = data.get("value")
    if not isinstance(value, str | bytes) or not value:
        raise RotationError("the secret that signs webhooks is no plain value")
    return value.encode() if isinstance(value, str) else value
