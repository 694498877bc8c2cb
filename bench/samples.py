"""The secrets that all contenders keep."""

from __future__ import annotations

import hashlib
import random


def sample(count: int) -> dict[str, str]:
    """Return `count` secrets of 32 characters under random names, in random order; the same at each call."""
    chance = random.Random(count)
    secrets: dict[str, str] = {}
    while len(secrets) < count:
        name = f"DB_PASSWORD_{chance.getrandbits(48):012X}"
        secrets[name] = hashlib.sha256(name.encode()).hexdigest()[:32]
    return secrets
