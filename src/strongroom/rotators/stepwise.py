"""The steps of a rotator that tells each of them to somebody else in one JSON object.

Its fields are `request` (the id of this request), `rotation` (the id of the rotation, "" when there is none), `name`
(of the secret), `step`, and the mappings that the step has: `current`, `pending`, `previous`, `created`. A repeat of
`create` in one rotation has the same `request`, so that it can be answered with the same value. Each other call has
one of its own: `set` may be asked for one value, for another one and for the first again, and all three must be done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from strongroom.errors import RotationError, SourceRefusedError

Fields = Mapping[str, Any]
MOST = 1 << 20
"""Bytes of an answer that are read."""
GONE = "gone"
UNKNOWN = "unknown"
"""What an answer may say that some steps take for a yes: there is nothing left to do."""


class Stepwise:
    """A rotator whose subclass has `_tell` and says who is told."""

    _no_fields = "{} answered create with no JSON object of fields"

    def __init__(self, who: str, *, keeps: bool) -> None:
        self.keeps_previous = keeps
        self._who = who
        self._name = ""
        self._rotation = ""

    def about(self, name: str, rotation: str) -> None:
        """Take the secret's name and the id of the rotation; "" when none is under way."""
        self._name = name
        self._rotation = rotation

    def create(self, current: Fields) -> Fields:
        """Return the fields that were answered."""
        answer = None
        with suppress(ValueError, RecursionError):
            answer = json.loads(self._tell("create", {"current": current}))
        # Raised outside the handler: the parser's exception holds the document.
        if not isinstance(answer, dict):
            raise RotationError(self._no_fields.format(self._who))
        return answer

    def discard(self, created: Fields, current: Fields) -> None:
        """Tell `discard`; who does not know that step has made nothing in `create`."""
        self._tell("discard", {"created": created, "current": current}, well={GONE, UNKNOWN})

    def set(self, pending: Fields, current: Fields) -> None:
        """Tell `set`."""
        self._tell("set", {"pending": pending, "current": current})

    def test(self, pending: Fields) -> None:
        """Tell `test`."""
        self._tell("test", {"pending": pending})

    def retire(self, previous: Fields, current: Fields) -> None:
        """Tell `retire`."""
        self._tell("retire", {"previous": previous, "current": current}, well={GONE})

    def notify(self, event: str, about: Fields) -> None:
        """Tell an event of a rotation, for a hook."""
        self._tell(event, about)

    def _tell(self, step: str, data: Mapping[str, Any], well: Collection[str] = ()) -> bytes:
        """Return the answer; raises `RotationError` unless it is a yes or one of `well`."""
        raise NotImplementedError

    def _document(self, step: str, data: Mapping[str, Fields]) -> tuple[str, bytes]:
        """Return the id of a request and its JSON; raises `SourceRefusedError` for what JSON does not know."""
        parts = [self._rotation, step if self._rotation else ""]
        if not self._rotation or step != "create":
            parts.append(os.urandom(8).hex())
        request = "-".join(part for part in parts if part)
        about = {"request": request, "rotation": self._rotation, "name": self._name, "step": step}
        try:
            return request, json.dumps({**about, **data}).encode()
        except TypeError:
            raise SourceRefusedError("a value of bytes cannot be sent as JSON, and nothing was sent") from None
