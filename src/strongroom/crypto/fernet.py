"""Fernet (https://github.com/fernet/spec), plain and bound to a context."""

from __future__ import annotations

import base64
import time

from cryptography.fernet import Fernet, InvalidToken

from strongroom.crypto import Forged
from strongroom.crypto.kdf import hkdf

_LATEST = 253_402_300_799


def encrypt_token(key: bytes, plaintext: bytes) -> bytes:
    """Return a Fernet token (URL-safe base64) under `key` (32 raw bytes)."""
    # A clock that is wrong must not keep anybody from writing; nobody reads this time.
    now = int(min(max(time.time(), 0), _LATEST))
    return Fernet(base64.urlsafe_b64encode(key)).encrypt_at_time(plaintext, now)


def decrypt_token(key: bytes, token: bytes) -> bytes:
    """Return what the Fernet token holds; raises `Forged` for another key or changed bytes."""
    try:
        return Fernet(base64.urlsafe_b64encode(key)).decrypt(token)
    except (InvalidToken, ValueError):
        raise Forged from None


class FernetPerRecord:
    """Fernet has no associated data, so each context gets a key of its own: HKDF-SHA256(data key, info = context).

    Encrypts to the raw bytes of a Fernet token; URL-safe base64 of them is a token for any Fernet library.
    """

    __slots__ = ("_key",)

    algorithm = "fernet"

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` encrypted, to be read back under the same `context` only."""
        return base64.urlsafe_b64decode(encrypt_token(hkdf(self._key, context), plaintext))

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plaintext; raises `Forged` for another key, another context or changed bytes."""
        return decrypt_token(hkdf(self._key, context), base64.urlsafe_b64encode(sealed))
