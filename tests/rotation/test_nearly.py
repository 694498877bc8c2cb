"""A source that cuts or normalises values is found before promotion, where its rotator lets that be asked."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError
from strongroom.rotation.nearly import nearly, unlike
from strongroom.rotation.rotation import Rotation

KINDS = {
    "cuts": lambda text: text[:8],
    "cuts the last character": lambda text: text[:-1],
    "ignores case": str.lower,
    "keeps capitals": str.upper,
}


class Cutting:
    """A source that does something to values, when they are set and when they are tested."""

    tests_nearly = True

    def __init__(self, kept):
        self.kept = kept
        self.accepted = kept("first")
        self.asked = []

    def create(self, current):
        return {"value": "aBcDeFgHiJkLmNoPqRsTuVwXyZ"}

    def set(self, pending, current):
        self.accepted = self.kept(pending["value"])

    def test(self, pending):
        self.asked.append(pending["value"])
        if self.kept(pending["value"]) != self.accepted:
            raise ValueError

    def retire(self, previous, current):
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_source_does_to_values_is_found_and_undone(secrets, clock, kind):
    source = Cutting(KINDS[kind])
    rotation = Rotation(secrets._access, None, 10, clock=clock)
    with pytest.raises(RotationError, match=r"cuts values or ignores the case.*given the current value back"):
        rotation.rotate("A", source)
    assert (secrets.get_secret("A"), source.accepted) == ("first", source.kept("first"))
    rotation.abort("A", source)


def test_a_source_that_takes_values_as_they_are_is_asked_once_more(secrets, rotation):
    source = Cutting(str)
    assert rotation.rotate("A", source, wait=0).version == 2
    assert source.asked.count("aBcDeFgHiJkLmNoPqRsTuVwXyz") == 1
    assert len(source.asked) == 3, "the look, the test, and the nearly right value"


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_asks_where_the_rotator_does_not_say_so(secrets, rotation, kind):
    source = Cutting(KINDS[kind])
    source.tests_nearly = False
    assert rotation.rotate("A", source, wait=0).version == 2
    assert set(source.asked) == {"first", "aBcDeFgHiJkLmNoPqRsTuVwXyZ"}


def test_a_test_that_is_true_for_anything_is_no_sign_of_it(secrets, rotation):
    assert rotation.rotate("A", Cutting(lambda text: ""), wait=0).version == 2


@pytest.mark.parametrize(
    ("pending", "current", "near"),
    [
        ({"value": "abc1"}, {"value": "x"}, {"value": "abC1"}),
        ({"value": "1234"}, {"value": "x"}, None),
        ({"value": b"abc"}, {"value": b"x"}, None),
        ({"user": "b", "password": "new"}, {"user": "a", "password": "old"}, {"user": "b", "password": "neW"}),
        ({"value": "db://u:neW@h/db"}, {"value": "db://u:old@h/db"}, {"value": "db://u:new@h/db"}),
        ({"key": "abc", "id": 7}, {"key": "x", "id": 7}, {"key": "abC", "id": 7}),
        ({"value": "straß"}, {"value": "x"}, {"value": "strAß"}),
    ],
)
def test_the_new_value_is_what_is_changed(pending, current, near):
    assert nearly(pending, current) == near
    if near is not None:
        (field,) = [field for field in near if near[field] != pending[field]]
        other = unlike(pending, current)
        assert {name for name in other if other[name] != pending[name]} == {field}
        assert other[field].startswith(pending[field][:7] if "://" in pending[field] else "")
