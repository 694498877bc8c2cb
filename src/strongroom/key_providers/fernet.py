"""Wraps keys with a Fernet key, wherever that key comes from.

Wrapped: `F`, version byte 1, fingerprint of the master key (8 bytes), raw Fernet token of context ‖ key.
"""

from __future__ import annotations

from strongroom.crypto import Forged
from strongroom.crypto.kdf import hkdf
from strongroom.errors import NewerFormatError, TamperedError, WrongKeyError

_KIND = b"F"
_START = _KIND + b"\x01"
_FINGERPRINT = 8


def fingerprint(master: bytes) -> bytes:
    """Return 8 bytes that tell one master key from another; a master key is random, so they reveal nothing of it."""
    return hkdf(master, b"strongroom fingerprint")[:_FINGERPRINT]


def wrap(master: bytes, key: bytes, context: bytes) -> bytes:
    """Encrypt `key` under the raw Fernet key `master`."""
    from base64 import urlsafe_b64decode

    from strongroom.crypto.fernet import encrypt_token

    return _START + fingerprint(master) + urlsafe_b64decode(encrypt_token(master, context + key))


def unwrap(master: bytes, wrapped: bytes, context: bytes, url: str) -> bytes:
    """Return what `wrap` was given; raises like `strongroom.protocols.KeyProvider.unwrap`."""
    from base64 import urlsafe_b64encode

    from strongroom.crypto.fernet import decrypt_token

    start, rest = wrapped[: len(_START)], wrapped[len(_START) :]
    if start[:1] == _KIND and start > _START:
        raise NewerFormatError("the root key is wrapped in a format of a newer strongroom: upgrade it")
    if start != _START or rest[:_FINGERPRINT] != fingerprint(master):
        raise WrongKeyError(f"the master key from {url} is not the one that this was wrapped with")
    try:
        plain = decrypt_token(master, urlsafe_b64encode(rest[_FINGERPRINT:]))
    except Forged:
        plain = b""
    if not plain.startswith(context) or len(plain) != len(context) + 32:
        raise TamperedError(
            f"the master key from {url} is the right one, but the wrapped root key is damaged or from another store: "
            "restore the store from a backup"
        )
    return plain[len(context) :]
