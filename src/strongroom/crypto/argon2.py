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
FLOOR = Argon2Cost(memory=19 * 1024, passes=2, lanes=1)
"""The least that is accepted when read back, OWASP's minimum: a hostile store must not make guessing cheap."""
CEILING = Argon2Cost(memory=1024 * 1024, passes=16, lanes=16)
"""The most that is accepted when read back: a hostile store must not be able to exhaust the machine."""
MOST_WORK = 4 * 1024 * 1024
"""KiB of memory times passes, for the same reason: some seconds."""


def argon2id(passphrase: bytes, salt: bytes, cost: Argon2Cost) -> bytes:
    """Return 32 bytes; raises `ValueError` when `cost` is above `CEILING` or not possible, and `MemoryError`."""
    if any(asked > most for asked, most in zip(cost, CEILING, strict=True)) or cost.memory * cost.passes > MOST_WORK:
        raise ValueError("its cost parameters are above what strongroom accepts")
    kdf = Argon2id(salt=salt, length=32, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory)
    return kdf.derive(passphrase)
