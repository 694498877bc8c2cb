"""What an author tells the conformance suite of a rotator's source, and how the suite asks the rotator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import pytest

from strongroom.protocols import Rotator

Fields = Mapping[str, Any]
NAME = "conformance"


class RotatorCase:
    """The hooks of the suite. Only `accepts` is needed; a rule whose hook is not overridden is skipped, and says so.

    A hook acts at the source itself, behind the rotator's back.
    """

    def accepts(self, data: Fields) -> bool:
        """Ask the source itself, not the rotator, whether it accepts these fields."""
        raise NotImplementedError

    def refusing(self) -> AbstractContextManager[Any]:
        """Let the source say no to `set` inside the `with` block, and change nothing."""
        return _not_overridden("refusing", "a definite no is a SourceRefusedError")

    def forget(self, data: Fields) -> None:
        """Remove at the source what these fields log in with: the key, or the account that is not current."""
        _not_overridden("forget", "what is gone already is retired")

    def session(self, data: Fields) -> AbstractContextManager[Any]:
        """Log in with these fields, and keep that session open inside the `with` block."""
        return _not_overridden("session", "sessions are counted and ended")

    def hanging(self) -> AbstractContextManager[Any]:
        """Let the source not answer inside the `with` block."""
        return _not_overridden("hanging", "stop() ends a step that is under way")

    def keys_made(self) -> int:
        """Return how many values `create` has made at the source that were not removed."""
        return _not_overridden("keys_made", "create() makes one value for each rotation")


def _not_overridden(hook: str, rule: str) -> NoReturn:
    pytest.skip(f"override {hook}() to show that {rule}")


def needs(rotator: Rotator, *members: str) -> None:
    """Skip a rule that is about optional members which a rotator does not have."""
    for member in members:
        if getattr(rotator, member, None) is None:
            pytest.skip(f"the rotator has no {member}")


def begin(rotator: Rotator, rotation_id: str | None = None) -> str:
    """Tell a rotator that a rotation begins, where it wants to know, and return its id."""
    rotation_id = os.urandom(8).hex() if rotation_id is None else rotation_id
    tell = getattr(rotator, "about", None)
    if tell is not None:
        tell(NAME, rotation_id)
    return rotation_id


def created(rotator: Rotator, current: Fields) -> Fields:
    """Return what the rotator makes for another rotation."""
    begin(rotator)
    return rotator.create(current)


def look(rotator: Rotator, current: Fields) -> None:
    """Ask whether a rotation would begin well."""
    begin(rotator, "")
    getattr(rotator, "check", rotator.test)(current)


def text_field(data: Fields) -> str:
    """Return the field that holds the value."""
    return next(field for field in ("password", "value", *data) if isinstance(data.get(field), str))
