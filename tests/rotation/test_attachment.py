"""A rotator is attached by its URL, found again by whoever rotates, and changed only between two rotations."""

from __future__ import annotations

import pytest

import strongroom
from strongroom.errors import ConflictError, InvalidInputError, NotFoundError, RotationError
from strongroom.rotation.rotation import Rotation

from .source import Source

URL = "source:"


@pytest.fixture
def source(tmp_path):
    source = Source(tmp_path / "source")
    source.accept("first")
    source.grace = 0.0
    return source


@pytest.fixture
def rotation(secrets, source, clock):
    """Rotations whose one URL leads to the source."""
    other = Source(source.path)
    other.users = "others"
    return Rotation(secrets._access, lambda url, read: source if url == URL else other, 10, clock=clock)


def refuse_once(source, step):
    def refuse(*_):
        del source.__dict__[step]
        raise ConnectionError("no answer")

    setattr(source, step, refuse)


@pytest.mark.parametrize("span", [-1, 1e10, float("nan"), float("inf"), "60", True])
@pytest.mark.parametrize("which", ["every", "grace"])
def test_a_span_that_is_no_number_of_seconds_attaches_nothing(rotation, which, span):
    with pytest.raises(InvalidInputError, match="numbers of seconds"):
        rotation.attach("A", URL, **{which: span})
    assert not rotation.has_rotator("A")


def test_a_rotation_is_finished_by_the_rotator_that_began_it(rotation, source):
    rotation.attach("A", URL)
    refuse_once(source, "set")
    with pytest.raises(RotationError):
        rotation.rotate("A")
    with pytest.raises(ConflictError, match="by another rotator; finish that first"):
        rotation.attach("A", "another:")
    rotation.attach("A", URL, every=60)
    assert (rotation.status("A")[0].rotator, rotation.status("A")[0].every) == (URL, 60)
    assert rotation.resume("A").version == 2


def test_an_object_that_rotates_does_not_keep_another_rotator_from_being_attached(rotation, source):
    refuse_once(source, "set")
    with pytest.raises(RotationError):
        rotation.rotate("A", source)
    rotation.attach("A", "another:")
    rotation.resume("A", source)
    assert rotation.status("A")[0].rotator == "another:"


def test_a_rotator_is_detached_between_two_rotations_alone(rotation, source, secrets):
    rotation.attach("A", URL)
    refuse_once(source, "test")
    with pytest.raises(RotationError):
        rotation.rotate("A")
    with pytest.raises(ConflictError, match=r"being rotated \(set\); finish that first"):
        rotation.detach("A")
    rotation.resume("A")
    rotation.detach("A")
    assert secrets._access.engine.store.scan("rotation/") == []


def test_detaching_from_a_secret_without_rotator_changes_nothing(rotation, secrets):
    rotation.detach("A")
    assert not rotation.has_rotator("A")
    assert secrets._access.engine.store.scan("rotation/") == []


def test_a_secret_without_rotator_is_not_rotated_but_by_an_object(rotation, source, secrets):
    with pytest.raises(NotFoundError, match="has no rotator: pass one, or attach one"):
        rotation.rotate("A")
    assert secrets.get_secret("A") == "first"
    assert rotation.rotate("A", source).version == 2


def test_a_manager_that_was_made_without_rotators_says_how_to_get_one_with_them(secrets):
    with pytest.raises(NotFoundError, match=r"use strongroom\.open\(\)"):
        Rotation(secrets._access, None, 10).attach("A", "generate:")


def test_a_rotator_that_cannot_be_made_any_more_leaves_the_rotation_to_others(rotation, source, secrets):
    rotation.attach("A", URL)
    refuse_once(source, "set")
    with pytest.raises(RotationError):
        rotation.rotate("A")
    with pytest.raises(NotFoundError, match="without rotators"):
        Rotation(secrets._access, None, 10).resume("A")
    assert not rotation.status("A")[0].running
    assert rotation.resume("A").version == 2


def test_a_rotator_reads_another_secret_on_record_and_misses_none_in_silence(secrets, source, events):
    def connect(url, read):
        assert read("admin") == {"value": "password"}
        return source

    rotation = Rotation(secrets._access, connect, 10)
    with pytest.raises(strongroom.SecretNotFoundError, match="no secret 'admin', which a rotator needs"):
        rotation.attach("A", URL)
    secrets.set_secret("admin", "password")
    rotation.attach("A", URL)
    assert ("GET", "admin", "ok", None, 1) in events(secrets)


def test_the_value_of_a_caller_is_set_at_the_source_in_place_of_a_new_one(rotation, source, secrets):
    assert rotation.rotate("A", source, new_value="mine").version == 2
    assert "create" not in source.calls
    assert source.accepted() == [secrets.get_secret("A")] == ["mine"]
    with pytest.raises(RotationError, match="current already"):
        rotation.rotate("A", source, new_value="mine")
