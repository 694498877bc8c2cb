"""A service may have a grace time of its own: the previous value is kept for it, and for everybody else as usual."""

from __future__ import annotations

import subprocess
import sys

import pytest

import strongroom
from strongroom.errors import ConflictError, InvalidInputError, NotFoundError
from strongroom.rotation import readers
from strongroom.rotation.consumers import Consumer, consumer_key, seal_consumer
from strongroom.rotation.owner import here
from strongroom.rotation.rotation import Rotation

from .source import Source

READS_ONCE = """
import sys, strongroom
secrets = strongroom.open(sys.argv[1], audit=sys.argv[2], service=sys.argv[3])
secrets.get_secret("A")
print("ready", flush=True)
sys.stdin.readline()
"""
HOUR = 3600.0


@pytest.fixture
def places(tmp_path, master_key):
    return f"sqlite:{tmp_path}/secrets.db", f"file:{tmp_path}/audit.log"


@pytest.fixture
def secrets(places):
    with strongroom.init(places[0], "env:SECRETS_MASTER_KEY", places[1]) as manager:
        manager.set_secret("A", "first")
        yield manager


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source", "alternating")
    source.accept("first")
    return source


@pytest.fixture
def rotation(secrets, source, clock):
    rotation = Rotation(secrets._access, lambda url, read: source, 10, clock=clock)
    rotation.attach("A", "source:", grace=HOUR, graces={"reports": 24 * HOUR, "quick": 60})
    return rotation


@pytest.fixture
def start(places):
    started = []

    def start(service):
        process = subprocess.Popen([sys.executable, "-c", READS_ONCE, *places, service], stdin=-1, stdout=-1, text=True)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def hold(secrets, start):
    """Let a process of a service hold the first version: by a live handle, or by one read."""

    def hold(service, how, version=1):
        if how == "read once":
            return start(service)
        engine = secrets._access.engine
        consumer_id = service.encode().hex().ljust(16, "0")[:16]
        consumer = Consumer("A", consumer_id, service, here(), version, 0.0, 0.0)
        with engine.view() as (_, unlocked):
            engine.store.reports.put(consumer_key("A", consumer_id), seal_consumer(unlocked.records, consumer))
        return consumer

    return hold


def is_kept(rotation, source):
    """Try to retire the previous value, and return whether the source still accepts it."""
    if rotation.status("A")[0].step != "idle":
        rotation.resume("A", wait=0)
    return "first" in source.accepted()


@pytest.mark.parametrize("how", ["live", "read once"])
def test_a_service_keeps_the_value_until_its_own_grace_time_ends(rotation, source, clock, hold, how):
    hold("reports", how)
    rotation.rotate("A", wait=0)
    clock.time += HOUR + 1
    assert is_kept(rotation, source)
    with pytest.raises(ConflictError, match=r"still held by reports \(pid .*until 2027-01-16 08:00:00 UTC at the lat"):
        rotation.retire("A")
    with pytest.raises(ConflictError, match="still held by reports"):
        rotation.rotate("A")
    clock.time += 22.9 * HOUR
    assert is_kept(rotation, source)
    clock.time += HOUR
    assert not is_kept(rotation, source)


@pytest.mark.parametrize("how", ["live", "read once"])
def test_any_other_service_keeps_it_for_the_usual_grace_time(rotation, source, clock, hold, how):
    hold("worker", how)
    rotation.rotate("A", wait=0)
    clock.time += HOUR - 1
    assert is_kept(rotation, source)
    clock.time += 2
    assert not is_kept(rotation, source)


def test_one_that_has_ended_is_waited_for_by_nobody(rotation, source, clock, hold):
    process = hold("reports", "read once")
    rotation.rotate("A", wait=0)
    clock.time += HOUR + 1
    assert is_kept(rotation, source)
    process.kill()
    process.wait()
    assert not is_kept(rotation, source)


