"""What rotators share: options of a URL, and the value that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from strongroom.errors import ConfigError, InvalidInputError
from strongroom.generate.generate import ALPHABETS, WORDS, generate_by_name

POLICY = {"length", "alphabet"}


class Policy(NamedTuple):
    """How new values are drawn."""

    length: int | None = None
    """Characters, or words; None for what is usual."""
    alphabet: str = "alphanumeric"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Policy:
        """Read `length` and `alphabet`; raises `ConfigError`, also for values that would be too easy to guess."""
        length, alphabet = given.get("length"), given.get("alphabet", "alphanumeric")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 5):
            raise ConfigError("length is a whole number of characters or words")
        if alphabet not in (*ALPHABETS, WORDS):
            raise ConfigError(f"alphabet is one of: {', '.join((*ALPHABETS, WORDS))}")
        policy = cls(None if length is None else int(length), alphabet)
        try:
            policy.draw()
        except InvalidInputError as error:
            raise ConfigError(str(error)) from None
        return policy

    def draw(self) -> str:
        """Return a new value; raises `InvalidInputError` when it would be too easy to guess."""
        return generate_by_name(self.alphabet, self.length)


def options(query: str, known: set[str], rotator: str) -> dict[str, str]:
    """Read `a=1&b=2`; raises `ConfigError` for an unknown or repeated option, without showing its value."""
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    unknown = sorted(set(given) - known)
    if unknown or len(given) != len(pairs) or (query and not pairs):
        what = f"there is no option {unknown[0]!r}" if unknown else "options are written a=1&b=2, each once"
        raise ConfigError(f"{rotator} {what}; it takes: {', '.join(sorted(known))}")
    return given


def keeps_previous(given: Mapping[str, str], rotator: str) -> bool:
    """Read `keeps_previous=yes` (as without it) or `no`; raises `ConfigError`."""
    word = given.get("keeps_previous", "yes")
    if word not in ("yes", "no"):
        raise ConfigError(
            f"{rotator} keeps_previous is yes or no: does the source accept the previous value until it is retired?"
        )
    return word == "yes"


def password_field(data: Mapping[str, Any]) -> str:
    """Return the field that holds the value to be rotated: `password` of several fields, else `value`."""
    return "password" if "password" in data else "value"
