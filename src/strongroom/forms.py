"""How programs write a value: as it is, escaped, quoted, encoded. Whoever takes values out of text looks for these."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus


def leaves(value: object) -> Iterator[str | bytes]:
    """Yield the texts and bytes in a value, however deep."""
    if isinstance(value, str | bytes):
        yield value
    elif isinstance(value, Mapping):
        yield from leaves(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from leaves(one)


def clear_forms(value: str | bytes) -> set[str]:
    """Return a value as text, and as JSON, a repr and a URL write it."""
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    raw = _bytes(value)
    written = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    written |= {repr(text)[1:-1], repr(raw)[2:-1]}
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    return written | quoted | {re.sub("%..", lambda found: found[0].lower(), one) for one in quoted}


def encoded_forms(value: str | bytes) -> set[str]:
    """Return a value in hexadecimal, and the characters that it alone decides in Base64, at each of three offsets."""
    raw = _bytes(value)
    forms = {raw.hex(), raw.hex().upper()}
    for offset in range(3):
        whole = base64.b64encode(bytes(offset) + raw).decode()
        decided = whole[(offset * 8 + 5) // 6 : (offset + len(raw)) * 8 // 6]
        forms |= {decided, decided.replace("+", "-").replace("/", "_")}
    return forms


def shell_forms(text: str) -> set[str]:
    """Return a text as shells write it between quotes, and as HTML and XML do."""
    from html import escape

    return {
        text.replace("'", "'\\''"), text.replace("'", "'\"'\"'"), re.sub(r"([^\w@%+=:,./-])", r"\\\1", text),
        re.sub(r'(["$`\\])', r"\\\1", text), escape(text), escape(text, quote=False), text.replace("/", "\\/"),
    }  # fmt: skip


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
