"""`on_rotation_event`: what a program is told of rotations."""

from __future__ import annotations

import inspect
import threading

import pytest

import strongroom
from strongroom import ConflictError, RotationError, StrongroomWarning, generate_master_key
from strongroom.rotation.events import RotationEvent
from strongroom.rotation.rotation import Rotation
from strongroom.testing.rotators import VirtualClock

from .source import Source

VALUE = "value-of-the-source"


@pytest.fixture
def events() -> list[RotationEvent]:
    return []


@pytest.fixture
def secrets(tmp_path, monkeypatch, events):
    monkeypatch.setenv("SECRETS_MASTER_KEY", generate_master_key())
    url = f"sqlite:{tmp_path}/s.db"
    strongroom.init(url, audit="memory:").close()
    with strongroom.open(url, audit="memory:", on_rotation_event=events.append) as manager:
        manager.set_secret("A", VALUE)
        yield manager


@pytest.fixture
def source(tmp_path) -> Source:
    made = Source(tmp_path / "source", "alternating")
    made.accept(VALUE)
    return made


def breaks(source: Source, step: str):
    def broken(*_):
        raise ValueError(VALUE)

    setattr(source, step, broken)


def test_a_rotation_that_goes_well_is_no_event(secrets, source, events):
    secrets.rotation.rotate("A", source, wait=0)
    secrets.rotation.retire("A", source, force=True)
    assert events == []


@pytest.mark.parametrize(("step", "event"), [("check", "failed"), ("create", "failed"), ("set", "unfinished")])
def test_a_failure_is_one_event_without_a_value(secrets, source, events, step, event):
    breaks(source, step)
    with pytest.raises(RotationError):
        secrets.rotation.rotate("A", source)
    assert [(e.event, e.name, e.version, e.error) for e in events] == [(event, "A", 1, "RotationError")]
    assert VALUE not in repr(events)


def test_calls_of_a_call_are_one_event(secrets, source, events):
    """`rotate` after a grace time retires first."""
    clock = VirtualClock()
    rotation = secrets.rotation.with_clock(clock)
    rotation.rotate("A", source, wait=0)
    clock.sleep(4000)
    breaks(source, "retire")
    with pytest.raises(RotationError):
        rotation.rotate("A", source, wait=0)
    assert [e.event for e in events] == ["unfinished"]
    assert "strongroom rotate resume A" in events[0].advice


def test_what_another_is_at_is_no_event(secrets, source, events):
    secrets.rotation.rotate("A", source, wait=0)
    with pytest.raises(ConflictError):
        secrets.rotation.retire("A", source)
    with pytest.raises(ConflictError):
        secrets.rotation.abort("A", source)
    assert events == []


def test_an_observer_that_raises_is_a_warning_and_no_failure_of_its_own(secrets, source, events):
    def observer(event):
        events.append(event)
        raise OSError(VALUE)

    breaks(source, "set")
    bob = secrets.bind("bob")
    bob.rotation.observed(observer, "")
    with pytest.warns(StrongroomWarning, match="on_rotation_event raised OSError"), pytest.raises(RotationError):
        bob.rotation.rotate("A", source)
    assert len(events) == 1


def test_bind_keeps_the_observer(secrets, source, events):
    breaks(source, "set")
    with pytest.raises(RotationError):
        secrets.bind("bob").rotation.rotate("A", source)
    assert len(events) == 1


def test_two_threads_are_told_of_apart(secrets, tmp_path, events):
    def rotate(name):
        source = Source(tmp_path / name, "alternating")
        source.accept(VALUE)
        breaks(source, "set")
        with pytest.raises(RotationError):
            secrets.rotation.rotate(name, source)

    for name in ("B", "C"):
        secrets.set_secret(name, VALUE)
    threads = [threading.Thread(target=rotate, args=(name,)) for name in ("B", "C")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(e.name for e in events) == ["B", "C"]


@pytest.mark.parametrize("name", ["rotate", "resume", "abort", "retire"])
def test_what_is_observed_is_called_and_documented_as_before(secrets, name):
    observed = getattr(type(secrets.rotation), name)
    assert inspect.signature(observed) == inspect.signature(getattr(Rotation, name))
    assert observed.__doc__ == getattr(Rotation, name).__doc__
