"""The primitives, as docs/format.md ("Notation", "Context") names them."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def hkdf(key: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), length=32, salt=bytes(32), info=info).derive(key)


def argon2id(passphrase: bytes, salt: bytes, memory: int, passes: int, lanes: int) -> bytes:
    return Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(passphrase)


def blake2b(bits: int, key: bytes, person: bytes, message: bytes) -> bytes:
    return hashlib.blake2b(message, digest_size=bits // 8, key=key, person=person.ljust(16, b"\0")).digest()


def aes_256_gcm(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], associated)


def decrypt(algorithm: str, key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Decrypt with a data key."""
    if algorithm == "aes-256-gcm":
        return aes_256_gcm(key, sealed, context)
    assert algorithm == "fernet", algorithm
    return Fernet(urlsafe_b64encode(hkdf(key, context))).decrypt(urlsafe_b64encode(sealed))
