"""A look before the leap: what would go wrong is found before anything is changed."""

from __future__ import annotations

import threading

import pytest

from strongroom.errors import ConflictError, RotationError, SourceRefusedError
from strongroom.rotation.rotation import Rotation

from .source import Source


@pytest.fixture(params=["single", "alternating"])
def source(request, tmp_path):
    source = Source(tmp_path / "source", request.param)
    source.accept("the real one")
    return source


@pytest.fixture
def rotation(secrets, source, clock):
    return Rotation(secrets._access, lambda url, read: source, 10, clock=clock, timeout=5)


def test_a_value_that_the_source_refuses_is_found_before_anything_is_changed(rotation, source, secrets):
    with pytest.raises(SourceRefusedError, match="not rotated, and nothing was changed: the source refuses"):
        rotation.rotate("A", source)
    assert (source.accepted(), source.calls, secrets.get_secret("A")) == (["the real one"], [], "first")
    assert secrets._access.engine.store.scan("rotation/") == []


def test_a_rotator_whose_source_refuses_the_value_is_not_attached(rotation, source):
    with pytest.raises(RotationError, match="nothing was attached to 'A': the source refuses"):
        rotation.attach("A", "source:")
    assert not rotation.has_rotator("A")
    rotation.attach("A", "source:", force=True)
    with pytest.raises(RotationError, match="the source refuses"):
        rotation.check("A")
    status = rotation.status("A")[0]
    assert (status.step, status.error, status.reason) == (
        "idle", "SourceRefusedError", "the source refuses the current value",
    )  # fmt: skip
    source.accept("first")
    rotation.check("A")
    assert rotation.status("A")[0].error is None


def test_a_check_changes_nothing(rotation, source, secrets):
    source.accept("first")
    rotation.attach("A", "source:")
    rotation.check("A")
    assert (source.accepted(), source.calls, secrets.get_secret("A")) == (["first"], [], "first")
    assert len(secrets.history("A")) == 1


def test_a_rotator_without_a_check_of_its_own_is_asked_for_its_test(rotation, source, secrets):
    class Old:
        create, set, test, retire = source.create, source.set, source.test, source.retire

    with pytest.raises(RotationError, match="nothing was changed: the rotator raised ValueError"):
        rotation.rotate("A", Old())
    assert source.accepted() == ["the real one"]


def test_a_value_that_the_source_accepts_already_is_taken_over_from_the_operator(rotation, source, secrets, clock):
    rotation.attach("A", "source:", force=True)
    assert rotation.rotate("A", new_value="the real one", wait=0).version == 2
    clock.time += 3601
    if rotation.status("A")[0].step != "idle":
        rotation.retire("A")
    assert source.accepted() == [secrets.get_secret("A")] == ["the real one"]


def test_by_force_the_source_gets_a_new_value_although_it_refuses_the_current_one(rotation, source, secrets):
    rotation.rotate("A", source, force=True, wait=0)
    assert secrets.get_secret("A") in source.accepted()


def test_a_source_never_gets_a_value_that_it_did_not_have(rotation, source, secrets):
    def fail(*_):
        raise ConnectionError("no answer")

    source.set = fail
    with pytest.raises(RotationError, match="refused the current value before, and was not given it back"):
        rotation.rotate("A", source, force=True)
    with pytest.raises(RotationError, match=r"nothing to give back.*rotate abort A.*--force"):
        rotation.abort("A", source)
    assert source.accepted() == ["the real one"]
    rotation.abort("A", force=True)
    assert source.accepted() == ["the real one"]


def test_a_definite_no_ends_the_rotation_and_nothing_is_put_back(rotation, source, secrets):
    source.accept("first")

    def refuse(pending, current):
        source.calls.append("set")
        raise SourceRefusedError("the source wants longer passwords")

    source.set = refuse
    with pytest.raises(SourceRefusedError, match="'A' was not rotated, and nothing was changed: the source wants"):
        rotation.rotate("A", source)
    assert source.calls == ["create", "set"]
    assert secrets._access.engine.store.scan("rotation/") == []


def test_two_secrets_do_not_rotate_one_account(rotation, source, secrets):
    source.accept("first")
    source.accounts = ("the account",)
    secrets.set_secret("B", "first")
    rotation.attach("A", "source:")
    with pytest.raises(ConflictError, match="'B' cannot be rotated by this: 'A' rotates the account already"):
        rotation.attach("B", "source:")
    rotation.attach("A", "source:", every=60)
    rotation.detach("A")
    rotation.attach("B", "source:")


ATTEMPTS = {
    "check": lambda rotation: rotation.check("A"),
    "attach": lambda rotation: rotation.attach("A", "source:"),
    "rotate": lambda rotation: rotation.rotate("A"),
    "rotate by force": lambda rotation: rotation.rotate("A", force=True),
}


@pytest.mark.parametrize("how", ATTEMPTS)
@pytest.mark.parametrize("moment", ["in the middle", "at the end"])
def test_a_look_that_another_rotation_spoilt_is_no_failure_of_the_source(
    rotation, source, secrets, clock, how, moment
):  # fmt: skip
    """A source that has one value at a time refuses the current one from `set` of the other rotation on."""
    source.accept("first")
    source.strategy = "single"
    rotation.attach("A", "source:")
    check, other, go_on, is_set = source.check, Source(source.path), threading.Event(), threading.Event()

    def wait(pending):
        is_set.set()
        assert go_on.wait(20)

    other.test = wait if moment == "in the middle" else other.test
    others = Rotation(secrets._access, None, 10, clock=clock)
    thread = threading.Thread(target=others.rotate, args=("A", other), kwargs={"wait": 0})

    def behind(current):
        """The other one begins when we have read the store, and have not asked the source."""
        thread.start()
        if moment == "in the middle":
            assert is_set.wait(20)
        else:
            thread.join(20)
        return check(current)

    source.check = behind
    with pytest.raises(ConflictError, match="rotated or written by another process meanwhile"):
        ATTEMPTS[how](rotation)
    go_on.set()
    thread.join(20)
    assert source.accepted() == [secrets.get_secret("A")] != ["first"]
    assert (rotation.status("A")[0].step, rotation.status("A")[0].advice) == ("idle", None)
