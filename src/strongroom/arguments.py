"""Checks of what a caller passes besides names and values.

Types are checked too: `True` equals 1 in Python, and a number that arrives as text would reach the audit log unquoted.
"""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.caller import Caller
from strongroom.errors import ConfigError, InvalidInputError
from strongroom.model import HIGHEST_VERSION

_LONGEST_AGO = 1e12
LONGEST_WHO = 200
_WHO = "._-@:/+=,%\\"


def check_version(version: int, what: str = "version") -> None:
    """Raise `InvalidInputError` unless `version` is the number of a version: a whole number from 1 to 2^32 - 1."""
    if type(version) is not int or not 1 <= version <= HIGHEST_VERSION:
        raise InvalidInputError(
            f"{what} is not the number of a version; give a whole number from 1 to {HIGHEST_VERSION:,}"
        )


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
    if cas is not None and (type(cas) is not int or not 0 <= cas <= HIGHEST_VERSION):
        raise InvalidInputError("cas is the number of the current version, or 0 for a secret that must not exist yet")


def check_recipient(recipient: int) -> int:
    """Return `recipient` if it is a number as recipients have; raises `InvalidInputError`."""
    if type(recipient) is not int or not 0 <= recipient < 1 << 32:
        raise InvalidInputError("a recipient is named by its number, as `strongroom rekey list` shows it")
    return recipient


def check_algorithm(algorithm: str | None) -> None:
    """Raise `InvalidInputError` unless `algorithm` is None or text."""
    if algorithm is not None and not isinstance(algorithm, str):
        raise InvalidInputError(f"an algorithm is named by text, not {type(algorithm).__name__}")


def check_filters(limit: int | None, since: object, **texts: str | None) -> None:
    """Raise `InvalidInputError` unless what an event must match is of the right type."""
    if limit is not None and (type(limit) is not int or not 1 <= limit < 1 << 63):
        raise InvalidInputError("limit is a number of events, at least 1")
    for what, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise InvalidInputError(f"{what} is text, not {type(text).__name__}")
    is_time = since is None or isinstance(since, str) or hasattr(since, "astimezone")
    if not is_time and not (type(since) in (int, float) and abs(since) < _LONGEST_AGO):  # type: ignore[arg-type]
        raise InvalidInputError("since is not a time: write 24h, 7d, 2026-01-31, or pass seconds since 1970")


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


def check_caller(caller: str | Caller) -> Caller:
    """Return the caller, which an actor alone is too, if it can be logged; raises `InvalidInputError`."""
    if not isinstance(caller, Caller):
        return Caller(check_actor(caller))
    check_actor(caller.actor)
    for what, text in zip(caller._fields[1:], caller[1:], strict=True):
        if text is not None:
            if type(text) is not str or not text:
                raise InvalidInputError(f"{what} of a caller is text and not empty, or None")
            check_who(what, text)
    return caller


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
