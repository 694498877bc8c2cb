import pytest

from strongroom.errors import ConfigError, InvalidKeyError, NoKeyError, WrongKeyError
from strongroom.key_providers.env import EnvKeyProvider, connect

ROOT = bytes(range(32))


def test_what_it_wraps_it_unwraps(master_key):
    provider = connect("SECRETS_MASTER_KEY")
    assert provider.unwrap(provider.wrap(ROOT, b"place"), b"place") == ROOT


def test_it_reads_the_variable_each_time(master_key, monkeypatch):
    provider = connect("SECRETS_MASTER_KEY")
    wrapped = provider.wrap(ROOT, b"")
    monkeypatch.setenv("SECRETS_MASTER_KEY", "A" * 43 + "=")
    with pytest.raises(WrongKeyError, match="from env:SECRETS_MASTER_KEY is not the one"):
        provider.unwrap(wrapped, b"")


@pytest.mark.parametrize(("value", "state"), [(None, "not set"), ("", "empty")])
def test_without_a_key_it_says_how_to_give_one(monkeypatch, value, state):
    monkeypatch.delenv("SECRETS_MASTER_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SECRETS_MASTER_KEY", value)
    with pytest.raises(NoKeyError, match=rf"SECRETS_MASTER_KEY is {state}\. Export it.*--key"):
        connect("SECRETS_MASTER_KEY").wrap(ROOT, b"")


def test_what_is_no_key_is_not_shown(monkeypatch):
    monkeypatch.setenv("SECRETS_MASTER_KEY", "correct horse battery")
    with pytest.raises(InvalidKeyError, match="strongroom keygen") as caught:
        connect("SECRETS_MASTER_KEY").wrap(ROOT, b"")
    assert "horse" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("variable", ["", "A=B", "A\0", "A\nB", "\ud800"])
def test_what_no_environment_can_hold_is_refused(variable):
    with pytest.raises(ConfigError, match="name of a variable"):
        EnvKeyProvider(variable)


def test_neither_repr_nor_attributes_hold_the_key(master_key):
    provider = connect("SECRETS_MASTER_KEY")
    provider.wrap(ROOT, b"")
    assert repr(provider) == "EnvKeyProvider(SECRETS_MASTER_KEY)"
    assert master_key not in str(vars(provider))
