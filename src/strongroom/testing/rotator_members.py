"""What holds for the optional members of a rotator, each where the rotator has it: part of the conformance suite."""

from __future__ import annotations

import threading
import time

import pytest

from strongroom.errors import SourceRefusedError
from strongroom.protocols import Rotator, Sessions
from strongroom.testing.rotator_case import Fields, RotatorCase, begin, created, look, needs

OLD = 1e9
"""Seconds that no session has been open."""
PATIENCE = 5.0
"""Seconds that a source, or a step that was told to stop, has to end something."""


class RotatorMembers(RotatorCase):
    """A subclass has the fixtures `rotator` and `current`, and overrides the hooks of `RotatorCase` that it can."""

    def test_a_definite_no_changes_nothing_and_says_so(self, rotator: Rotator, current: Fields) -> None:
        """By a `SourceRefusedError`, so that nobody puts something back; afterwards the same step is done."""
        pending = created(rotator, current)
        with self.refusing(), pytest.raises(SourceRefusedError):
            rotator.set(pending, current)
        assert self.accepts(current)
        assert not self.accepts(pending)
        rotator.set(pending, current)
        assert self.accepts(pending)

    def test_what_is_gone_already_is_retired(self, rotator: Rotator, current: Fields) -> None:
        """Twice, and the value that is current stays."""
        pending = created(rotator, current)
        rotator.set(pending, current)
        self.forget(current)
        for _ in range(2):
            rotator.retire(current, pending)
        rotator.test(pending)
        assert self.accepts(pending)

    def test_what_was_never_set_is_retired(self, rotator: Rotator, current: Fields) -> None:
        """A rotation that stopped early is undone although the source knows nothing of it."""
        pending = created(rotator, current)
        for _ in range(2):
            rotator.retire(pending, current)
        assert self.accepts(current)
        assert not self.accepts(pending)

    def test_to_be_told_of_a_rotation_touches_nothing(self, rotator: Rotator, current: Fields) -> None:
        """Again and again, and with no id for a look."""
        needs(rotator, "about")
        for rotation_id in ("", "0123456789abcdef", "0123456789abcdef", "fedcba9876543210"):
            begin(rotator, rotation_id)
        assert self.accepts(current)
        look(rotator, current)

    def test_create_makes_one_value_for_each_rotation(self, rotator: Rotator, current: Fields) -> None:
        """Asked twice with one id, it returns what it made; its answer may have been lost."""
        needs(rotator, "about")
        before = self.keys_made()
        rotation_id = begin(rotator)
        pending = rotator.create(current)
        assert self.keys_made() == before + 1
        begin(rotator, rotation_id)
        assert rotator.create(current) == pending
        assert self.keys_made() == before + 1
        assert created(rotator, current) != pending
        assert self.keys_made() == before + 2

    def test_what_create_made_can_be_discarded(self, rotator: Rotator, current: Fields) -> None:
        """Twice, and what another rotation makes is something else."""
        needs(rotator, "discard")
        pending = created(rotator, current)
        for _ in range(2):
            rotator.discard(pending, current)  # type: ignore[attr-defined]
        assert self.accepts(current)
        assert not self.accepts(pending)
        again = created(rotator, current)
        assert again != pending
        rotator.set(again, current)
        assert self.accepts(again)

    def test_what_was_discarded_is_gone(self, rotator: Rotator, current: Fields) -> None:
        """Or keys that nobody knows pile up at the source."""
        needs(rotator, "discard")
        before = self.keys_made()
        pending = created(rotator, current)
        rotator.discard(pending, current)  # type: ignore[attr-defined]
        assert self.keys_made() == before

    def test_to_count_sessions_changes_nothing(self, rotator: Rotator, current: Fields) -> None:
        """It returns account, number and age of each, and none that is older than any."""
        needs(rotator, "sessions")
        try:
            seen = _sessions(rotator, current, OLD) + _sessions(rotator, current, 0.0)
        except SourceRefusedError as error:
            pytest.skip(f"this account may not see sessions: {error}")
        for found in seen:
            assert isinstance(found.account, str)
            assert found.open >= 0
            assert found.oldest >= 0
        assert self.accepts(current)

    def test_a_session_of_a_previous_value_is_counted_and_ended(self, rotator: Rotator, current: Fields) -> None:
        """And a new one with the current value is neither."""
        needs(rotator, "sessions")
        with self.session(current):
            pending = created(rotator, current)
            rotator.set(pending, current)
            time.sleep(1.1)  # a server may tell whole seconds
            rotator.retire(current, pending)
            with self.session(pending):
                assert _open(rotator, pending, 0.9) == 1
                assert self.accepts(pending)
                if getattr(rotator, "end_sessions", None) is not None:
                    assert rotator.end_sessions(pending, 0.9) == 1  # type: ignore[attr-defined]
                    ends = time.monotonic() + PATIENCE
                    while _open(rotator, pending, 0.9) and time.monotonic() < ends:
                        time.sleep(0.05)
                    assert _open(rotator, pending, 0.9) == 0
                    assert _open(rotator, pending, -1.0) == 1

    def test_a_step_that_hangs_is_stopped_and_the_next_one_is_done(self, rotator: Rotator, current: Fields) -> None:
        """`stop` may be called when nothing is under way, too."""
        needs(rotator, "stop")
        begin(rotator)
        ended: list[BaseException | None] = []

        def work() -> None:
            try:
                rotator.test(current)
                ended.append(None)
            except BaseException as error:
                ended.append(error)

        with self.hanging():
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive(), "hanging() did not let the source hang"
            rotator.stop()  # type: ignore[attr-defined]
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert isinstance(ended[0], Exception)
        rotator.stop()  # type: ignore[attr-defined]
        rotator.test(current)


def _sessions(rotator: Rotator, current: Fields, age: float) -> list[Sessions]:
    return list(rotator.sessions(current, age))  # type: ignore[attr-defined]


def _open(rotator: Rotator, current: Fields, age: float) -> int:
    return sum(found.open for found in _sessions(rotator, current, age))
