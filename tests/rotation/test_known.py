"""The status says whenever it is not known that the source accepts the current value, and names what mends that."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError, SourceRefusedError
from strongroom.rotation import owner, steps
from strongroom.rotation.rotation import Rotation

from .source import Source


@pytest.fixture(params=["single", "alternating"])
def sources(request, tmp_path):
    found = {name: Source(tmp_path / name, request.param) for name in ("source:a", "source:b")}
    found["source:a"].accept("first")
    found["source:b"].accept("another's")
    return found


@pytest.fixture
def source(sources):
    return sources["source:a"]


@pytest.fixture
def secrets(secrets, sources, clock):
    secrets._rotation = Rotation(secrets._access, lambda url, read: sources[url], 10, clock=clock, timeout=5)
    secrets.rotation.attach("A", "source:a", grace=3600)
    return secrets


def advice(secrets):
    return secrets.rotation.status("A")[0].advice or ""


def test_another_source_that_is_attached_unseen_is_not_known(secrets):
    secrets.rotation.attach("A", "source:b", force=True)
    assert "not known whether its source accepts the current value: `strongroom rotate check A`" in advice(secrets)
    with pytest.raises(RotationError):
        secrets.rotation.check("A")
    assert "`strongroom rotate A --force`" in advice(secrets)
    secrets.rotation.rotate("A", force=True, wait=0)
    assert advice(secrets) == ""


def test_another_source_that_is_attached_in_the_grace_time_gets_the_current_value(secrets, sources):
    sources["source:a"].strategy = sources["source:b"].strategy = "alternating"
    secrets.rotation.rotate("A", wait=0)
    secrets.rotation.attach("A", "source:b", force=True)
    assert "`strongroom rotate resume A` asks it, and gives it that value once more" in advice(secrets)
    secrets.rotation.resume("A", wait=0)
    assert advice(secrets) == ""
    assert secrets.get_secret("A") in sources["source:b"].accepted()


def test_a_rotation_that_is_ended_in_the_middle_without_its_source_leaves_an_unknown_one(secrets, source):
    def fail(*_):
        raise ConnectionError("no answer")

    source.test = fail
    with pytest.raises(RotationError):
        secrets.rotation.rotate("A", wait=0)
    secrets.rotation.abort("A", force=True)
    assert "`strongroom rotate check A`" in advice(secrets)


def test_a_rotation_by_force_that_is_refused_leaves_the_current_value_unknown(secrets, source):
    source.accept("changed by hand")

    def refuse(pending, current):
        raise SourceRefusedError("the password is too short")

    source.set = refuse
    with pytest.raises(SourceRefusedError):
        secrets.rotation.rotate("A", force=True)
    assert "`strongroom rotate check A`" in advice(secrets)


@pytest.mark.parametrize("look", ["attach", "rollback"])
def test_a_look_that_finds_the_current_value_refused_is_kept(secrets, source, look):
    source.strategy = "alternating"
    if look == "rollback":
        secrets.rotation.rotate("A", wait=0)
    source.accept()
    with pytest.raises(RotationError):
        secrets.rollback("A", 1) if look == "rollback" else secrets.rotation.attach("A", "source:a", grace=3600)
    assert "refuses the current value" in advice(secrets)
    if look == "rollback":
        secrets.rotation.resume("A", wait=0)
    else:
        source.accept("first")
        secrets.rotation.attach("A", "source:a", grace=3600)
    assert advice(secrets) == ""


def test_a_version_that_is_gone_is_not_named_as_a_way_back(secrets):
    secrets.destroy_secret("A", [1])
    secrets.set_secret("A", "by hand")
    with pytest.raises(RotationError):
        secrets.rotation.check("A")
    assert "rollback" not in advice(secrets)
    secrets.rotation.rotate("A", force=True, wait=0)
    assert advice(secrets) == ""
    secrets.set_secret("A", "by hand again")
    assert "`strongroom rollback A 3`" in advice(secrets)


def test_what_was_written_in_the_grace_time_and_checked_is_known(secrets, source, clock):
    source.strategy = "alternating"
    secrets.rotation.rotate("A", wait=0)
    secrets.set_secret("A", "by hand")
    assert "was not told" in advice(secrets)
    source.accept(*source.accepted(), "by hand")
    secrets.rotation.check("A")
    assert advice(secrets) == ""
    clock.time += 3601
    secrets.rotation.retire("A")
    assert advice(secrets) == ""
    assert source.accepted() == ["by hand"]


def test_a_process_of_another_machine_that_has_claimed_a_rotation_hides_no_trouble(secrets, source, monkeypatch):
    source.accept()
    with pytest.raises(RotationError):
        secrets.rotation.check("A")
    before = advice(secrets)
    assert "refuses the current value" in before

    def dies(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(owner, "_machine", lambda: ("elsewhere", "another boot"))
        patch.setattr(source, "create", dies)
        patch.setattr(steps, "let_go", dies)
        with pytest.raises((KeyboardInterrupt, RotationError)):
            secrets.rotation.rotate("A", force=True)
    assert secrets.rotation.status("A")[0].running
    assert advice(secrets) == before
