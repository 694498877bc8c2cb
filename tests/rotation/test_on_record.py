"""Whatever keeps a rotation from going on is in the audit log, with the stage that was not reached."""

from __future__ import annotations

import json
import threading
import time

import pytest

from strongroom.errors import ConfigError, ConflictError, RotationError, SourceRefusedError, StrongroomError
from strongroom.rotation.rotation import Rotation

from .source import Source

URL = "source:"


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source", "alternating")
    source.accept("first")
    return source


@pytest.fixture
def rotation(secrets, source, clock):
    def connect(url, read):
        if url != URL:
            raise ConfigError("the program is not there any more")
        return source

    rotation = Rotation(secrets._access, connect, 10, clock=clock)
    rotation.attach("A", URL)
    return rotation


def fail(source, step, error=None):
    def fail(*_):
        del source.__dict__[step]
        raise error or ConnectionError

    setattr(source, step, fail)


def interrupted(rotation, source):
    fail(source, "set")
    with pytest.raises(RotationError):
        rotation.rotate("A")


def promoted(rotation, source):
    rotation.rotate("A", wait=0)


def refusing(rotation, source):
    source.accept("another")


def drifted(rotation, source):
    source.accept("another")
    fail(source, "set")
    with pytest.raises(RotationError):
        rotation.rotate("A", force=True)


def hanging(rotation, source):
    done = threading.Event()
    rotation.done = done.set
    source.set = lambda *_: done.wait(20)
    rotation._calls.timeout = 0.5
    with pytest.raises(RotationError):
        rotation.rotate("A")
    rotation._calls.timeout = 30
    del source.set


def elsewhere(rotation, source):
    with rotation._access.engine.change() as change:
        from strongroom.rotation import steps
        from strongroom.rotation.state import load

        steps.store(change, load(change, change.records, "A")._replace(url="gone:"))


def refused_steps(step):
    return lambda rotation, source: fail(source, step)


CASES = [
    ("checked", refusing, lambda rotation: rotation.check("A")),
    ("checked", refusing, lambda rotation: rotation.rotate("A")),
    ("checked", elsewhere, lambda rotation: rotation.rotate("A")),
    ("attached", refusing, lambda rotation: rotation.attach("A", URL)),
    ("pending", refused_steps("create"), lambda rotation: rotation.rotate("A")),
    ("pending", interrupted, lambda rotation: rotation.rotate("A")),
    ("pending", hanging, lambda rotation: rotation.rotate("A")),
    ("set", refused_steps("set"), lambda rotation: rotation.rotate("A")),
    ("tested", refused_steps("test"), lambda rotation: rotation.rotate("A")),
    ("resumed", hanging, lambda rotation: rotation.resume("A")),
    ("resumed", lambda *_: None, lambda rotation: rotation.resume("A")),
    ("resumed", lambda *both: (promoted(*both), elsewhere(*both)), lambda rotation: rotation.resume("A")),
    ("aborted", promoted, lambda rotation: rotation.abort("A")),
    ("aborted", drifted, lambda rotation: rotation.abort("A")),
    ("retired", promoted, lambda rotation: rotation.retire("A")),
    ("retired", promoted, lambda rotation: rotation.rotate("A")),
    ("retired", interrupted, lambda rotation: rotation.retire("A")),
    ("retired", lambda *both: (promoted(*both), fail(both[1], "retire")), lambda r: r.retire("A", force=True)),
    ("detached", interrupted, lambda rotation: rotation.detach("A")),
]  # fmt: skip


@pytest.mark.parametrize(("stage", "before", "attempt"), CASES)
def test_a_refusal_is_on_record_with_its_stage(rotation, source, secrets, stage, before, attempt):
    before(rotation, source)
    already = len(failures(secrets))
    with pytest.raises(StrongroomError) as caught:
        attempt(rotation)
    new = failures(secrets)[already:]
    assert (stage, caught.value.code) in new or (stage, RotationError.code) in new
    getattr(rotation, "done", lambda: None)()
    while rotation._calls.hangs("A"):
        time.sleep(0.01)


def test_two_secrets_on_one_account_are_on_record(rotation, source, secrets):
    secrets.set_secret("B", "first")
    source.accounts = ("one",)
    with pytest.raises(ConflictError):
        rotation.attach("B", URL)
    assert failures(secrets) == [("attached", ConflictError.code)]


def test_a_definite_no_is_on_record(rotation, source, secrets):
    fail(source, "set", SourceRefusedError("no"))
    with pytest.raises(SourceRefusedError):
        rotation.rotate("A")
    assert ("set", SourceRefusedError.code) in failures(secrets)


def failures(manager):
    events = [json.loads(line.text) for line in manager._access.audit.sink.lines()]
    return [
        (event.get("stage"), event.get("reason"))
        for event in events
        if event["action"] == "ROTATE" and event["outcome"] not in ("ok", "intent")
    ]
