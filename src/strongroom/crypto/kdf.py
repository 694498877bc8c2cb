"""Key derivation from keys: HKDF-SHA256 (RFC 5869); `argon2` derives from passphrases."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hkdf(key: bytes, info: bytes) -> bytes:
    """Return 32 bytes derived from `key` (32 uniform bytes, so no salt is needed) for the purpose `info`."""
    return HKDF(SHA256(), 32, None, info).derive(key)


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of `data`: a checksum, no authentication."""
    digest = Hash(SHA256())
    digest.update(data)
    return digest.finalize()