@pytest.mark.parametrize("how", ["live", "nobody"])
def test_a_service_that_holds_the_new_value_needs_no_grace_time(rotation, source, clock, hold, how):
    if how == "live":
        hold("reports", how, version=2)
    rotation.rotate("A", wait=0)
    clock.time += HOUR + 1
    assert not is_kept(rotation, source)


@pytest.mark.parametrize("how", ["live", "read once"])
def test_a_shorter_grace_time_lets_the_value_be_retired_early(rotation, source, clock, hold, how):
    hold("quick", how)
    hold("api", "live", version=2)
    rotation.rotate("A", wait=0)
    clock.time += 59
    assert is_kept(rotation, source)
    clock.time += 2
    assert not is_kept(rotation, source)


def test_a_log_that_cannot_be_read_leaves_the_longest_grace_time(rotation, source, clock, monkeypatch):
    monkeypatch.setattr(readers, "LOOK", -1.0)
    rotation.rotate("A", wait=0)
    clock.time += HOUR + 1
    assert is_kept(rotation, source)
    clock.time += 23 * HOUR
    assert not is_kept(rotation, source)


def test_a_source_that_keeps_no_previous_value_promises_nobody_a_grace_time(rotation, source, hold):
    source.strategy = "single"
    hold("reports", "live")
    rotation.rotate("A", wait=0)
    assert source.accepted() != ["first"]
    assert rotation.status("A")[0].step == "idle"


def test_the_status_shows_them_and_when_the_last_one_ends(rotation, clock):
    rotation.rotate("A", wait=0)
    status = rotation.status("A")[0]
    assert (status.grace, status.graces) == (HOUR, {"reports": 24 * HOUR, "quick": 60})
    assert status.grace_ends == clock.now() + 24 * HOUR
    clock.time += 25 * HOUR
    rotation.resume("A")
    assert rotation.status("A")[0].graces == {"reports": 24 * HOUR, "quick": 60}
    rotation.attach("A", "source:", grace=60)
    assert rotation.status("A")[0].graces == {}


@pytest.mark.parametrize("graces", [{"a": -1}, {"a": "60"}, {"a": True}, {"": 60}, {7: 60}, {"a": float("nan")}, ["a"]])
def test_what_is_no_grace_time_of_a_service_attaches_nothing(rotation, graces):
    with pytest.raises(InvalidInputError, match="maps names of services to numbers of seconds"):
        rotation.attach("A", "another:", graces=graces)
    assert rotation.status("A")[0].rotator == "source:"


def test_who_accepts_the_previous_value_does_so_for_the_longest_grace_time(secrets, rotation, monkeypatch):
    from strongroom.rotation import previous

    rotation.rotate("A", wait=0)
    handle = secrets.secret("A")
    after = secrets.metadata("A").versions[-1].created
    for passed, accepted in ((HOUR, 2), (23 * HOUR, 2), (25 * HOUR, 1)):
        monkeypatch.setattr(previous, "now", lambda passed=passed: after + passed)
        assert len(handle.accepted()) == accepted


def test_a_schedule_changes_without_a_word_to_the_source(secrets, source):
    asked = []
    rotation = Rotation(secrets._access, lambda url, read: asked.append(url) or source, 10)
    rotation.attach("A", "vendor://host/?token=x", every=86400, grace=5)
    assert asked
    asked.clear()
    rotation.reschedule("A", every=7 * 86400)
    rotation.reschedule("A", graces={"reports": 60})
    status = rotation.status("A")[0]
    assert (status.every, status.grace, status.graces) == (7 * 86400, 5, {"reports": 60})
    assert asked == []
    with pytest.raises(InvalidInputError, match="every and grace are numbers of seconds"):
        rotation.reschedule("A", every=-1)
    secrets.set_secret("B", "x")
    with pytest.raises(NotFoundError, match="'B' has no rotator"):
        rotation.reschedule("B", every=60)
    asked.clear()
    rotation.check("A")
    assert asked == ["vendor://host/?token=x"], "the attached URL is the whole one, not what is shown of it"
