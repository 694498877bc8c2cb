"""The model of rotation for longer than the suite has time for: 40,000 sequences of 40 events each."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from rotation.model.rules import Rotations

from . import LONG

LENGTH = settings(
    max_examples=2_500, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)  # fmt: skip


@pytest.mark.skipif(not LONG, reason="rotation/test_model.py is the short form")
@pytest.mark.parametrize("part", range(16))
def test_the_current_value_is_accepted_or_the_status_says_what_mends_it(part: int) -> None:
    run_state_machine_as_test(Rotations, settings=LENGTH)
