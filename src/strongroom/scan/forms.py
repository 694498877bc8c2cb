"""The shapes in which a value leaks: as it is, and as programs encode it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Shorter values occur by chance."""
LONGEST = 1024
"""So much of a long line is enough to know it by, and bounds what is kept between two pieces of a file."""
COMMON = frozenset((
    "access", "account", "admin", "administrator", "anonymous", "backup", "changeme", "config", "console", "cookie",
    "database", "debug", "default", "demo", "develop", "developer", "development", "disabled", "docker", "dummy",
    "elastic", "enabled", "example", "guest", "localhost", "logger", "manager", "master", "memcached", "minioadmin",
    "minio", "missing", "monitor", "nobody", "normal", "oracle", "passphrase", "passwd", "password", "password1",
    "placeholder", "postgres", "postgresql", "primary", "private", "production", "public", "qwerty", "rabbitmq",
    "readonly", "replica", "replication", "secret", "secrets", "server", "service", "session", "staging", "string",
    "system", "testing", "testtest", "unknown", "user", "username", "value", "verify", "welcome",
))  # fmt: skip
"""Words that stand in every source tree. A secret that is one of them is no secret, and finding it is no leak."""


def needle_of(value: bytes) -> bytes | None:
    """Return what to look for: the value, or the longest of its lines; None when that would be found by chance.

    By chance are found: less than 6 bytes, digits only, one byte repeated, and common words.
    """
    # Of several longest lines the last: the first of a PEM block is much the same in every key.
    line = max(reversed([part.strip(b"\r") for part in value.split(b"\n")]), key=len)[:LONGEST]
    plain = line.strip()
    if len(plain) < SHORTEST or plain.isdigit() or len(set(plain)) == 1:
        return None
    return None if plain.decode("latin-1").lower() in COMMON else line


def forms_of(needle: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each form's name and its bytes; several may be the same bytes, and then the first says what it is."""
    yield "raw", needle
    for quoted in (quote(needle, safe=""), quote(needle), quote_plus(needle)):
        yield "url", quoted.encode()
        yield "url", _lower_escapes(quoted).encode()
    yield from (("json", text) for text in _in_json(needle))
    yield "hex", needle.hex().encode()
    yield "hex", needle.hex().upper().encode()
    for before in range(3):
        encoded = _in_base64(needle, before)
        yield "base64", encoded
        yield "base64", encoded.translate(bytes.maketrans(b"+/", b"-_"))


def _in_base64(needle: bytes, before: int) -> bytes:
    """Return the characters that are the same whatever surrounds the needle, when it starts `before` bytes (0 to 2)
    after a multiple of three in what is encoded."""
    first, last = -(-8 * before // 6), 8 * (before + len(needle)) // 6
    return b64encode(bytes(before) + needle)[first:last]


def _in_json(needle: bytes) -> Iterator[bytes]:
    try:
        text = needle.decode()
    except UnicodeDecodeError:
        return
    for ascii_only in (True, False):
        escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield escaped.encode()
        yield escaped.replace("/", "\\/").encode()


def _lower_escapes(quoted: str) -> str:
    first, *rest = quoted.split("%")
    return "%".join([first, *(part[:2].lower() + part[2:] for part in rest)])
