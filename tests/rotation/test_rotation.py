"""A rotation goes from pending to retired; whatever fails on the way, the current value keeps working."""

from __future__ import annotations

import json
import threading
import time

import pytest

from strongroom.errors import ConflictError, InvalidInputError, RotationError, SecretNotFoundError
from strongroom.rotation.rotation import Rotation
from strongroom.rotation.state import State

from .source import Source


@pytest.fixture(params=["single", "alternating"])
def source(request, tmp_path):
    source = Source(tmp_path / "source", request.param)
    source.accept("first")
    return source


def stages(manager):
    events = [json.loads(line.text) for line in manager._access.audit.sink.lines()]
    return [(e.get("stage"), e["outcome"]) for e in events if e["action"] == "ROTATE" and e["outcome"] != "intent"]


@pytest.fixture
def keeping(source):
    """A source that accepts the previous value until it is retired."""
    source.strategy = "alternating"
    return source


def test_a_rotation_sets_tests_promotes_and_keeps_the_previous_value_for_its_grace_time(
    rotation, secrets, keeping, clock
):
    source = keeping
    made = rotation.rotate("A", source)
    assert made.version == 2
    assert source.calls == ["create", "set", "test"]
    assert secrets.get_secret("A") in source.accepted()
    assert ("first" in source.accepted()) == (source.strategy == "alternating")
    assert rotation.status("A")[0].step == "promoted"
    clock.time += 3601
    rotation.retire("A", source)
    assert source.accepted() == [secrets.get_secret("A")]
    assert rotation.status("A")[0].step == "idle"
    assert secrets.verify().ok


def test_every_step_is_on_record(rotation, secrets, keeping, clock):
    rotation.rotate("A", keeping)
    clock.time += 3601
    rotation.resume("A", keeping)
    assert [stage for stage, _ in stages(secrets)] == [
        "pending", "set", "tested", "promoted", "released", "resumed", "retired",
    ]  # fmt: skip
    assert {outcome for _, outcome in stages(secrets)} == {"ok"}
    assert secrets.verify_audit().ok


def test_the_pending_value_is_durable_before_the_source_is_asked_to_take_it(rotation, secrets, source):
    seen = []

    def set_password(pending, current):
        seen.append(rotation.status("A")[0].step)
        Source.set(source, pending, current)

    source.set = set_password
    rotation.rotate("A", source)
    assert seen == ["pending"]


def failing(source, step, failure):
    def fail(*arguments):
        if failure == "afterwards":
            getattr(Source, step)(source, *arguments)
        source.__dict__.pop(step)
        raise ValueError("secret text")

    setattr(source, step, fail)


@pytest.mark.parametrize("failure", ["at once", "afterwards"])
@pytest.mark.parametrize("step", ["set", "test"])
def test_a_step_that_fails_leaves_the_current_value_working_and_resumes(rotation, secrets, source, step, failure):
    failing(source, step, failure)
    with pytest.raises(
        RotationError, match=r"raised ValueError.*given the current value back.*rotate resume A"
    ) as caught:
        rotation.rotate("A", source)
    assert "secret text" not in str(caught.value)
    assert secrets.get_secret("A") == "first"
    assert "first" in source.accepted()
    status = rotation.status("A")[0]
    assert (status.error, status.running) == ("RotationError", False)
    assert rotation.resume("A", source).version == 2
    assert secrets.get_secret("A") in source.accepted()


def test_a_source_that_does_not_answer_says_so_and_works_on(secrets, source):
    rotation = Rotation(secrets._access, None, 10, timeout=0.05)
    answer = threading.Event()

    def set_password(pending, current):
        source.__dict__.pop("set")
        Source.set(source, pending, current)
        answer.wait(20)

    source.set = set_password
    with pytest.raises(RotationError, match=r"did not answer within 0.05 s.*rotate resume A"):
        rotation.rotate("A", source)
    assert "first" in source.accepted()
    with pytest.raises(ConflictError, match=r"has not come back"):
        rotation.resume("A", source)
    answer.set()
    while rotation._calls.hangs("A"):
        time.sleep(0.01)
    rotation.resume("A", source)
    assert secrets.get_secret("A") in source.accepted()


@pytest.mark.parametrize("nothing", [{}, {"value": ""}, {"value": None}, None, "text", {"value": "first"}, {"a": {1}}])
def test_a_value_that_cannot_replace_the_current_one_changes_nothing(rotation, secrets, source, nothing):
    source.create = lambda current: nothing
    with pytest.raises(RotationError, match=r"nothing was changed"):
        rotation.rotate("A", source)
    assert source.accepted() == ["first"]
    assert rotation.status("A")[0].step == "idle"
    assert stages(secrets) == [("pending", "failed"), (None, "ok")]


def test_an_abort_gives_the_source_the_current_value_back(rotation, secrets, source):
    failing(source, "test", "at once")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    source.accept("first", "the pending one")
    rotation.abort("A", source)
    assert secrets.get_secret("A") == "first"
    assert source.accepted()[0] == "first"
    assert secrets._access.engine.store.scan("rotation/") == []


def test_an_abort_by_force_does_not_ask_the_source(rotation, secrets, source):
    failing(source, "test", "at once")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    source.calls.clear()
    rotation.abort("A", force=True)
    assert source.calls == []
    assert secrets._access.engine.store.scan("rotation/") == []


