"""New values for secrets: each character uniform and independent, from the operating system's generator."""

from __future__ import annotations

import math
import os

from strongroom.errors import InvalidInputError
from strongroom.model import MAX_VALUE_BYTES

MINIMUM_BITS = 64
"""Below this a value can be guessed offline from a hash of it."""

DIGITS = "0123456789"
HEX = "0123456789abcdef"
ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
URLSAFE = ALPHANUMERIC + "-_"
"""The alphabet of URL-safe base64 (RFC 4648, section 5)."""
ASCII = ALPHANUMERIC + "-._"
"""For rules that ask for punctuation: what of printable ASCII passes unquoted through everything below.

Left out are space, quotes and backslash (all quoting), ``$ ` ! & ; | < > ( ) * ? [ ] { } ~ # ^ =`` (a shell: expansion,
history, operators, patterns, home directories, comments, zsh's `=command`), ``% @ : / , +`` (URLs: escapes, the parts
around a password, lists of hosts, a space in forms; `%` also in crontab and ini files).
"""

ALPHABETS = {"alphanumeric": ALPHANUMERIC, "ascii": ASCII, "hex": HEX, "digits": DIGITS, "urlsafe": URLSAFE}


def generate_value(length: int = 32, alphabet: str = ALPHANUMERIC) -> str:
    """Return `length` characters, each drawn uniformly from the characters of `alphabet`; by default 190 bits.

    Raises `InvalidInputError` when the value would hold less than 64 bits of entropy, when `length` is larger than a
    value may be, and when `alphabet` repeats a character or has more than 256.
    """
    if not 2 <= len(alphabet) <= 256 or len(set(alphabet)) != len(alphabet):
        raise InvalidInputError("an alphabet has 2 to 256 characters, each of them once")
    bits = length * math.log2(len(alphabet))
    if bits < MINIMUM_BITS:
        enough = math.ceil(MINIMUM_BITS / math.log2(len(alphabet)))
        raise InvalidInputError(
            f"{length} characters out of {len(alphabet)} are {max(bits, 0):.0f} bits of entropy, and {MINIMUM_BITS} "
            f"are the least; use {enough} characters or more"
        )
    if length > MAX_VALUE_BYTES:
        raise InvalidInputError(f"a value has at most {MAX_VALUE_BYTES} bytes")
    return _draw(length, alphabet)


def _draw(length: int, alphabet: str) -> str:
    # A byte modulo the size would favour the first characters, so bytes beyond the last whole multiple are redrawn.
    size = len(alphabet)
    limit = 256 - 256 % size
    drawn: list[str] = []
    while len(drawn) < length:
        drawn.extend(alphabet[byte % size] for byte in os.urandom(length - len(drawn)) if byte < limit)
    return "".join(drawn)
