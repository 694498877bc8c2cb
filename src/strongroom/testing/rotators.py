"""The conformance suite for rotators, and a clock that a test sets.

class TestMyRotator(RotatorSuite):
    @pytest.fixture
    def rotator(self): return MyRotator(...)

    @pytest.fixture
    def current(self): return {"value": "what the source accepts at first"}

    def accepts(self, data): return True when the source accepts these fields

Further hooks, such as `refusing` and `session`, are in `strongroom.testing.rotator_case`; a rule that needs one is
skipped without it. The steps are asked one by one here, what a rotator may have besides in
`strongroom.testing.rotator_members`, and whole rotations in `strongroom.testing.rotations`. There, and wherever you
rotate in tests of your own, `secrets.rotation.with_clock(VirtualClock())` lets a grace time pass at once.
"""

from __future__ import annotations

import pytest

from strongroom.protocols import Rotator
from strongroom.testing.clock import VirtualClock as VirtualClock
from strongroom.testing.rotations import WholeRotations
from strongroom.testing.rotator_case import Fields, created, look, text_field
from strongroom.testing.rotator_members import RotatorMembers


class RotatorSuite(RotatorMembers, WholeRotations):
    """What holds for every rotator; a subclass has the fixtures `rotator` and `current`, and says what is accepted."""

    def test_create_touches_nothing(self, rotator: Rotator, current: Fields) -> None:
        """What it returns is new each time, keeps the other fields, and is not accepted yet."""
        before = dict(current)
        pending = created(rotator, current)
        assert dict(current) == before
        assert set(pending) == set(current)
        assert pending != current
        assert created(rotator, current) != pending
        assert self.accepts(current)
        assert not self.accepts(pending)

    def test_a_look_changes_nothing(self, rotator: Rotator, current: Fields) -> None:
        """It finds the current value accepted, and what it tries is undone."""
        look(rotator, current)
        look(rotator, current)
        assert self.accepts(current)
        assert not self.accepts(created(rotator, current))

    def test_a_look_finds_a_value_that_is_refused(self, rotator: Rotator, current: Fields) -> None:
        """Or a rotation would begin that gives the source a value back which it never had."""
        with pytest.raises(Exception):  # noqa: B017, PT011
            look(rotator, created(rotator, current))
        assert self.accepts(current)

    def test_the_previous_value_is_kept_as_promised(self, rotator: Rotator, current: Fields) -> None:
        """`keeps_previous` says whether the source accepts it until it is retired."""
        pending = created(rotator, current)
        rotator.set(pending, current)
        assert self.accepts(pending)
        assert self.accepts(current) == getattr(rotator, "keeps_previous", True)
        rotator.retire(current, pending)
        assert self.accepts(pending)
        assert not self.accepts(current)

    @pytest.mark.parametrize("change", ["shorter", "longer", "another case"])
    def test_a_value_that_is_nearly_the_one_that_was_set_fails_its_test(
        self, rotator: Rotator, current: Fields, change: str
    ) -> None:
        """A source that cuts or normalises values would give them to others too; `test` is to find it."""
        pending = created(rotator, current)
        rotator.set(pending, current)
        field = text_field(pending)
        text = pending[field]
        nearly = {"shorter": text[:-1], "longer": text + "x", "another case": text.swapcase()}[change]
        if nearly == text:
            pytest.skip("it has no letters")
        with pytest.raises(Exception):  # noqa: B017, PT011
            rotator.test({**pending, field: nearly})

    def test_a_value_that_was_not_set_fails_its_test(self, rotator: Rotator, current: Fields) -> None:
        """Or a rotation would promote a value that nobody accepts."""
        with pytest.raises(Exception):  # noqa: B017, PT011
            rotator.test(created(rotator, current))

    def test_what_was_set_is_accepted(self, rotator: Rotator, current: Fields) -> None:
        """And passes its test."""
        pending = created(rotator, current)
        rotator.set(pending, current)
        rotator.test(pending)
        assert self.accepts(pending)

    def test_every_step_may_be_repeated(self, rotator: Rotator, current: Fields) -> None:
        """After a crash nobody knows whether the last one was done."""
        pending = created(rotator, current)
        for _ in range(3):
            rotator.set(pending, current)
        for _ in range(2):
            rotator.test(pending)
        for _ in range(3):
            rotator.retire(current, pending)
        rotator.test(pending)
        assert self.accepts(pending)
        assert not self.accepts(current)

    def test_a_rotation_is_undone_by_the_same_steps(self, rotator: Rotator, current: Fields) -> None:
        """Whether the source had taken the pending value, or not, or some of it twice."""
        pending = created(rotator, current)
        for taken in (False, True, True):
            if taken:
                rotator.set(pending, current)
            rotator.set(current, pending)
            rotator.test(current)
            rotator.retire(pending, current)
            assert self.accepts(current)
            assert not self.accepts(pending)

    def test_rotations_follow_each_other(self, rotator: Rotator, current: Fields) -> None:
        """Each accepts the newest value and refuses the one before."""
        for _ in range(4):
            pending = created(rotator, current)
            rotator.set(pending, current)
            rotator.test(pending)
            rotator.retire(current, pending)
            assert self.accepts(pending)
            assert not self.accepts(current)
            current = pending
