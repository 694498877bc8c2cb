"""Signatures that outlive a rotation: made with the current key, taken with the one before for a time."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

from shared.python.secrets_manager import secrets


class SigningKey:
    """A secret that signs. For `grace` seconds after a rotation, what the previous value has signed is taken too."""

    def __init__(self, name: str, grace: float) -> None:
        self._handle = secrets().secret(name)
        self._grace = grace

    def sign(self, text: bytes) -> bytes:
        """Return HMAC-SHA256 of the text."""
        return hmac.digest(self._handle.value.encode(), text, "sha256")

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """True for a signature of the text by the current key, or by the previous one in its grace time."""
        return any(hmac.compare_digest(hmac.digest(key, text, "sha256"), signature) for key in self.accepted())

    def accepted(self) -> Iterator[bytes]:
        """Yield the keys whose signatures count, the current one first."""
        for value in self._handle.accepted(self._grace):
            yield value.encode()


def is_one_of(given: str, key: SigningKey) -> bool:
    """True when `given` is the key itself, or the previous one in its grace time: an API key that callers send."""
    return any(hmac.compare_digest(given.encode(), value) for value in key.accepted())


def new_token(key: SigningKey, claims: dict[str, Any]) -> str:
    """Return a JSON Web Token, HS256 (RFC 7515, RFC 7519)."""
    head = {"alg": "HS256", "typ": "JWT"}
    text = b".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
    return (text + b"." + _base64(key.sign(text))).decode()


def claims_of(key: SigningKey, token: str) -> dict[str, Any] | None:
    """Return the claims of a token that this key has signed and that has not expired, else None."""
    text, _, signature = token.encode().rpartition(b".")
    try:
        if not key.has_signed(text, base64.urlsafe_b64decode(signature + b"==")):
            return None
    except ValueError:
        return None
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text.split(b".")[1] + b"=="))
    return claims if claims["exp"] > time.time() else None


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
