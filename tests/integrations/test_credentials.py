"""A secret is a password, or a user name and a password."""

from __future__ import annotations

import pytest

from strongroom import InvalidValueError
from strongroom.integrations._credentials import credentials


def test_a_text_is_a_password():
    assert credentials("pw") == (None, "pw")
    assert credentials("pw").arguments == {"password": "pw"}


def test_fields_are_user_name_and_password():
    assert credentials({"username": "app", "password": "pw", "host": "db"}) == ("app", "pw")
    assert credentials({"username": "app", "password": "pw"}).arguments == {"user": "app", "password": "pw"}


def test_the_password_may_be_the_field_that_is_read_without_a_name():
    assert credentials({"username": "app", "value": "pw"}) == ("app", "pw")
    assert credentials({"username": "app", "value": "no", "password": "pw"}) == ("app", "pw")


@pytest.mark.parametrize("value", [b"bytes", {"pass": "x-hidden"}, {"password": 1}, None])
def test_anything_else_is_refused_without_showing_it(value):
    with pytest.raises(InvalidValueError) as caught:
        credentials(value)
    assert "hidden" not in str(caught.value)


def test_credentials_do_not_show_the_password():
    assert repr(credentials({"username": "app", "password": "pw-hidden"})) == (
        "Credentials(username='app', password=**********)"
    )
