"""Whose password a secret is."""

from __future__ import annotations

import pytest

from strongroom.errors import RotationError
from strongroom.rotators.accounts import Accounts, Login, administrator
from strongroom.rotators.values import Policy

TWO = Accounts("a", "b")


def test_a_login_shows_no_password():
    for shown in (repr(Login("app", "hidden")), str(Login("app", "hidden")), f"{[Login('app', 'hidden')]}"):
        assert "hidden" not in shown


def test_two_accounts_take_turns():
    first = TWO.pending({"username": "a", "password": "x", "host": "h"}, Policy())
    assert (first["username"], first["host"]) == ("b", "h")
    assert TWO.pending(first, Policy())["username"] == "a"
    with pytest.raises(RotationError, match="neither 'a' nor 'b'"):
        TWO.pending({"value": "x"}, Policy())


@pytest.mark.parametrize(
    "data", [{}, {"value": ""}, {"value": b"x"}, {"value": "x\0"}, {"username": "c", "value": "x"}]
)
def test_what_logs_nobody_in_is_an_error(data):
    with pytest.raises(RotationError):
        TWO.login(data)


def test_an_administrator_needs_a_text():
    with pytest.raises(RotationError, match="the administrator's secret"):
        administrator(lambda name: {"value": b"x"}, "admin")()
    assert administrator(lambda name: {"user": "u", "password": "p"}, "admin")() == "p"
    assert administrator(lambda name: {}, None) is None
