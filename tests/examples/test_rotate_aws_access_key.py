"""The example of a program whose vendor makes the keys: none is left over, and none of somebody else is touched."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from strongroom import drivers
from strongroom.errors import RotationError, SourceRefusedError
from strongroom.testing.rotators import RotatorSuite

PROGRAM = Path(__file__).parents[2] / "examples" / "rotators" / "aws_access_key.py"
FAKE = Path(__file__).parent / "fake_aws"
FIRST = {"user": "billing", "access_key_id": "AKIA0FIRST", "secret_access_key": "the first secret"}


class Aws:
    """What AWS has, in a file."""

    def __init__(self, path):
        self._path = path
        first = {"secret": FIRST["secret_access_key"], "status": "Active"}
        self.write({"users": {"billing": {FIRST["access_key_id"]: first}}, "tags": {}, "faults": {}, "calls": []})

    def read(self):
        return json.loads(self._path.read_text())

    def write(self, state):
        self._path.write_text(json.dumps(state))

    @property
    def keys(self):
        return {name: key["status"] for name, key in self.read()["users"]["billing"].items()}

    def fail(self, **faults):
        self.write({**self.read(), "faults": faults})

    def add(self, name, status):
        state = self.read()
        state["users"]["billing"][name] = {"secret": "of somebody", "status": status}
        self.write(state)

    def accepts(self, data):
        key = self.read()["users"]["billing"].get(data["access_key_id"])
        return key == {"secret": data["secret_access_key"], "status": "Active"}


@pytest.fixture
def aws(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("AWS_KEY_PATIENCE", "0")
    monkeypatch.setenv("FAKE_AWS", str(tmp_path / "aws.json"))
    return Aws(tmp_path / "aws.json")


@pytest.fixture
def rotator(aws, safe_directory):
    path = safe_directory / "aws_access_key.py"
    path.write_text(PROGRAM.read_text().replace("#!/usr/bin/env python3", f"#!{sys.executable} -S", 1))
    path.chmod(0o755)
    return drivers.rotator(f"command:{path}", None)


class TestAwsAccessKey(RotatorSuite):
    @pytest.fixture
    def rotator(self, rotator, aws):
        self.aws = aws
        return rotator

    @pytest.fixture
    def current(self):
        return FIRST

    def accepts(self, data):
        return self.aws.accepts(data)

    # The suite gives the field that it changes one of two names.
    test_a_value_that_is_nearly_the_one_that_was_set_fails_its_test = None


@pytest.mark.parametrize("field", ["access_key_id", "secret_access_key"])
def test_a_key_that_is_nearly_the_one_that_was_set_fails_its_test(rotator, field):
    made = rotator.create(FIRST)
    rotator.set(made, FIRST)
    with pytest.raises(RotationError, match="AWS does not accept the key: InvalidClientTokenId"):
        rotator.test({**made, field: made[field][:-1]})


@pytest.mark.parametrize("call", ["create_access_key", "update_access_key"])
def test_a_key_whose_answer_was_lost_is_not_left_over(rotator, aws, call):
    rotator.about("aws/billing", "one")
    aws.fail(**{call: "lost"})
    with pytest.raises(RotationError, match="signal 9"):
        rotator.create(FIRST)
    assert len(aws.keys) == 2
    made = rotator.create(FIRST)
    assert aws.keys == {FIRST["access_key_id"]: "Active", made["access_key_id"]: "Inactive"}


@pytest.mark.parametrize("tag", ["", "another"])
def test_a_key_of_somebody_else_is_not_touched(rotator, aws, tag):
    aws.add("AKIAOTHER", "Active")
    aws.write({**aws.read(), "tags": {"strongroom-rotation": tag}})
    for rotation in ("one", ""):
        rotator.about("aws/billing", rotation)
        with pytest.raises(SourceRefusedError, match="another active key"):
            rotator.create(FIRST)
    assert aws.keys == {FIRST["access_key_id"]: "Active", "AKIAOTHER": "Active"}


def test_a_key_that_is_inactive_makes_room(rotator, aws):
    aws.add("AKIAOLD", "Inactive")
    made = rotator.create(FIRST)
    assert set(aws.keys) == {FIRST["access_key_id"], made["access_key_id"]}


@pytest.mark.parametrize("lost", [False, True])
def test_a_key_that_no_rotation_uses_is_deleted(rotator, aws, lost):
    made = rotator.create(FIRST)
    if lost:
        aws.fail(delete_access_key="lost")
        with pytest.raises(RotationError):
            rotator.discard(made, FIRST)
    rotator.discard(made, FIRST)
    assert aws.keys == {FIRST["access_key_id"]: "Active"}


def test_a_key_that_is_gone_is_retired(rotator, aws):
    made = rotator.create(FIRST)
    rotator.set(made, FIRST)
    rotator.discard(FIRST, made)
    rotator.retire(FIRST, made)


@pytest.mark.parametrize(
    ("call", "code", "is_definite"),
    [
        ("list_access_keys", "AccessDenied", True), ("list_access_keys", "NoSuchEntity", True),
        ("list_access_keys", "Throttling", True), ("tag_user", "AccessDenied", True),
        ("create_access_key", "LimitExceeded", False), ("update_access_key", "AccessDenied", False),
        ("list_access_keys", "InternalFailure", False),
    ],
)  # fmt: skip
def test_a_no_before_any_change_is_a_definite_one(rotator, aws, call, code, is_definite):
    aws.fail(**{call: code})
    with pytest.raises(RotationError, match=code) as caught:
        rotator.create(FIRST)
    assert isinstance(caught.value, SourceRefusedError) == is_definite


def test_five_rotations_leave_two_keys(rotator, aws, make_manager, monkeypatch):
    manager = make_manager()
    manager.set_secret("aws/billing", FIRST)
    manager.rotation.attach("aws/billing", f"command:{rotator._path}", grace=0)
    seen = set()
    for _ in range(5):
        manager.rotate_secret("aws/billing")
        data = manager.get_data("aws/billing")
        assert aws.accepts(data)
        assert data["user"] == "billing"
        seen.add(data["access_key_id"])
        assert sorted(aws.keys.values()) == ["Active", "Inactive"]
    assert len(seen) == 5
