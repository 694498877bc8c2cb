"""A rotator whose every first answer is lost, after the step was done: each step is asked again."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError, SourceRefusedError


class Twice:
    """`lose()` makes the source lose its next answer."""

    def __init__(self, rotator, lose):
        self._rotator, self._lose = rotator, lose

    def __getattr__(self, name):
        found = getattr(self._rotator, name)
        if name not in ("create", "set", "test", "retire", "discard"):
            return found

        def call(*arguments):
            self._lose()
            with pytest.raises(RotationError) as caught:
                found(*arguments)
            assert not isinstance(caught.value, SourceRefusedError), "it was done, and is said not to have been"
            return found(*arguments)

        return call
