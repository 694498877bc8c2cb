"""What others do to a secret and its rotation while one is under way: refused, noticed, and never overwritten."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from strongroom.engine import versions
from strongroom.engine.versions import Attributes
from strongroom.errors import ConflictError, RotationError, SecretNotFoundError
from strongroom.rotation import owner
from strongroom.rotation.rotation import Rotation

from .source import Source


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source")
    source.accept("first")
    return source


@contextmanager
def behind(secrets):
    """Change the store as a merge of two branches does, or a release that knows no rotations."""
    with secrets._access.engine.change() as change:
        yield change


def write(change):
    versions.put(change, "A", b"sby another", now=1.0, cas=None, attributes=Attributes(), keep=10)


def during(source, step, work):
    """Let something happen while the rotator is asked for a step, once."""

    def replaced(*arguments):
        del source.__dict__[step]
        work()
        return getattr(source, step)(*arguments)

    setattr(source, step, replaced)


def refuse():
    raise ConnectionError("no answer")


def interrupt(rotation, source, step="set"):
    during(source, step, refuse)
    with pytest.raises(RotationError):
        rotation.rotate("A", source)


@pytest.mark.parametrize("attempt", ["resume", "abort", "retire"])
def test_what_is_not_under_way_is_not_finished(rotation, source, attempt):
    with pytest.raises(ConflictError, match="no rotation of 'A' is under way"):
        getattr(rotation, attempt)("A", source)
    assert source.calls == []


def test_a_rotation_that_is_not_promoted_has_no_previous_value_to_retire(rotation, source, secrets):
    interrupt(rotation, source)
    with pytest.raises(ConflictError, match=r"not finished \(pending\).*rotate resume A.*rotate abort A"):
        rotation.retire("A", source, force=True)
    assert "retire" not in source.calls
    assert secrets.get_secret("A") == "first"


def test_a_secret_that_was_written_while_its_new_value_was_made_is_not_rotated(rotation, source, secrets):
    during(source, "create", lambda: secrets.set_secret("A", "mine"))
    with pytest.raises(ConflictError, match="written meanwhile; rotate it again"):
        rotation.rotate("A", source)
    assert (source.calls, secrets.get_secret("A")) == (["create"], "mine")


def test_a_secret_that_was_deleted_while_its_new_value_was_made_is_not_rotated(rotation, source, secrets):
    during(source, "create", lambda: secrets.delete_secret("A"))
    with pytest.raises(SecretNotFoundError, match="'A' is deleted; set it again, then rotate it"):
        rotation.rotate("A", source)
    assert source.calls == ["create"]


def test_a_secret_that_is_deleted_in_the_middle_is_not_promoted_and_the_source_is_put_back(rotation, source, secrets):
    during(source, "test", lambda: secrets.delete_secret("A"))
    with pytest.raises(SecretNotFoundError, match="set it again"):
        rotation.rotate("A", source)
    assert source.accepted() == ["first"]
    secrets.undelete_secret("A")
    assert rotation.resume("A", source).version == 2


def test_a_version_that_came_from_elsewhere_is_not_overwritten(rotation, source, secrets):
    def merge():
        with behind(secrets) as change:
            write(change)

    during(source, "test", merge)
    with pytest.raises(RotationError, match=r"'A' has got version 2 meanwhile.*given the current value back"):
        rotation.rotate("A", source)
    assert source.accepted() == [secrets.get_secret("A")] == ["by another"]
    rotation.abort("A", source)
    assert rotation.rotate("A", source).version == 3


def test_a_rotation_that_somebody_else_has_taken_over_is_left_to_them(rotation, source, secrets):
    other = Rotation(secrets._access, None, 10)

    def take_over():
        # As after a stop that was longer than the lease.
        owner._running.clear()
        other.resume("A", source, wait=0)

    during(source, "set", take_over)
    with pytest.raises(ConflictError, match="another process has taken over the rotation of 'A'"):
        rotation.rotate("A", source)
    # Asked with the same pending value twice, and not given the old one.
    assert source.accepted() == [secrets.get_secret("A")] != ["first"]
    assert rotation.status("A")[0].step == "idle"


def test_a_failure_after_somebody_else_has_taken_over_does_not_put_the_source_back(rotation, source, secrets):
    other = Rotation(secrets._access, None, 10)

    def take_over():
        owner._running.clear()
        other.resume("A", source, wait=0)
        refuse()

    during(source, "test", take_over)
    with pytest.raises(RotationError, match="Another process works on it"):
        rotation.rotate("A", source)
    assert source.accepted() == [secrets.get_secret("A")] != ["first"]
    assert rotation.status("A")[0].error is None


def test_a_source_that_refuses_the_abort_keeps_the_rotation_for_another_try(rotation, source, secrets, events):
    interrupt(rotation, source, "test")
    during(source, "set", refuse)
    with pytest.raises(RotationError, match=r"Its source may have the new value.*rotate abort A"):
        rotation.abort("A", source)
    assert rotation.status("A")[0].step == "pending"
    assert ("ROTATE", "A", "failed", RotationError.code, None) in events(secrets)
    rotation.abort("A", source)
    assert (source.accepted(), rotation.status("A")[0].step) == (["first"], "idle")


def test_a_rotation_whose_secret_is_gone_can_be_ended_by_force_alone(rotation, source, secrets):
    interrupt(rotation, source)
    with behind(secrets) as change:
        versions.forget(change, "A")
    source.calls.clear()
    for attempt in (rotation.resume, rotation.abort):
        with pytest.raises(SecretNotFoundError, match="no secret 'A' any more"):
            attempt("A", source)
    assert source.calls == []
    rotation.abort("A", force=True)
    assert secrets._access.engine.store.scan("rotation/") == []


def test_a_secret_may_be_written_in_its_grace_time(rotation, source, secrets):
    source.strategy = "alternating"
    rotation.rotate("A", source, wait=0)
    assert rotation.status("A")[0].step == "promoted"
    assert secrets.set_secret("A", "mine").version == 3
