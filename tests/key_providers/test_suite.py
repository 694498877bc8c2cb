"""The providers that are shipped pass the suite that is shipped; providers with mistakes do not."""

from __future__ import annotations

import errno
import os

import pytest

from strongroom import generate_master_key
from strongroom.crypto.argon2 import Argon2Cost
from strongroom.crypto.master_key import parse_key
from strongroom.errors import KeyProviderError, NoKeyError, WrongKeyError
from strongroom.key_providers import file as key_file
from strongroom.key_providers import passphrase as passphrases
from strongroom.key_providers.env import EnvKeyProvider
from strongroom.key_providers.file import FileKeyProvider
from strongroom.key_providers.passphrase import PassphraseProvider
from strongroom.testing.key_providers import KeyProviderSuite

PASSPHRASE = "correct horse battery staple"
CHEAP = Argon2Cost(64, 1, 1)


class TestEnv(KeyProviderSuite):
    @pytest.fixture(autouse=True)
    def variables(self, monkeypatch):
        self.key_text = generate_master_key()
        monkeypatch.setenv("SUITE_KEY", self.key_text)
        monkeypatch.setenv("SUITE_OTHER", generate_master_key())
        monkeypatch.delenv("SUITE_NONE", raising=False)

    def make(self, place):
        return EnvKeyProvider("SUITE_KEY")

    def other(self, place):
        return EnvKeyProvider("SUITE_OTHER")

    def without_key(self, place):
        return EnvKeyProvider("SUITE_NONE")

    def hidden(self, place):
        return [self.key_text, parse_key(self.key_text)]


class TestFile(KeyProviderSuite):
    @pytest.fixture(autouse=True)
    def patching(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def make(self, place):
        return self._provider(place, "master.key")

    def other(self, place):
        return self._provider(place, "other.key")

    def without_key(self, place):
        return FileKeyProvider(f"{place}/none.key")

    def without_answer(self, place):
        provider = self._provider(place, "stale.key")

        def open_it(path, flags, *more, real=os.open):
            if path == provider.path:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return real(path, flags, *more)

        self.monkeypatch.setattr(key_file.os, "open", open_it)
        return provider

    def hidden(self, place):
        text = (place / "master.key").read_text().strip() if (place / "master.key").exists() else "no key yet, none"
        return [text]

    def _provider(self, place, name):
        if not (place / name).exists():
            key_file.create(f"{place}/{name}", generate_master_key())
        return FileKeyProvider(f"{place}/{name}")


class TestPassphrase(KeyProviderSuite):
    @pytest.fixture(autouse=True)
    def patching(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def make(self, place):
        return PassphraseProvider(lambda: PASSPHRASE, CHEAP)

    def other(self, place):
        return PassphraseProvider(lambda: PASSPHRASE + "s", CHEAP)

    def without_key(self, place):
        self.monkeypatch.delenv(passphrases.VARIABLE, raising=False)
        self.monkeypatch.setattr("sys.stdin", None)
        return passphrases.connect("")

    def without_answer(self, place):
        def no_memory(*_):
            raise MemoryError

        self.monkeypatch.setattr(passphrases, "argon2id", no_memory)
        return self.make(place)

    def hidden(self, place):
        return [PASSPHRASE]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT])
def test_a_key_file_that_cannot_be_read_now_is_no_missing_key(tmp_path, monkeypatch, number):
    key_file.create(f"{tmp_path}/master.key", generate_master_key())

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(key_file.os, "open", fail)
    with pytest.raises(KeyProviderError, match="cannot be read now"):
        FileKeyProvider(f"{tmp_path}/master.key").wrap(bytes(32), b"")


class Careless(EnvKeyProvider):
    """Everything that a provider can do wrong, one at a time."""

    def __init__(self, fault):
        super().__init__("SUITE_KEY")
        self.fault = fault

    def __repr__(self):
        return f"Careless({os.environ['SUITE_KEY']})" if self.fault == "repr" else "Careless()"

    def wrap(self, key, context):
        return super().wrap(key, b"" if self.fault == "context" else context)

    def unwrap(self, wrapped, context):
        if self.fault == "not mine" and wrapped[:1] != b"M":
            raise ValueError("what is this?")
        if self.fault == "no key":
            raise NoKeyError("the service is down")
        try:
            return super().unwrap(wrapped, b"" if self.fault == "context" else context)
        except WrongKeyError as error:
            if self.fault == "words":
                raise WrongKeyError(f"{os.environ['SUITE_KEY']} is wrong") from error
            raise


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("repr", "test_a_repr_shows_no_key"),
        ("context", "test_another_context_is_tampering"),
        ("not mine", "test_the_wrap_of_another_provider_is_not_mine"),
        ("no key", "test_no_answer_is_never_no_key"),
        ("words", "test_no_error_leads_to_a_key"),
    ],
)
def test_the_suite_finds_the_fault(tmp_path, monkeypatch, fault, test):
    text = generate_master_key()
    monkeypatch.setenv("SUITE_KEY", text)
    monkeypatch.setenv("SUITE_OTHER", generate_master_key())
    suite = KeyProviderSuite()
    suite.make = lambda place: Careless(fault)
    suite.other = lambda place: EnvKeyProvider("SUITE_OTHER")
    suite.without_answer = lambda place: Careless("no key") if fault == "no key" else None
    suite.hidden = lambda place: [text]
    provider, key = Careless("" if fault == "no key" else fault), bytes(range(32))
    given = {"provider": provider, "key": key, "tmp_path": tmp_path, "wrapped": b"?" * 61}
    method = getattr(suite, test)
    names = method.__code__.co_varnames[1 : method.__code__.co_argcount]
    with pytest.raises((AssertionError, ValueError, NoKeyError, pytest.fail.Exception)):
        method(**{name: given[name] for name in names})
