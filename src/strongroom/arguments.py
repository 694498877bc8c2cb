"""Checks of what a caller passes besides names and values.

Types are checked too: `True` equals 1 in Python, and a number that arrives as text would reach the audit log unquoted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from strongroom.errors import ConfigError, InvalidInputError, InvalidValueError

if TYPE_CHECKING:
    from strongroom.versions import Attributes

MAX_VERSIONS = 10_000
_LONGEST = 1e10
LONGEST_WHO = 200
_WHO = "._-@:/+=,%\\"


def check_version(version: int, what: str = "version") -> None:
    """Raise `InvalidInputError` unless `version` is the number of a version: a whole number from 1."""
    if type(version) is not int or version < 1:
        raise InvalidInputError(f"{what} is not the number of a version; give a whole number from 1")


def check_versions(numbers: Sequence[int] | None) -> None:
    """Raise `InvalidInputError` unless `numbers` is None or a list of numbers of versions."""
    if numbers is None:
        return
    if isinstance(numbers, str | bytes) or not isinstance(numbers, Sequence | set | frozenset):
        raise InvalidInputError("numbers is a list of versions, such as [1, 2]")
    for number in numbers:
        check_version(number, "a member of numbers")


def check_cas(cas: int | None) -> None:
    """Raise `InvalidInputError` unless `cas` is None, 0 or the number of a version."""
    if cas is not None and (type(cas) is not int or cas < 0):
        raise InvalidInputError("cas is the number of the current version, or 0 for a secret that must not exist yet")


def check_field(field: str) -> str:
    """Return `field` if it is text; raises `InvalidInputError`."""
    if not isinstance(field, str):
        raise InvalidInputError(f"the name of a field is text, not {type(field).__name__}")
    return field


def check_actor(actor: str) -> str:
    """Return `actor` if it can go on record; raises `InvalidInputError`."""
    if type(actor) is not str or not actor:
        raise InvalidInputError("an actor is text and not empty, such as 'alice' or 'billing-service'")
    check_who("actor", actor)
    return actor


def check_who(what: str, text: str, source: str = "") -> None:
    """Raise `ConfigError` for the name of an actor or a service that could mean something to a shell or a terminal.

    Such names reach logs, terminals and scripts of others, who do not expect that anything in them could act.
    """
    if len(text) > LONGEST_WHO or text != clean_who(text):
        raise ConfigError(
            f"{source and f'{source}: '}{what} is {text[:80]!a}; give at most {LONGEST_WHO} letters, digits, "
            f"spaces and any of {_WHO}"
        )


def clean_who(text: str) -> str:
    """Return a name that was not given but derived, such as that of the running script, as `check_who` takes it."""
    return "".join(c if c.isalnum() or c in _WHO or c == " " else "_" for c in text[:LONGEST_WHO])


def attributes(expires_in: float | None, custom: Mapping[str, str] | None, max_versions: int | None) -> Attributes:
    """Return what a writer says of a version; `expires_in` is in seconds. Raises `InvalidValueError`."""
    from strongroom.versions import Attributes

    if expires_in is not None and (type(expires_in) not in (int, float) or not 0 < expires_in < _LONGEST):
        raise InvalidValueError("expires_in is a number of seconds, more than 0 (and less than 300 years)")
    if max_versions is not None and (type(max_versions) is not int or not 1 <= max_versions <= MAX_VERSIONS):
        raise InvalidValueError(f"max_versions is a whole number from 1 to {MAX_VERSIONS:,}")
    if custom is not None:
        _check_custom(custom)
    expires = None if expires_in is None else round(time.time() + expires_in, 3)
    return Attributes(expires, custom, max_versions)


def _check_custom(custom: Mapping[str, str]) -> None:
    if not isinstance(custom, Mapping):
        raise InvalidValueError("custom metadata is a mapping of text to text")
    for key, text in custom.items():
        if not (isinstance(key, str) and isinstance(text, str) and len(key) <= 128 and len(text) <= 512):
            raise InvalidValueError("custom metadata maps text (at most 128 characters) to text (at most 512)")
    if len(custom) > 64:
        raise InvalidValueError(f"custom metadata has {len(custom)} keys; at most 64 are kept")
