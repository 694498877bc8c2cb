"""What to look for: every readable value of a store, in every form."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from strongroom.manager.manager import SecretsManager
from strongroom.scan.forms import forms_of, needle_of


class Label(NamedTuple):
    """What a pattern stands for."""

    name: str
    version: int
    """The newest version that has this value."""
    form: str


class Needles(NamedTuple):
    """The patterns, and what each stands for: several secrets may hold the same value."""

    labels: dict[bytes, list[Label]]
    skipped: list[str]
    """The names of the values that cannot be looked for, as they would be found by chance."""
    secrets: int


def collect(secrets: SecretsManager) -> Needles:
    """Read every version of every secret that can be read: each is an access, and on record.

    Raises what `SecretsManager.get_data` raises.
    """
    found = Needles({}, [], len(names := secrets.list_secrets()))
    for name in names:
        known = secrets.metadata(name)
        now = time.time()
        for info in reversed(known.versions if known else ()):
            data = secrets.get_data(name, version=info.version) if info.readable_at(now) else None
            for called, value in _texts(name, data or {}):
                _add(found, called, info.version, value)
    return found


def _texts(name: str, data: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Yield each text of a secret with what it is called: its name, or name:field."""
    for field, value in data.items():
        called = name if list(data) == ["value"] else f"{name}:{field}"
        yield from ((called, text) for text in _leaves(value))


def _leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, str):
        yield value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)


def _add(found: Needles, name: str, version: int, value: bytes) -> None:
    needle = needle_of(value)
    if needle is None:
        found.skipped.append(name)
        return
    for form, pattern in forms_of(needle):
        labels = found.labels.setdefault(pattern, [])
        if name not in (label.name for label in labels):
            labels.append(Label(name, version, form))
