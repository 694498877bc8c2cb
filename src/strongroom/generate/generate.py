"""New values for secrets: each character or word uniform and independent, from the operating system's generator."""

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
WORDS = "words"
"""Stands where the name of an alphabet stands, for a passphrase."""
LENGTH, WORD_COUNT = 32, 6
"""How long a value is unless said otherwise, in characters and in words."""


def generate_by_name(alphabet: str, length: int | None = None) -> str:
    """Return a value of the alphabet of that name, or for "words" a passphrase; raises `InvalidInputError`."""
    if alphabet == WORDS:
        return generate_words(WORD_COUNT if length is None else length)
    if alphabet not in ALPHABETS:
        raise InvalidInputError(f"there is no alphabet {alphabet!r}; there are: {', '.join((*ALPHABETS, WORDS))}")
    return generate_value(LENGTH if length is None else length, ALPHABETS[alphabet])


def generate_value(length: int = LENGTH, alphabet: str = ALPHANUMERIC) -> str:
    """Return `length` characters, each drawn uniformly from the characters of `alphabet`; by default 190 bits.

    Raises `InvalidInputError` when the value would hold less than 64 bits of entropy, when `length` is larger than a
    value may be, and when `alphabet` repeats a character or has more than 256.
    """
    if not 2 <= len(alphabet) <= 256 or len(set(alphabet)) != len(alphabet):
        raise InvalidInputError("an alphabet has 2 to 256 characters, each of them once")
    _check_entropy(length, "characters", len(alphabet))
    if length > MAX_VALUE_BYTES:
        raise InvalidInputError(f"a value has at most {MAX_VALUE_BYTES} bytes")
    return _draw(length, alphabet)


def generate_words(count: int = WORD_COUNT) -> str:
    """Return a passphrase of `count` words, such as `unwired-mulch-…`; by default 77 bits.

    The words are the EFF's large list, 7,776 for five dice (Bonneau, 2016; CC BY 3.0). A hyphen joins them: it passes
    unquoted wherever the alphabets do, and no two lists of words read the same, although four words hold one. Raises
    `InvalidInputError` when they would hold less than 64 bits of entropy, and for more than 1,000.
    """
    words = _words()
    _check_entropy(count, "words", len(words))
    if count > 1000:
        raise InvalidInputError("a passphrase has at most 1,000 words")
    # Two bytes, redrawn beyond the last whole multiple, as in `_draw`.
    limit = 65536 - 65536 % len(words)
    drawn: list[str] = []
    while len(drawn) < count:
        number = int.from_bytes(os.urandom(2), "big")
        if number < limit:
            drawn.append(words[number % len(words)])
    return "-".join(drawn)


def _words() -> list[str]:
    from pkgutil import get_data

    content = get_data("strongroom", "eff_words.txt")
    assert content is not None
    return content.decode("ascii").split()


def _check_entropy(count: int, what: str, size: int) -> None:
    bits = count * math.log2(size)
    if bits < MINIMUM_BITS:
        enough = math.ceil(MINIMUM_BITS / math.log2(size))
        raise InvalidInputError(
            f"{count} {what} out of {size} are {max(bits, 0):.0f} bits of entropy, and {MINIMUM_BITS} are the least; "
            f"use {enough} {what} or more"
        )


def _draw(length: int, alphabet: str) -> str:
    # A byte modulo the size would favour the first characters, so bytes beyond the last whole multiple are redrawn.
    size = len(alphabet)
    limit = 256 - 256 % size
    drawn: list[str] = []
    while len(drawn) < length:
        drawn.extend(alphabet[byte % size] for byte in os.urandom(length - len(drawn)) if byte < limit)
    return "".join(drawn)
