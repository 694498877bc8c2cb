"""AES-256-GCM (NIST SP 800-38D), bound to its context through the associated data."""

from __future__ import annotations

from os import urandom

from cryptography.exceptions import InvalidTag

from strongroom.crypto import Forged

try:
    # The class that `cryptography` shows as `hazmat.primitives.ciphers.aead.AESGCM`, without the modules of all its
    # other ciphers: they take a twentieth of the start of a command.
    from cryptography.hazmat.bindings._rust import openssl

    AESGCM = openssl.aead.AESGCM
except (ImportError, AttributeError):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class AesGcm:
    """Encrypts to nonce (12 random bytes) ‖ ciphertext ‖ tag (16 bytes).

    Random 96-bit nonces are safe for 2^32 encryptions under one key; the keyset retires keys long before.
    """

    __slots__ = ("_aead",)

    algorithm = "aes-256-gcm"

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` encrypted, to be read back under the same `context` only."""
        nonce = urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plaintext, context)

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plaintext; raises `Forged` for another key, another context or changed bytes."""
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], context)
        except (InvalidTag, ValueError):
            raise Forged from None
