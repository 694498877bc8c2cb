"""What a server keeps in place of a password, computed here so that the password itself is not sent to be stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ORDER = ((0, 10, 20), (21, 1, 11), (12, 22, 2), (3, 13, 23), (24, 4, 14), (15, 25, 5), (6, 16, 26), (27, 7, 17),
          (18, 28, 8), (9, 19, 29))  # fmt: skip
"""Which three bytes of the digest make four characters; bytes 31 and 30 make the last three."""
_ROUNDS = 5000
_MOST_ROUNDS = 600_000


def mysql_native(password: str) -> str:
    """Return the hash of `mysql_native_password` (MySQL 4.1 and later, MariaDB): SHA-1 twice, after an asterisk.

    It has no salt, and SHA-1 is fast: only a password that nobody can guess is safe in this form.
    """
    once = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "*" + hashlib.sha1(once, usedforsecurity=False).hexdigest().upper()


def mysql_ed25519(password: str) -> str:
    """Return the hash of MariaDB's `ed25519`: the public key to the secret one that SHA-512 makes of the password.

    Ed25519 as in RFC 8032, with a password of any length in place of the 32 bytes. Raises `ImportError` without PyNaCl.
    """
    from nacl.bindings import crypto_scalarmult_ed25519_base

    scalar = hashlib.sha512(password.encode()).digest()[:32]
    return base64.b64encode(crypto_scalarmult_ed25519_base(scalar)).decode().rstrip("=")


def mysql_caching_sha2(password: str, salt: str) -> str:
    """Return the hash of `caching_sha2_password` (MySQL 8): SHA-crypt with 20 characters of salt, 5,000 rounds."""
    if len(salt) != 20 or not salt.isascii() or "$" in salt:
        raise ValueError("the salt is 20 ASCII characters without $")
    return f"$A$005${salt}{sha256_crypt(password.encode(), salt.encode())}"


def redis_sha256(password: str) -> str:
    """Return the form of a password in Redis's access control lists: SHA-256, in hexadecimal, without a salt."""
    return hashlib.sha256(password.encode()).hexdigest()


def scram_fits(verifier: str, password: str) -> bool:
    """True when a verifier of SCRAM-SHA-256, as PostgreSQL keeps it, is of this password.

    False too for a password that is not ASCII, whose normal form (SASLprep) is not made here, and for a verifier with
    more rounds than anybody means.
    """
    method, _, rest = verifier.partition("$")
    cost, _, rest = rest.partition(":")
    salt, _, keys = rest.partition("$")
    if method != "SCRAM-SHA-256" or not password.isascii() or not (cost.isascii() and cost.isdigit() and len(cost) < 7):
        return False
    try:
        stored, bytes_of_salt = (base64.b64decode(text, validate=True) for text in (keys.partition(":")[0], salt))
    except (binascii.Error, ValueError):
        return False
    if not bytes_of_salt or not 0 < int(cost) <= _MOST_ROUNDS:
        return False
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), bytes_of_salt, int(cost))
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hmac.compare_digest(hashlib.sha256(client).digest(), stored)


def sha256_crypt(password: bytes, salt: bytes) -> str:
    """Return the 43 characters of SHA-crypt with SHA-256 and 5,000 rounds (Drepper, "Unix crypt using SHA-256", 2008).

    The steps have the numbers of that paper. Unlike crypt(3) it takes all of the salt, as MySQL does.
    """
    digest = hashlib.sha256
    alternate = digest(password + salt + password).digest()  # 4 to 8
    mixed = password + salt + _filled(alternate, len(password))  # 9, 10
    bits = len(password)
    while bits:  # 11
        mixed += alternate if bits & 1 else password
        bits >>= 1
    state = digest(mixed).digest()  # 12
    passes = _filled(digest(password * len(password)).digest(), len(password))  # 13 to 16
    salts = _filled(digest(salt * (16 + state[0])).digest(), len(salt))  # 17 to 20
    for number in range(_ROUNDS):  # 21
        odd = number & 1
        block = passes if odd else state
        block += salts if number % 3 else b""
        block += passes if number % 7 else b""
        state = digest(block + (state if odd else passes)).digest()
    return "".join(_characters(state[a] << 16 | state[b] << 8 | state[c], 4) for a, b, c in _ORDER) + _characters(
        state[31] << 8 | state[30], 3
    )


def _filled(block: bytes, length: int) -> bytes:
    return (block * (length // len(block) + 1))[:length]


def _characters(number: int, count: int) -> str:
    return "".join(_ALPHABET[number >> 6 * place & 63] for place in range(count))
