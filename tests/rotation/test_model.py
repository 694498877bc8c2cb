"""Whatever an operator, a source, programs and kills do in any order: see `model.rules`. Longer in the campaign."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from .model.rules import Rotations

TestModel = Rotations.TestCase
TestModel.settings = settings(
    max_examples=80, stateful_step_count=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
)  # fmt: skip
