"""HMAC-SHA256 (RFC 2104), for partners that speak it; strongroom's own MACs are `strongroom.crypto.mac`."""

from __future__ import annotations

import hashlib
import hmac


def sign(key: bytes, message: bytes) -> str:
    """Return HMAC-SHA256 in hexadecimal."""
    return hmac.digest(key, message, hashlib.sha256).hex()
