"""Values that are nearly a pending one: a source that accepts such a value cuts or normalises what it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

Fields = Mapping[str, Any]


def nearly(pending: Fields, current: Fields) -> Fields | None:
    """Return `pending` with the last letter of the new value in the other case, None where it has no letters.

    One question finds both: what cuts values does not see that letter, what folds them does not see its case.
    """
    field = _changed_field(pending, current)
    if field is None:
        return None
    text = pending[field]
    start, end = _changed_part(text, current.get(field))
    for at in range(end - 1, start - 1, -1):
        other = text[at].swapcase()
        if len(other) == 1 and other != text[at]:
            return {**pending, field: text[:at] + other + text[at + 1 :]}
    return None


def unlike(pending: Fields, current: Fields) -> Fields:
    """Return `pending` with a value in place of the new one that nobody has."""
    field = _changed_field(pending, current)
    assert field is not None
    start, end = _changed_part(pending[field], current.get(field))
    return {**pending, field: pending[field][:start] + os.urandom(16).hex() + pending[field][end:]}


def _changed_field(pending: Fields, current: Fields) -> str | None:
    """Return the field that holds the new value: two accounts that take turns change the user's name too."""
    changed = [field for field, text in pending.items() if isinstance(text, str) and text != current.get(field)]
    known = [field for field in ("password", "value") if field in changed]
    return (known or changed or [None])[0]


def _changed_part(text: str, before: object) -> tuple[int, int]:
    """Return where the new value lies in a text such as a URL, of which the rest has stayed as it was."""
    if not isinstance(before, str):
        return 0, len(text)
    start = _same(text, before)
    return start, len(text) - _same(text[start:][::-1], before[start:][::-1])


def _same(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
