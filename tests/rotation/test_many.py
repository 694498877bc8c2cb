"""Many secrets wait once for their consumers, not each in turn."""

from __future__ import annotations

import pytest

from strongroom.errors import ConflictError
from strongroom.rotation import waiting
from strongroom.rotation.consumers import Consumer, consumer_key, seal_consumer
from strongroom.rotation.owner import here
from strongroom.rotation.rotation import Rotation
from strongroom.rotation.waiting import POLL, SETTLE
from strongroom.testing.rotators import VirtualClock

from .source import Source

NAMES = [f"S{number}" for number in range(20)]


class Counting(VirtualClock):
    """Sums up what was slept."""

    slept = 0.0

    def sleep(self, seconds):
        self.slept += seconds
        super().sleep(seconds)


@pytest.fixture
def clock():
    return Counting()


@pytest.fixture
def sources(tmp_path):
    sources = {name: Source(tmp_path / name, "alternating") for name in NAMES}
    for source in sources.values():
        source.accept("first")
    return sources


@pytest.fixture
def rotation(make_manager, sources, clock):
    manager = make_manager()
    manager.set_secrets(dict.fromkeys(NAMES, "first"))
    rotation = Rotation(manager._access, lambda url, read: sources[url.removeprefix("source:")], 10, clock=clock)
    for name in NAMES:
        rotation.attach(name, f"source:{name}")
    return rotation


def report(rotation, name, version):
    """Let this process say that it holds a version."""
    engine = rotation._access.engine
    consumer = Consumer(name, "0" * 16, "api", here(), version, 0.0, 0.0)
    with engine.view() as (_, unlocked):
        engine.store.reports.put(consumer_key(name, "0" * 16), seal_consumer(unlocked.records, consumer))


def steps(rotation):
    return [status.step for status in rotation.status()]


def test_secrets_without_consumers_wait_together_for_no_longer_than_one(rotation, clock):
    for name in NAMES:
        rotation.rotate(name, wait=0)
    assert clock.slept == 0
    assert rotation.settle(NAMES) == {}
    assert clock.slept <= SETTLE + 2 * POLL
    assert steps(rotation) == ["promoted"] * 20


def test_a_previous_value_is_retired_as_soon_as_its_own_consumers_have_switched(rotation, sources, clock):
    for name in NAMES:
        rotation.rotate(name, wait=0)
    for name in NAMES[:5]:
        report(rotation, name, 2)
    report(rotation, NAMES[5], 1)
    assert rotation.settle(NAMES, wait=3) == {}
    assert clock.slept <= 3 + 2 * POLL
    assert steps(rotation).count("idle") == 5
    assert [len(sources[name].accepted()) for name in NAMES[:7]] == [1] * 5 + [2] * 2


def test_a_source_that_fails_does_not_keep_the_others_from_being_retired(rotation, sources):
    def fail(*_):
        raise ConnectionError

    for name in NAMES:
        rotation.rotate(name, wait=0)
        report(rotation, name, 2)
    sources[NAMES[3]].retire = fail
    failed = rotation.settle(NAMES)
    assert {name: type(error).__name__ for name, error in failed.items()} == {NAMES[3]: "RotationError"}
    assert steps(rotation).count("idle") == 19


def test_one_that_another_process_retires_meanwhile_is_no_failure(rotation, monkeypatch):
    for name in NAMES[:2]:
        rotation.rotate(name, wait=0)
        report(rotation, name, 2)
    verdict, other = waiting.Waiting.verdict, rotation.with_clock(rotation._clock)

    def behind(self, until):
        found = verdict(self, until)
        if found and other.status(NAMES[0])[0].step == "promoted":
            other.retire(NAMES[0])
        return found

    monkeypatch.setattr(waiting.Waiting, "verdict", behind)
    assert rotation.settle(NAMES[:2]) == {}
    with pytest.raises(ConflictError):
        rotation.retire(NAMES[0])
    assert steps(rotation)[:2] == ["idle", "idle"]


@pytest.mark.parametrize("step", ["idle", "pending"])
def test_what_is_not_promoted_is_not_waited_for(rotation, sources, clock, step):
    if step == "pending":
        source = sources[NAMES[0]]
        source.set = None
        with pytest.raises(Exception, match="raised TypeError"):
            rotation.rotate(NAMES[0])
    assert rotation.settle(NAMES) == {}
    assert clock.slept == 0
