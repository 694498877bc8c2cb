"""The form of a master key: a Fernet key, 32 bytes in URL-safe base64."""

from __future__ import annotations

import binascii
from os import urandom

KEY_BYTES = 32


def generate_master_key() -> str:
    """Return a new master key: a Fernet key, 44 characters of URL-safe base64."""
    return binascii.b2a_base64(urandom(KEY_BYTES), newline=False).translate(bytes.maketrans(b"+/", b"-_")).decode()


def parse_key(text: str | bytes) -> bytes:
    """Return the 32 raw bytes of a Fernet key.

    Surrounding whitespace is forgiven, as files and shells add a line feed. Raises `ValueError` with what is wrong,
    without the text.
    """
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    raw = raw.strip()
    if not raw:
        raise ValueError("it is empty")
    try:
        if b"+" in raw or b"/" in raw:
            raise ValueError
        key = binascii.a2b_base64(raw.translate(bytes.maketrans(b"-_", b"+/")), strict_mode=True)
    except ValueError:
        raise ValueError(f"it is not URL-safe base64 ({len(raw)} characters given, a Fernet key has 44)") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"it decodes to {len(key)} bytes, a Fernet key to {KEY_BYTES}")
    return key
