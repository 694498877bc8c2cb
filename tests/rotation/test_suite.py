"""The shipped suite holds a rotator of a user's own to its rules: a good one passes, and each mistake is found."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager

import pytest

from strongroom.errors import SourceRefusedError
from strongroom.protocols import Sessions
from strongroom.testing.rotators import RotatorSuite


class Api:
    """A source in memory, with everything that the suite has rules for."""

    def __init__(self):
        self.keys = {"first"}
        self.made: dict[str, str] = {}
        self.sessions: list[tuple[str, float]] = []
        self.refuses = False
        self.answers = threading.Event()
        self.answers.set()


class Vendor:
    """A rotator that does all that a rotator may do."""

    keeps_previous = True
    terminates = True

    def __init__(self, api):
        self.api = api
        self.rotation = ""
        self.stops = 0

    def about(self, name, rotation):
        self.rotation = rotation

    def create(self, current):
        return {"value": self.api.made.setdefault(self.rotation, "k" + os.urandom(8).hex())}

    def discard(self, created, current):
        self.api.made = {rotation_id: key for rotation_id, key in self.api.made.items() if key != created["value"]}

    def check(self, current):
        self.test(current)

    def set(self, pending, current):
        if self.api.refuses:
            raise SourceRefusedError("not now")
        self.api.keys |= {pending["value"], current["value"]}

    def test(self, pending):
        stops = self.stops
        while not self.api.answers.wait(0.01):
            if self.stops > stops:
                raise RuntimeError("stopped")
        if pending["value"] not in self.api.keys:
            raise SourceRefusedError("it refuses the key")

    def retire(self, previous, current):
        self.api.keys -= {previous["value"]}
        self.discard(previous, current)

    def stop(self):
        self.stops += 1

    def sessions(self, current, age):
        old = [since for _, since in self.api.sessions if time.monotonic() - since > age]
        now = time.monotonic()
        return [Sessions("vendor", len(old), now - min(old, default=now))]

    def end_sessions(self, current, age):
        before = len(self.api.sessions)
        self.api.sessions = [each for each in self.api.sessions if time.monotonic() - each[1] <= age]
        return before - len(self.api.sessions)


class Suite(RotatorSuite):
    made = Vendor

    @pytest.fixture
    def rotator(self):
        return self.begin()

    def begin(self):
        self.api = Api()
        return self.made(self.api)

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return data["value"] in self.api.keys

    @contextmanager
    def refusing(self):
        self.api.refuses = True
        yield
        self.api.refuses = False

    def forget(self, data):
        self.api.keys -= {data["value"]}

    @contextmanager
    def session(self, data):
        assert self.accepts(data)
        self.api.sessions.append((data["value"], time.monotonic()))
        yield

    @contextmanager
    def hanging(self):
        self.api.answers.clear()
        yield
        self.api.answers.set()

    def keys_made(self):
        return len(self.api.made)


class TestVendor(Suite):
    """It passes every rule, and none is skipped."""


class OneAtATime(Vendor):
    keeps_previous = False

    def set(self, pending, current):
        super().set(pending, current)
        self.api.keys = {pending["value"]}


class TestOneAtATime(Suite):
    made = OneAtATime


class OfFourMethods:
    """No optional member, and an object that keeps nothing of its own."""

    def __init__(self, api):
        self.api = api

    def create(self, current):
        return {"value": "k" + os.urandom(8).hex()}

    def set(self, pending, current):
        self.api.keys |= {pending["value"], current["value"]}

    def test(self, pending):
        assert pending["value"] in self.api.keys

    def retire(self, previous, current):
        self.api.keys -= {previous["value"]}


class TestOfFourMethods(RotatorSuite):
    """What it does not have is skipped."""

    @pytest.fixture
    def rotator(self):
        self.api = Api()
        return OfFourMethods(self.api)

    @pytest.fixture
    def current(self):
        return {"value": "first"}

    def accepts(self, data):
        return data["value"] in self.api.keys


# Each mistake, by the rule that finds it


class ForgetsThePrevious(OneAtATime):
    keeps_previous = True


class KeepsThePrevious(Vendor):
    keeps_previous = False


class RefusesInOtherWords(Vendor):
    def set(self, pending, current):
        if self.api.refuses:
            raise ConnectionError
        super().set(pending, current)


class RefusesTooLate(Vendor):
    def set(self, pending, current):
        self.api.keys |= {pending["value"]}
        super().set(pending, current)


class RetiresOnce(Vendor):
    def retire(self, previous, current):
        self.api.keys.remove(previous["value"])


class RetiresAll(Vendor):
    def retire(self, previous, current):
        self.api.keys.clear()


class LooksAndChanges(Vendor):
    def check(self, current):
        super().check(current)
        self.set({"value": "another"}, current)
        self.api.keys.clear()


class LooksAway(Vendor):
    def check(self, current):
        pass


class PassesAnything(Vendor):
    def test(self, pending):
        pass


class LooksAtTheBegin(Vendor):
    def test(self, pending):
        if not any(key.startswith(pending["value"][:5]) for key in self.api.keys):
            raise ValueError


class MakesAnotherKey(Vendor):
    def create(self, current):
        self.rotation += os.urandom(2).hex()
        return super().create(current)


class MakesTheSameKey(Vendor):
    def about(self, name, rotation):
        self.rotation = name


class DiscardsOnce(Vendor):
    def discard(self, created, current):
        (rotation_id,) = [rotation_id for rotation_id, key in self.api.made.items() if key == created["value"]]
        del self.api.made[rotation_id]


class DiscardsNothing(Vendor):
    def discard(self, created, current):
        pass


class CountsAll(Vendor):
    def sessions(self, current, age):
        return super().sessions(current, -1)


class CountsNonsense(Vendor):
    def sessions(self, current, age):
        return [Sessions("vendor", -1, 0.0)]


class CountsNone(Vendor):
    def sessions(self, current, age):
        return []


class EndsAll(Vendor):
    def end_sessions(self, current, age):
        return super().end_sessions(current, -1)


class EndsNone(Vendor):
    def end_sessions(self, current, age):
        return 1


class StopsNothing(Vendor):
    def stop(self):
        pass


class StaysStopped(Vendor):
    is_stopped = False

    def test(self, pending):
        super().test(pending)
        if self.stops:
            raise RuntimeError


SESSIONS = "a_session_of_a_previous_value_is_counted_and_ended"
STOP = "a_step_that_hangs_is_stopped_and_the_next_one_is_done"
MISTAKES = [
    (ForgetsThePrevious, "the_previous_value_is_kept_as_promised"),
    (KeepsThePrevious, "the_previous_value_is_kept_as_promised"),
    (RefusesInOtherWords, "a_definite_no_changes_nothing_and_says_so"),
    (RefusesTooLate, "a_definite_no_changes_nothing_and_says_so"),
    (RetiresOnce, "what_is_gone_already_is_retired"),
    (RetiresOnce, "what_was_never_set_is_retired"),
    (RetiresAll, "what_is_gone_already_is_retired"),
    (RetiresAll, "what_was_never_set_is_retired"),
    (RetiresAll, "the_previous_value_is_kept_as_promised"),
    (LooksAndChanges, "a_look_changes_nothing"),
    (LooksAway, "a_look_finds_a_value_that_is_refused"),
    (PassesAnything, "a_value_that_was_not_set_fails_its_test"),
    (MakesAnotherKey, "create_makes_one_value_for_each_rotation"),
    (MakesTheSameKey, "create_makes_one_value_for_each_rotation"),
    (DiscardsOnce, "what_create_made_can_be_discarded"),
    (DiscardsNothing, "what_was_discarded_is_gone"),
    (CountsNonsense, "to_count_sessions_changes_nothing"),
    (CountsAll, SESSIONS),
    (CountsNone, SESSIONS),
    (EndsAll, SESSIONS),
    (EndsNone, SESSIONS),
    (StopsNothing, STOP),
    (StaysStopped, STOP),
]


@pytest.mark.parametrize(("made", "rule"), MISTAKES)
def test_a_mistake_is_found_by_its_rule(made, rule, monkeypatch):
    from strongroom.testing import rotator_members

    monkeypatch.setattr(rotator_members, "PATIENCE", 0.2)
    suite = Suite()
    suite.made = made
    with pytest.raises((Exception, pytest.fail.Exception)):
        getattr(suite, f"test_{rule}")(suite.begin(), {"value": "first"})


@pytest.mark.parametrize("change", ["shorter", "longer", "another case"])
def test_a_test_that_is_true_for_values_that_are_nearly_right_is_found(change):
    suite = Suite()
    suite.made = LooksAtTheBegin if change != "another case" else PassesAnything
    rotator = suite.begin()
    with pytest.raises(pytest.fail.Exception):
        suite.test_a_value_that_is_nearly_the_one_that_was_set_fails_its_test(rotator, {"value": "first"}, change)
