"""Whole rotations with a rotator, on a store in memory and by a virtual clock: part of its conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import strongroom
from strongroom import RotationError, SecretsManager, SourceRefusedError
from strongroom.protocols import Rotator
from strongroom.rotation.rotation import Rotation
from strongroom.testing.clock import VirtualClock
from strongroom.testing.rotator_case import NAME, Fields, RotatorCase, created


class Faulty:
    """A rotator with one step that raises, once, before or after it is done."""

    def __init__(self, rotator: Rotator, step: str, when: str) -> None:
        self._rotator = rotator
        self._step = step
        self._when = when

    def __getattr__(self, name: str) -> Any:
        if name == "check":
            # Asked before a rotation begins, where the steps that fail are those of the rotation.
            return getattr(self._rotator, "check", self._rotator.test)
        method = getattr(self._rotator, name)
        if name != self._step:
            return method

        def fail(*arguments: Fields) -> None:
            self._step = ""
            if self._when == "after":
                method(*arguments)
            raise ConnectionError("no answer")

        return fail


class WholeRotations(RotatorCase):
    """What holds for whole rotations; a subclass has the fixtures `rotator` and `current`, and `accepts`."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        """What the rotations go by."""
        return VirtualClock()

    @pytest.fixture
    def secrets(self, current: Fields, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
        """A store in memory with one secret, which the source accepts."""
        with monkeypatch.context() as patch:
            patch.setenv("SECRETS_MASTER_KEY", strongroom.generate_master_key())
            manager = strongroom.init("memory:", "env:SECRETS_MASTER_KEY", "memory:")
        with manager:
            manager.set_secret(NAME, current["value"] if set(current) == {"value"} else dict(current))
            yield manager

    def test_a_rotation_ends_with_the_new_value_alone(
        self, rotator: Rotator, current: Fields, secrets: SecretsManager, clock: VirtualClock
    ) -> None:
        """The previous one is retired when its grace time has ended."""
        rotation = secrets.rotation.with_clock(clock)
        rotation.rotate(NAME, rotator, wait=0)
        assert self.accepts(secrets.get_data(NAME) or {})
        (status,) = rotation.status(NAME)
        if status.step == "promoted":
            clock.time = status.grace_ends or 0
            rotation.resume(NAME, rotator)
        assert rotation.status(NAME)[0].step == "idle"
        assert self.accepts(secrets.get_data(NAME) or {})
        assert not self.accepts(current)

    @pytest.mark.parametrize("how", ["resume", "abort"])
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("step", ["set", "test"])
    def test_a_step_that_fails_leaves_the_current_value_working(
        self, rotator: Rotator, current: Fields, secrets: SecretsManager, clock: VirtualClock, step: str, when: str,
        how: str,
    ) -> None:  # fmt: skip
        """Whether it was done or not; afterwards the rotation is resumed or aborted, and store and source agree."""
        rotation = secrets.rotation.with_clock(clock)
        with pytest.raises(RotationError):
            rotation.rotate(NAME, Faulty(rotator, step, when))
        assert secrets.get_data(NAME) == current
        assert self.accepts(current)
        if how == "abort":
            rotation.abort(NAME, rotator)
            assert secrets.get_data(NAME) == current
        else:
            rotation.resume(NAME, rotator, wait=0)
            assert secrets.get_data(NAME) != current
        assert self.accepts(secrets.get_data(NAME) or {})

    def test_a_rotation_that_its_source_refuses_has_not_happened(
        self, rotator: Rotator, current: Fields, secrets: SecretsManager, clock: VirtualClock
    ) -> None:
        """Nothing is put back, and nothing is left to resume; the next one goes well."""
        rotation = secrets.rotation.with_clock(clock)
        with self.refusing(), pytest.raises(SourceRefusedError, match="nothing was changed"):
            rotation.rotate(NAME, rotator, wait=0)
        assert rotation.status(NAME)[0].step == "idle"
        assert secrets.get_data(NAME) == current
        assert self.accepts(current)
        rotation.rotate(NAME, rotator, wait=0)
        assert self.accepts(secrets.get_data(NAME) or {})

    def test_a_value_that_its_source_refuses_is_found_before_a_rotation(
        self, rotator: Rotator, current: Fields, secrets: SecretsManager, clock: VirtualClock
    ) -> None:
        """And the value that the source has stays as it is."""
        rotation = secrets.rotation.with_clock(clock)
        wrong = dict(created(rotator, current))
        secrets.set_secret(NAME, wrong["value"] if set(wrong) == {"value"} else wrong)
        with pytest.raises(RotationError, match="nothing was changed"):
            rotation.rotate(NAME, rotator, wait=0)
        assert self.accepts(current)
        assert not self.accepts(wrong)

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_retirement_that_fails_is_resumed(
        self, rotator: Rotator, current: Fields, secrets: SecretsManager, clock: VirtualClock, when: str
    ) -> None:
        """The new value works meanwhile."""
        rotation, faulty = secrets.rotation.with_clock(clock), Faulty(rotator, "retire", when)
        with pytest.raises(RotationError):
            _rotate_and_retire(rotation, faulty, clock)
        assert self.accepts(secrets.get_data(NAME) or {})
        rotation.resume(NAME, rotator)
        assert self.accepts(secrets.get_data(NAME) or {})
        assert not self.accepts(current)


def _rotate_and_retire(rotation: Rotation, rotator: Any, clock: VirtualClock) -> None:
    rotation.rotate(NAME, rotator, wait=0)
    clock.time = rotation.status(NAME)[0].grace_ends or 0
    rotation.resume(NAME, rotator)
