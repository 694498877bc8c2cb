"""Fernet (https://github.com/fernet/spec), plain and bound to a context."""

from __future__ import annotations

import base64
import binascii

from cryptography.fernet import Fernet, InvalidToken

from strongroom.crypto import Forged
from strongroom.crypto.kdf import hkdf

KEY_BYTES = 32


def generate_key() -> str:
    """Return a new Fernet key: 32 random bytes as 44 characters of URL-safe base64."""
    return Fernet.generate_key().decode()


def encrypt_token(key: bytes, plaintext: bytes) -> bytes:
    """Return a Fernet token (URL-safe base64) under `key` (32 raw bytes)."""
    return Fernet(base64.urlsafe_b64encode(key)).encrypt(plaintext)


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


def parse_key(text: str | bytes) -> bytes:
    """Return the 32 raw bytes of a Fernet key as `Fernet.generate_key()` writes it.

    Surrounding whitespace is forgiven, as files and shells add a line feed. Raises `ValueError` with what is wrong,
    without the text.
    """
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    raw = raw.strip()
    if not raw:
        raise ValueError("it is empty")
    try:
        key = base64.b64decode(raw, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"it is not URL-safe base64 ({len(raw)} characters given, a Fernet key has 44)") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"it decodes to {len(key)} bytes, a Fernet key to {KEY_BYTES}")
    return key
