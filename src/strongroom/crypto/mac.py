"""Message authentication: keyed BLAKE2b (RFC 7693), with the purpose as its personalization."""

from __future__ import annotations

# `hashlib` and `hmac` would load a second OpenSSL, only to give us these two functions of the interpreter itself; that
# is a tenth of the start-up time of the command line.
from _blake2 import blake2b
from _operator import _compare_digest as compare_digest

from strongroom.crypto import Forged


class Mac:
    """Hashes messages under one key for one purpose. Immutable, usable from many threads.

    `key` is 32 uniform bytes, `purpose` at most 16 bytes that no other use of the same key has, `size` the bytes of
    a digest: 16 to 64.
    """

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes, purpose: bytes, size: int = 32) -> None:
        if len(key) != 32 or not 16 <= size <= 64:
            raise ValueError("a MAC takes a key of 32 bytes and returns 16 to 64")
        # Kept and copied for each message: hashing the key block anew would double the time of a short message.
        self._keyed = blake2b(key=key, person=purpose, digest_size=size)

    def digest(self, *parts: bytes) -> bytes:
        """Return the MAC of the parts in order; they are joined without framing, so frame what varies in length."""
        keyed = self._keyed.copy()
        for part in parts:
            keyed.update(part)
        return keyed.digest()

    def verify(self, tag: bytes, *parts: bytes) -> None:
        """Return when `tag` is the MAC of the parts, raise `Forged` when not; takes the same time either way."""
        if not compare_digest(tag, self.digest(*parts)):
            raise Forged
