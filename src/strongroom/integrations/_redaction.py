"""Takes the values of live secrets out of text, in the clear and in the usual encodings."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from strongroom import SecretsManager, StrongroomError
from strongroom.secret import STARS
from strongroom.system.frames import methods_leave_no_values

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret

SHORTEST = 4
"""Characters: shorter values are left alone, because stars for each "a" or "42" would make a log unreadable."""
KEPT = 10
"""Values remembered of each secret, the current one included."""


@methods_leave_no_values
class Redactor:
    """Replaces the values of live secrets in text by stars.

    A value is found as it is, escaped as in JSON or in a repr, URL-quoted, in hexadecimal, and in Base64 at any
    offset, so also inside an encoded `user:password`. A value is covered as soon as its handle takes it up, at the
    latest 100 ms after the change; values before it stay covered. Not found are a value that is cut in two, and
    values of fewer than four characters.
    """

    def __init__(self, *handles: LiveSecret) -> None:
        self._lock = threading.Lock()
        self._handles = handles
        self._versions: dict[str, int] = {}
        self._values: dict[str, list[Any]] = {}
        self._clear: tuple[str, ...] = ()
        self._encoded: tuple[str, ...] = ()
        self._token = re.compile("(?!)")
        self.refresh()
        for handle in handles:
            handle.on_change(lambda _: self.refresh())

    def __repr__(self) -> str:
        return f"Redactor({len(self._handles)} secrets)"

    def redact(self, text: str) -> str:
        """Return `text` with stars for each value."""
        if any(handle.version != self._versions.get(handle.name) for handle in self._handles):
            self.refresh()
        found = [form for form in self._clear if form in text]
        # Encoded forms are many but long: most lines have no run of characters that could be one.
        if self._token.search(text):
            found += [form for form in self._encoded if form in text]
        for form in sorted(found, key=len, reverse=True):
            text = text.replace(form, STARS)
        return text

    def refresh(self) -> None:
        """Take up new values now. A secret that cannot be read keeps the values that are known of it."""
        # Read without the lock: the audit sink of a read may log, and so come back here.
        read = [(handle.name, self._read(handle)) for handle in self._handles]
        with self._lock:
            for name, value in read:
                known = self._values.setdefault(name, [])
                if value is not None and value not in known:
                    known.insert(0, value)
                    del known[KEPT:]
            self._prepare({leaf for values in self._values.values() for leaf in leaves(values)})

    def _read(self, handle: LiveSecret) -> Any:
        # The number before the value: a change in between makes the two differ, and the next line reads again.
        self._versions[handle.name] = handle.version
        try:
            value = handle.value
        except StrongroomError:
            return None
        return value

    def _prepare(self, values: Iterable[str | bytes]) -> None:
        clear: set[str] = set()
        encoded: set[str] = set()
        for value in values:
            if len(value) >= SHORTEST:
                clear.update(clear_forms(value))
                encoded.update(encoded_forms(value))
        shortest = min(map(len, encoded), default=1)
        self._token = re.compile(rf"[\w+/-]{{{shortest}}}" if encoded else "(?!)")
        # The clear forms last: a reader in another thread sees them with the encoded ones.
        self._encoded, self._clear = tuple(encoded), tuple(clear)


def every(secrets: SecretsManager, prefix: str = "") -> list[LiveSecret]:
    """Return the handles of all secrets whose names start with `prefix`; each of them is taken up, on record.

    Raises what `SecretsManager.list_secrets` and `SecretsManager.secret` raise.
    """
    return [secrets.secret(name) for name in secrets.list_secrets(prefix)]


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


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
