"""The two users of the attacks are what they claim to be."""

from __future__ import annotations

import os

import pytest

from .conftest import STRANGER, VICTIM, as_user, strongroom_as, two_users

pytestmark = two_users


def test_a_stranger_can_write_beside_the_victims_home_but_not_in_it(shared, home):
    def attack():
        (shared / "planted").write_text("")
        with pytest.raises(PermissionError):
            (home / "planted").write_text("")

    as_user(STRANGER, attack)
    assert (shared / "planted").stat().st_uid == STRANGER


def test_the_victim_can_use_the_command_line(home):
    done = strongroom_as(VICTIM, "init", "--generate-key", cwd=home)
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in home.iterdir()} == {VICTIM}
    assert strongroom_as(STRANGER, "list", cwd=home).returncode != 0


def test_no_right_of_root_is_left():
    def try_to_come_back():
        with pytest.raises(PermissionError):
            os.setuid(0)

    as_user(STRANGER, try_to_come_back)
