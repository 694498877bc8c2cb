"""An operator, a source and time, in any order: the current value is accepted, or the status says how to mend that.

And who holds a previous value within its grace time is not refused without a command that says so.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import strongroom
from strongroom.errors import SourceRefusedError, StrongroomError
from strongroom.records.data import decode_data
from strongroom.rotation.rotation import Rotation
from strongroom.rotation.state import load
from strongroom.testing.rotators import VirtualClock

FAULTS = [*["none"] * 9, "refuses set", "fails before set", "fails after set", "fails before test",
          "fails before retire", "fails after retire", "dies before set", "dies after set",
          "dies before test"]  # fmt: skip


class Source:
    """A source in memory; `fault` strikes once in an operation, and after `dies` it answers nothing more in that."""

    def __init__(self, keeps_previous: bool) -> None:
        self.keeps_previous = keeps_previous
        self.accepted = {"first"}
        self.fault = "none"
        self.is_dead = False

    def check(self, current):
        if current["value"] not in self.accepted:
            raise SourceRefusedError("the source refuses the current value")

    def create(self, current):
        return {"value": os.urandom(6).hex()}

    def set(self, pending, current):
        if self.fault == "refuses set":
            self.fault = "none"
            raise SourceRefusedError("the source refuses the new value")
        with self._struck("set"):
            kept = {current["value"]} & self.accepted if self.keeps_previous and current else set()
            self.accepted = self.accepted | kept if self.keeps_previous else set()
            self.accepted |= {pending["value"]}

    def test(self, pending):
        with self._struck("test"):
            if pending["value"] not in self.accepted:
                raise ValueError

    def retire(self, previous, current):
        with self._struck("retire"):
            self.accepted -= {previous["value"]}

    def _struck(self, step):
        source = self

        class Strike:
            def __enter__(self):
                how, _, when = source.fault.partition(" ")
                self.how, self.when = (how, when) if when.endswith(step) else ("", "")
                if source.is_dead or self.when == f"before {step}":
                    source.strike(self.how)

            def __exit__(self, *raised):
                if self.when == f"after {step}" and raised[0] is None:
                    source.strike(self.how)

        return Strike()

    def strike(self, how):
        self.fault = "none"
        self.is_dead = self.is_dead or how == "dies"
        raise ConnectionError("no answer")


class Model(RuleBasedStateMachine):
    """`outside` is True once something happened to the source that nobody could tell the store."""

    @initialize(keeps_previous=st.booleans())
    def begin(self, keeps_previous):
        self.key = os.environ.get("SECRETS_MASTER_KEY")
        os.environ["SECRETS_MASTER_KEY"] = strongroom.generate_master_key()
        self.secrets = strongroom.init("memory:", "env:SECRETS_MASTER_KEY", "memory:")
        self.source, self.clock = Source(keeps_previous), VirtualClock()
        rotation = Rotation(self.secrets._access, lambda url, read: self.source, 10, clock=self.clock)
        self.secrets._rotation = rotation
        self.secrets.set_secret("A", "first")
        rotation.attach("A", "source:", grace=100)
        self.outside = False

    def teardown(self):
        if hasattr(self, "secrets"):
            self.secrets.close()
            if self.key is None:
                del os.environ["SECRETS_MASTER_KEY"]
            else:
                os.environ["SECRETS_MASTER_KEY"] = self.key

    def status(self):
        return self.secrets.rotation.status("A")[0]

    def do(self, work, fault="none"):
        current = self.secrets.get_secret("A")
        was_accepted = current in self.source.accepted
        self.source.fault = fault
        with suppress(StrongroomError):
            work()
        self.source.fault, self.source.is_dead = "none", False
        # No command makes the source refuse a value that stays current, unless it stopped in the middle and says so.
        if was_accepted and self.secrets.get_secret("A") == current and not self.outside:
            assert current in self.source.accepted or self.status().step in ("pending", "set", "tested")

    # The operator

    @rule(fault=st.sampled_from(FAULTS))
    def rotate(self, fault):
        self.do(lambda: self.secrets.rotation.rotate("A", wait=0), fault)

    @rule(fault=st.sampled_from(FAULTS))
    def resume(self, fault):
        self.do(lambda: self.secrets.rotation.resume("A", wait=0), fault)

    @rule(fault=st.sampled_from(FAULTS))
    def abort(self, fault):
        self.do(lambda: self.secrets.rotation.abort("A"), fault)

    @rule(fault=st.sampled_from(FAULTS))
    def retire(self, fault):
        self.do(lambda: self.secrets.rotation.retire("A"), fault)

    @rule(fault=st.sampled_from(FAULTS), back=st.integers(1, 3))
    def roll_back(self, fault, back):
        version = max(1, self.status().version - back)
        self.do(lambda: self.secrets.rollback("A", version), fault)

    @rule(fault=st.sampled_from(FAULTS))
    def set_the_previous_value(self, fault):
        with self.secrets._access.engine.view() as (view, unlocked):
            state = load(view, unlocked.records, "A")
        if state.step == "promoted" and state.data:
            self.do(lambda: self.secrets.set_secret("A", decode_data(state.data)["value"]), fault)

    @rule()
    def set_another_value(self):
        self.do(lambda: self.secrets.set_secret("A", os.urandom(6).hex()))

    @rule()
    def check(self):
        self.do(lambda: self.secrets.rotation.check("A"))

    @rule(fault=st.sampled_from(FAULTS))
    def rotate_by_force(self, fault):
        self.do(lambda: self.secrets.rotation.rotate("A", force=True, wait=0), fault)

    @rule()
    def attach_again(self):
        self.do(lambda: self.secrets.rotation.attach("A", "source:", grace=100))

    @rule()
    def destroy_the_previous_value(self):
        status = self.status()
        if status.before:
            self.do(lambda: self.secrets.destroy_secret("A", [status.before]))

    @rule(seconds=st.sampled_from([50, 101, 101]))
    def time_passes(self, seconds):
        self.clock.time += seconds

    # The source

    @rule()
    @precondition(lambda self: not self.outside)
    def the_source_forgets(self):
        self.source.accepted = {"first"}
        self.outside = True

    @rule()
    @precondition(lambda self: self.outside)
    def an_operator_looks_and_mends(self):
        """`resume` where something is under way, else `check`, and `rotate --force` for what it finds."""
        if self.status().step != "idle":
            self.do(lambda: self.secrets.rotation.resume("A", wait=0))
        with suppress(StrongroomError):
            self.secrets.rotation.check("A")
        if self.status().step == "idle" and self.status().advice:
            self.do(lambda: self.secrets.rotation.rotate("A", force=True, wait=0))
        self.outside = self.status().step != "idle"

    @invariant()
    def the_current_value_is_accepted_or_the_status_says_what_to_do(self):
        if not hasattr(self, "secrets") or self.outside:
            return
        advice = self.status().advice
        accepted = self.secrets.get_secret("A") in self.source.accepted
        assert accepted or (advice and "`strongroom rot" in advice)

    @invariant()
    def nobody_is_refused_within_the_grace_time(self):
        if not hasattr(self, "secrets") or self.outside:
            return
        status = self.status()
        if status.step == "promoted" and status.keeps_previous and self.clock.now() < status.grace_ends:
            with self.secrets._access.engine.view() as (view, unlocked):
                state = load(view, unlocked.records, "A")
            if state.data and not status.error:
                assert decode_data(state.data)["value"] in self.source.accepted | self.given_up()

    def given_up(self):
        """A rotation by force began with a value that the source refused, and status said so."""
        return {self.secrets.get_secret("A", version=self.status().before)} - {None} if self.forced() else set()

    def forced(self):
        events = self.secrets.get_audit_logs(None, name="A", action="ROTATE")
        return any(event.get("stage") == "checked" and event["outcome"] == "failed" for event in events)


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=100, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("keeps_previous", [True, False])
def test_the_source_of_the_model_is_a_source(keeps_previous):
    source = Source(keeps_previous)
    source.set({"value": "new"}, {"value": "first"})
    assert source.accepted == ({"first", "new"} if keeps_previous else {"new"})
