"""Open sessions of a previous value are counted, and ended after its retirement where the rotator is to."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.protocols import Sessions
from strongroom.rotation.consumers import Consumer, consumer_key, seal_consumer
from strongroom.rotation.owner import here
from strongroom.rotation.rotation import Rotation

from .source import Source


class Server(Source):
    """A source with sessions: the value that each was opened with, and when."""

    keeps_previous = True
    terminates = True

    def __init__(self, path, clock):
        super().__init__(path, "alternating")
        self.clock = clock
        self.opened: list[tuple[str, float]] = []
        self.ages: list[float] = []

    def open(self, value):
        assert value in self.accepted()
        self.opened.append((value, self.clock.now()))

    def sessions(self, current, age):
        self.ages.append(age)
        old = [since for _, since in self.opened if self.clock.now() - since > age]
        return [Sessions("app", len(old), self.clock.now() - min(old, default=self.clock.now()))]

    def end_sessions(self, current, age):
        self.calls.append("end_sessions")
        assert current["value"] in self.accepted()
        before = len(self.opened)
        self.opened = [(value, since) for value, since in self.opened if self.clock.now() - since <= age]
        return before - len(self.opened)


@pytest.fixture
def source(tmp_path, clock):
    source = Server(tmp_path / "source", clock)
    source.accept("first")
    return source


@pytest.fixture
def rotation(secrets, source, clock):
    rotation = Rotation(secrets._access, lambda url, read: source, 10, clock=clock)
    rotation.attach("A", "source:")
    return rotation


def rotate(rotation, source, clock):
    """Open a session with the previous value and one with the new one, and let the grace time end."""
    source.open("first")
    clock.time += 86400 * 3
    rotation.rotate("A", wait=0)
    clock.time += 10
    source.open(source.accepted()[-1])
    clock.time += 3600


def test_sessions_of_a_previous_value_are_counted(rotation, source, clock, events, secrets):
    assert rotation.sessions("A") == []
    rotate(rotation, source, clock)
    assert rotation.sessions("A") == [Sessions("app", 1, 86400 * 3 + 3610)]
    assert source.ages[-1] == pytest.approx(3610, abs=0.2)
    assert len(source.opened) == 2
    assert ("ROTATE", "A", "ok", None, None) in events(secrets)


def test_they_end_after_the_retirement_and_those_of_the_new_value_do_not(rotation, source, clock, secrets):
    rotate(rotation, source, clock)
    rotation.resume("A")
    assert source.calls[-2:] == ["retire", "end_sessions"]
    assert [value for value, _ in source.opened] == [secrets.get_secret("A")]
    assert rotation.sessions("A") == []
    assert rotation.status("A")[0].advice is None


def test_a_rotator_that_does_not_end_them_leaves_them(rotation, source, clock):
    source.terminates = False
    rotate(rotation, source, clock)
    rotation.resume("A")
    assert "end_sessions" not in source.calls
    assert [each.open for each in rotation.sessions("A")] == [1]


@pytest.mark.parametrize("error", [ConnectionError("secret text"), SourceRefusedError("no right to end sessions")])
def test_a_failure_to_end_them_is_said_and_is_no_failure_of_the_rotation(
    rotation, source, clock, secrets, events, error
):
    def fail(*_):
        raise error

    source.end_sessions = fail
    rotate(rotation, source, clock)
    made = rotation.resume("A")
    status = rotation.status("A")[0]
    assert (made.version, status.step) == (2, "idle")
    assert source.accepted() == [secrets.get_secret("A")]
    assert (status.advice or "").startswith("open sessions of the previous value were not ended: ")
    assert "End them there; `strongroom rotate check A`" in status.advice
    assert "secret text" not in status.advice
    assert ("ROTATE", "A", "failed", RotationError.code, None) in events(secrets)
    rotation.check("A")
    assert rotation.status("A")[0].advice is None


@pytest.mark.parametrize("answer", [None, 7, [7], [("app", "many", 1)], [("app",)]])
def test_nonsense_instead_of_sessions_is_an_error_of_the_rotator(rotation, source, answer):
    source.sessions = lambda current, age: answer
    with pytest.raises(RotationError, match="something else than Sessions"):
        rotation.sessions("A")


def test_a_source_that_cannot_be_asked_is_an_error_on_record(rotation, source, secrets, events):
    def fail(*_):
        raise ConnectionError("secret text")

    source.sessions = fail
    with pytest.raises(RotationError, match="raised ConnectionError"):
        rotation.sessions("A")
    assert ("ROTATE", "A", "failed", RotationError.code, None) in events(secrets)


def test_a_rotator_that_knows_of_no_sessions_has_none(rotation, source):
    source.sessions = None
    assert rotation.sessions("A") == []


def test_a_session_that_a_consumer_opened_just_after_the_promotion_is_spared(rotation, source, clock, secrets):
    """Though the source is asked a moment after the age was computed."""
    rotation.rotate("A", wait=0)
    source.open(secrets.get_secret("A"))
    end = source.end_sessions

    def slow(current, age):
        clock.time += 0.05
        return end(current, age)

    source.end_sessions = slow
    rotation.retire("A", force=True)
    assert len(source.opened) == 1


@pytest.mark.parametrize("how", ["settled", "too late", "explicitly"])
def test_live_consumers_have_time_to_switch_before_their_sessions_end(rotation, source, clock, secrets, how):
    """Also where the source refuses the previous value at once, so that nothing else is waited for."""
    source.keeps_previous = False
    report(secrets, 1)
    clock.time += 10
    rotation.rotate("A", wait=0)
    assert "end_sessions" not in source.calls
    assert rotation.status("A")[0].step == "promoted"
    if how == "settled":
        report(secrets, 2)
        clock.time += 1
        assert rotation.settle(["A"]) == {}
    elif how == "too late":
        clock.time += 6
        rotation.resume("A", wait=0)
    else:
        rotation.retire("A")
    assert "end_sessions" in source.calls
    assert rotation.status("A")[0].step == "idle"


def report(secrets, version):
    """Let this process say that it holds a version."""
    engine = secrets._access.engine
    consumer = Consumer("A", "0" * 16, "api", here(), version, 0.0, 0.0)
    with engine.view() as (_, unlocked):
        engine.store.reports.put(consumer_key("A", "0" * 16), seal_consumer(unlocked.records, consumer))
