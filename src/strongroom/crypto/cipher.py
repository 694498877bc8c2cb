"""What both algorithms offer."""

from __future__ import annotations

from typing import Protocol


class Cipher(Protocol):
    """Encrypts under one key."""

    algorithm: str

    def encrypt(self, plaintext: bytes, context: bytes) -> bytes:
        """Return `plaintext` encrypted and bound to `context`."""
        ...

    def decrypt(self, sealed: bytes, context: bytes) -> bytes:
        """Return the plaintext or raise `Forged`."""
        ...
