"""Wraps keys with a master key, wherever that key comes from.

Wrapped: `M`, version byte 1, fingerprint of the master key (8 bytes), AES-256-GCM of the key under
HKDF-SHA256(master key, info = `strongroom wrap`), bound to everything before it and the context.

Not a Fernet token, although the master key is a Fernet key: AES-GCM binds the context by itself, and loading the Fernet
module would cost the command line a twentieth of its start-up time.
"""

from __future__ import annotations

from strongroom.crypto import Forged
from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.kdf import hkdf
from strongroom.errors import NewerFormatError, TamperedError, WrongKeyError

_KIND = b"M"
_START = _KIND + b"\x01"
_FINGERPRINT = 8


def fingerprint(master: bytes) -> bytes:
    """Return 8 bytes that tell one master key from another; a master key is random, so they reveal nothing of it."""
    return hkdf(master, b"strongroom fingerprint")[:_FINGERPRINT]


def wrap(master: bytes, key: bytes, context: bytes) -> bytes:
    """Encrypt `key` under the raw master key."""
    start = _START + fingerprint(master)
    return start + _cipher(master).encrypt(key, start + context)


def unwrap(master: bytes, wrapped: bytes, context: bytes, url: str) -> bytes:
    """Return what `wrap` was given; raises like `strongroom.protocols.KeyProvider.unwrap`."""
    kind, rest = wrapped[: len(_START)], wrapped[len(_START) :]
    if kind[:1] == _KIND and kind > _START:
        raise NewerFormatError("the root key is wrapped in a format of a newer strongroom: upgrade it")
    if kind != _START or rest[:_FINGERPRINT] != fingerprint(master):
        raise WrongKeyError(f"the master key from {url} is not the one that this was wrapped with")
    start = wrapped[: len(_START) + _FINGERPRINT]
    try:
        return _cipher(master).decrypt(wrapped[len(start) :], start + context)
    except Forged:
        raise TamperedError(
            f"the master key from {url} is the right one, but the wrapped root key is damaged or from another store: "
            "restore the store from a backup"
        ) from None


def _cipher(master: bytes) -> AesGcm:
    return AesGcm(hkdf(master, b"strongroom wrap"))
