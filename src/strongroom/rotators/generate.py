"""`generate:`: a value without a source, such as a signing key: it need only be new.

`generate:length=64&alphabet=hex` chooses the policy; alphabets are those of `strongroom set --alphabet`, and
`generate:alphabet=words&length=8` makes passphrases of eight words. A secret of several fields gets a new `password` or
`value`, or the fields that `field=NAME` names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strongroom.errors import RotationError
from strongroom.rotators.shape import is_url, with_password
from strongroom.rotators.values import Policy, options, password_field


class GenerateRotator:
    """Draws a new value; there is nobody to tell."""

    grace = 0.0

    def __init__(self, policy: Policy, field: str | None) -> None:
        self._policy = policy
        self._field = field

    def create(self, current: Mapping[str, Any]) -> dict[str, Any]:
        """Return `current` with a new value."""
        field = self._field or password_field(current)
        if field not in current:
            raise RotationError(f"the secret has no field {field!r}; name one with generate:field=NAME")
        value = self._policy.draw()
        if isinstance(current[field], bytes):
            return {**current, field: value.encode()}
        if self._field is None and is_url(current[field]):
            return with_password(current, value)
        return {**current, field: value}

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def test(self, pending: Mapping[str, Any]) -> None:
        """Nothing to do."""

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Nothing to do."""


def connect(rest: str, read: object = None) -> GenerateRotator:
    """Return the rotator; raises `ConfigError` for an unknown option or a policy that is too weak."""
    given = options(rest, {"length", "alphabet", "field"}, "generate:")
    return GenerateRotator(Policy.of(given), given.get("field"))
