"""Key derivation from passphrases: Argon2id (RFC 9106)."""

from typing import NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


class Argon2Cost(NamedTuple):
    """The work that a passphrase costs its guesser."""

    memory: int
    """KiB."""
    passes: int
    lanes: int


STANDARD = Argon2Cost(memory=64 * 1024, passes=3, lanes=4)
"""The second recommended option of RFC 9106 §4."""
CEILING = Argon2Cost(memory=1024 * 1024, passes=16, lanes=16)
"""The most that is accepted when read back: a hostile store must not be able to exhaust the machine."""


def argon2id(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    """Return 32 bytes; raises `ValueError` when `cost` is above `CEILING` or not possible."""
    if any(asked > most for asked, most in zip(cost, CEILING, strict=True)):
        raise ValueError("its cost parameters are above what strongroom accepts")
    kdf = Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory)
    return kdf.derive(passphrase)
