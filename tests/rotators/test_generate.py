"""A value without a source."""

from __future__ import annotations

import pytest

from strongroom import drivers
from strongroom.errors import ConfigError, RotationError


def test_a_value_is_drawn_by_its_policy():
    value = drivers.rotator("generate:length=40&alphabet=hex", None).create({"value": "x"})["value"]
    assert len(value) == 40
    assert set(value) <= set("0123456789abcdef")


def test_a_passphrase_is_drawn_from_words():
    value = drivers.rotator("generate:alphabet=words&length=8", None).create({"value": "x"})["value"]
    assert value.count("-") >= 7
    assert drivers.rotator("generate:alphabet=words", None).create({"value": "x"})["value"].count("-") >= 5


def test_of_several_fields_the_password_is_new_and_the_others_stay():
    rotator = drivers.rotator("generate:", None)
    pending = rotator.create({"username": "a", "password": "b"})
    assert (pending["username"], len(pending["password"])) == ("a", 32)
    assert drivers.rotator("generate:field=token", None).create({"token": "a", "b": "c"})["b"] == "c"
    with pytest.raises(RotationError, match="no field 'value'"):
        rotator.create({"token": "a"})


@pytest.mark.parametrize(
    "rest",
    ["length=3", "length=x", "alphabet=words&length=4", "alphabet=klingon", "size=3", "length=32&length=33", "junk"],
)
def test_a_policy_that_cannot_be_is_refused(rest):
    with pytest.raises(ConfigError):
        drivers.rotator(f"generate:{rest}", None)


def test_an_attached_rotator_rotates_and_needs_no_grace_time(make_manager):
    manager = make_manager()
    manager.set_secret("A", "first")
    manager.rotation.attach("A", "generate:length=50", every=86400)
    assert manager.rotate_secret("A").version == 2
    assert len(manager.get_secret("A")) == 50
    (status,) = manager.rotation.status()
    assert (status.step, status.rotator) == ("idle", "generate:length=50")
    assert status.due == manager.history("A")[-1].created + 86400
    assert manager.rotation.due() == []
    manager.rotation.detach("A")
    assert manager.rotation.status() == []
    manager.rotate_secret("A")
    assert len(manager.get_secret("A")) == 32
