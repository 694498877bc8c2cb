"""keyring keeps passwords in a store, when it is told to and only then."""

from __future__ import annotations

import pytest

keyring = pytest.importorskip("keyring")

from keyring.backends.fail import Keyring as NoKeyring  # noqa: E402
from keyring.errors import PasswordDeleteError  # noqa: E402

from strongroom import InvalidNameError  # noqa: E402
from strongroom.integrations.keyring import StrongroomKeyring  # noqa: E402


@pytest.fixture
def backend(secrets):
    before = keyring.get_keyring()
    keyring.set_keyring(StrongroomKeyring(secrets))
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("service", "username", "name"),
    [
        ("system", "alice", "keyring/system/alice"),
        ("https://host/path", "a/b", "keyring/https:%2F%2Fhost%2Fpath/a%2Fb"),
        ("a", "b/c", "keyring/a/b%2Fc"),
        ("a/b", "c", "keyring/a%2Fb/c"),
        ("ünïcode", "me@host\n", "keyring/%C3%BCn%C3%AFcode/me@host%0A"),
    ],
)
def test_a_password_is_set_read_and_deleted_through_keyring(backend, secrets, service, username, name):
    assert keyring.get_password(service, username) is None
    keyring.set_password(service, username, "pä")
    assert keyring.get_password(service, username) == "pä"
    assert secrets.get_secret(name) == "pä"
    assert keyring.get_credential(service, username).password == "pä"
    keyring.delete_password(service, username)
    assert keyring.get_password(service, username) is None
    with pytest.raises(PasswordDeleteError):
        keyring.delete_password(service, username)


def test_an_empty_user_is_refused(secrets):
    with pytest.raises(InvalidNameError):
        StrongroomKeyring(secrets).get_password("service", "")


def test_keyring_does_not_choose_it_by_itself():
    assert StrongroomKeyring.priority < NoKeyring.priority