def test_a_promoted_rotation_is_not_aborted(rotation, keeping):
    rotation.rotate("A", keeping)
    with pytest.raises(ConflictError, match=r"is current already"):
        rotation.abort("A", keeping)


def test_a_write_in_between_is_refused(rotation, secrets, source):
    failing(source, "set", "at once")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    for write in (
        lambda: secrets.set_secret("A", "mine"),
        lambda: secrets.rotate_secret("A"),
        lambda: secrets.destroy_secret("A", with_history=True),
        lambda: rotation.rotate("A", source),
    ):
        with pytest.raises(ConflictError):
            write()
    rotation.abort("A", source)
    assert secrets.set_secret("A", "mine").version == 2


def test_a_second_rotation_in_the_grace_time_is_refused(rotation, keeping, clock):
    rotation.rotate("A", keeping)
    said = "has its grace time, until 2027-01-15 09:00:00 UTC at the latest; .*retire A --force"
    with pytest.raises(ConflictError, match=said):
        rotation.rotate("A", keeping)
    clock.time += 3601
    assert rotation.rotate("A", keeping).version == 3


def test_of_two_rotations_at_once_one_is_refused(rotation, secrets, source):
    other = Rotation(secrets._access, None, 10)

    def create(current):
        source.__dict__.pop("create")
        other.rotate("A", source, wait=0)
        return {"value": "too late"}

    source.create = create
    with pytest.raises(ConflictError):
        rotation.rotate("A", source)
    assert secrets.history("A")[-1].version == 2
    assert secrets.get_secret("A") in source.accepted()


def test_nobody_resumes_a_rotation_that_is_at_work(rotation, secrets, source):
    other = Rotation(secrets._access, None, 10)
    refused = []

    def set_password(pending, current):
        source.__dict__.pop("set")
        for attempt in (other.resume, other.abort, other.retire):
            with pytest.raises(ConflictError, match=r"is rotating 'A' now"):
                attempt("A", source)
            refused.append(attempt)
        Source.set(source, pending, current)

    source.set = set_password
    rotation.rotate("A", source)
    assert len(refused) == 3


def test_a_rotation_with_an_object_is_resumed_with_it(rotation, source):
    failing(source, "set", "at once")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    with pytest.raises(InvalidInputError, match=r"pass it again"):
        rotation.resume("A")
    assert not rotation.status("A")[0].running
    rotation.resume("A", source)


def test_a_retirement_that_fails_is_tried_again(rotation, secrets, keeping, clock):
    rotation.rotate("A", keeping)
    clock.time += 3601
    failing(keeping, "retire", "at once")
    with pytest.raises(RotationError, match=r"The new value is current.*rotate resume A"):
        rotation.resume("A", keeping)
    rotation.resume("A", keeping)
    assert keeping.accepted() == [secrets.get_secret("A")]


def test_an_error_in_the_log_after_promotion_does_not_put_the_source_back(rotation, secrets, source, monkeypatch):
    from strongroom.errors import AuditError

    log = secrets._access.audit
    record = log.record

    def full(action, name, outcome, *, stage=None, **more):
        if (outcome, stage) == ("ok", "promoted"):
            raise AuditError("disk full")
        return record(action, name, outcome, stage=stage, **more)

    monkeypatch.setattr(log, "record", full)
    with pytest.raises(AuditError):
        rotation.rotate("A", source)
    assert secrets.get_secret("A") in source.accepted()
    assert secrets.history("A")[-1].version == 2
    rotation.retire("A", source, force=True)
    assert source.accepted() == [secrets.get_secret("A")]


def test_a_secret_that_is_not_there_is_not_rotated(rotation, source):
    for attempt in (lambda: rotation.rotate("B", source), lambda: rotation.status("B")):
        with pytest.raises(SecretNotFoundError):
            attempt()


def test_the_state_shows_no_value():
    assert "hidden" not in repr(State("A", data=b"shidden"))


def test_a_rekey_takes_rotations_along(rotation, secrets, source):
    failing(source, "set", "at once")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    secrets.custody.rekey_data("fernet")
    ((_, stored),) = secrets._access.engine.store.scan("rotation/")
    assert int.from_bytes(stored[1:5], "big") == secrets._access.engine.unlocked.keyset.primary.id
    assert rotation.resume("A", source).version == 2


def test_a_damaged_rotation_is_found(rotation, secrets, keeping, plant):
    rotation.rotate("A", keeping)
    ((path, stored),) = secrets._access.engine.store.scan("rotation/")
    plant(secrets, path, stored[:-1] + bytes([stored[-1] ^ 1]))
    assert any("rotation/A" in problem for problem in secrets.verify().problems)


def test_no_thread_to_be_had_is_a_failed_step_and_no_crash(rotation, secrets, source, monkeypatch):
    start = threading.Thread.start

    def refuse(self):
        if "rotate-test" in self.name:
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RotationError, match="no thread can be started"):
            rotation.rotate("A", source)
    assert secrets.get_secret("A") == "first"
    assert "first" in source.accepted()
    rotation.resume("A", source)
    assert secrets.get_secret("A") != "first"
