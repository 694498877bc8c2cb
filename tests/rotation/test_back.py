"""Nobody is locked out by a way back: the current value is never what is retired."""

from __future__ import annotations

import pytest

from strongroom.errors import ConflictError, RotationError, VersionNotFoundError
from strongroom.rotation.rotation import Rotation

from .source import Source


@pytest.fixture(params=["single", "alternating"])
def source(request, tmp_path):
    source = Source(tmp_path / "source", request.param)
    source.accept("first")
    return source


@pytest.fixture
def keeping(source):
    source.strategy = "alternating"
    return source


@pytest.fixture
def secrets(secrets, source, clock):
    """A manager whose own rotations lead to the source."""
    secrets._rotation = Rotation(secrets._access, lambda url, read: source, 10, clock=clock, timeout=5)
    secrets.rotation.attach("A", "source:", grace=3600)
    return secrets


def test_a_rollback_in_the_grace_time_goes_through_the_source(secrets, source, clock):
    secrets.rotate_secret("A")
    made = secrets.rollback("A", 1)
    assert (made.version, secrets.get_secret("A")) == (3, "first")
    assert "first" in source.accepted()
    clock.time += 3601
    if secrets.rotation.status("A")[0].step != "idle":
        secrets.rotation.retire("A")
    assert source.accepted() == ["first"]


def test_the_value_that_was_rotated_away_from_keeps_its_own_grace_time(secrets, keeping, clock):
    secrets.rotate_secret("A")
    second = secrets.get_secret("A")
    secrets.rollback("A", 1)
    assert sorted(keeping.accepted()) == sorted(["first", second])
    with pytest.raises(ConflictError, match=r"still held by .*\(pid"):
        secrets.rotation.retire("A")
    secrets.rotation.retire("A", force=True)
    assert keeping.accepted() == ["first"]


@pytest.mark.parametrize("force", [False, True])
def test_a_previous_value_that_is_set_again_is_rotated_back_to(secrets, keeping, clock, force):
    secrets.rotate_secret("A")
    assert secrets.set_secret("A", "first").version == 3
    clock.time += 3601
    secrets.rotation.retire("A", force=force)
    assert keeping.accepted() == [secrets.get_secret("A")] == ["first"]


def test_a_value_that_was_written_between_rotations_is_said_to_be_unknown_to_the_source(secrets, source, clock):
    assert secrets.rotation.status("A")[0].advice is None
    secrets.set_secret("A", "by hand")
    advice = secrets.rotation.status("A")[0].advice
    assert advice is not None
    assert "version 2 was written here, and its source was not told: `strongroom rotate check A`" in advice
    with pytest.raises(RotationError):
        secrets.rotation.check("A")
    assert "refuses the current value" in (secrets.rotation.status("A")[0].advice or "")
    source.accept("by hand")
    secrets.rotation.check("A")
    assert secrets.rotation.status("A")[0].advice is None


@pytest.mark.parametrize("write", ["many", "expires"])
def test_a_write_that_cannot_tell_the_source_is_refused_for_the_previous_value(secrets, keeping, write):
    secrets.rotate_secret("A")
    writes = {
        "many": lambda: secrets.set_secrets({"A": "first", "B": "x"}),
        "expires": lambda: secrets.set_secret("A", "first", expires_in=60),
    }
    with pytest.raises(ConflictError, match=r"its previous value.*strongroom rollback A 1"):
        writes[write]()
    assert secrets.get_secret("B") is None
    assert secrets.get_secret("A") in keeping.accepted()


def test_a_value_that_the_source_was_not_told_of_is_not_made_the_only_one(secrets, keeping, clock):
    secrets.rotate_secret("A")
    second = secrets.get_secret("A")
    secrets.set_secret("A", "unknown to the source")
    clock.time += 3601
    for attempt in (secrets.rotation.retire, secrets.rotation.resume):
        with pytest.raises(RotationError, match="source was not told; `strongroom rollback A 2`"):
            attempt("A")
    assert sorted(keeping.accepted()) == sorted(["first", second])
    secrets.rotation.abort("A", force=True)
    assert secrets.rollback("A", 2).version == 4
    assert secrets.get_secret("A") == second
    assert second in keeping.accepted()


def test_a_value_that_somebody_gave_the_source_by_hand_is_kept_and_the_others_are_retired(secrets, keeping, clock):
    secrets.rotate_secret("A")
    keeping.accept(*keeping.accepted(), "by hand")
    secrets.set_secret("A", "by hand")
    clock.time += 3601
    secrets.rotation.retire("A")
    assert keeping.accepted() == ["by hand"]


def test_a_way_back_that_is_undone_leaves_the_grace_time_as_it_was(secrets, keeping, clock):
    secrets.rotate_secret("A")
    before = secrets.rotation.status("A")[0]

    def fail(*_):
        del keeping.__dict__["test"]
        raise ConnectionError("no answer")

    keeping.test = fail
    with pytest.raises(RotationError):
        secrets.rollback("A", 1)
    secrets.rotation.abort("A")
    after = secrets.rotation.status("A")[0]
    assert (after.step, after.grace_ends) == (before.step, before.grace_ends) == ("promoted", before.grace_ends)
    assert "first" in keeping.accepted()
    clock.time += 3601
    secrets.rotation.resume("A")
    assert keeping.accepted() == [secrets.get_secret("A")] != ["first"]


def test_a_rollback_to_an_older_version_is_a_rotation_of_its_own(secrets, source, clock):
    for _ in range(2):
        secrets.rotate_secret("A")
        clock.time += 3601
    if secrets.rotation.status("A")[0].step != "idle":
        secrets.rotation.resume("A")
    assert secrets.rollback("A", 1).version == 4
    assert "first" in source.accepted()
    with pytest.raises(VersionNotFoundError):
        secrets.rollback("A", 9)


def test_a_source_that_was_put_back_to_its_old_state_gets_the_current_value_again(secrets, keeping, clock):
    secrets.rotate_secret("A")
    keeping.accept("first")
    secrets.rotation.resume("A")
    assert sorted(keeping.accepted()) == sorted(["first", secrets.get_secret("A")])
    keeping.accept("first")
    clock.time += 3601
    secrets.rotation.retire("A")
    assert keeping.accepted() == [secrets.get_secret("A")]
