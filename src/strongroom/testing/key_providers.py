"""The suite for key providers: what `strongroom.protocols.KeyProvider` promises, as tests.

    class TestMyProvider(KeyProviderSuite):
        def make(self, place): return MyProvider(...)           # with a key
        def other(self, place): return MyProvider(...)          # of the same kind, with another key
        def without_key(self, place): return MyProvider(...)    # nobody has given it a key
        def without_answer(self, place): return MyProvider(...) # its service is unreachable
        def hidden(self, place): return [key_as_text]           # what must not be seen anywhere

`place` is an empty directory of the test.
"""

from __future__ import annotations

import os
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import pytest

from strongroom.errors import (
    KeyProviderError,
    NewerFormatError,
    NoKeyError,
    StrongroomError,
    TamperedError,
    WrongKeyError,
)
from strongroom.protocols import KeyProvider
from strongroom.testing.store_case import in_child
from strongroom.urls import shows_credentials

CONTEXT = b"strongroom/1\0the context"
REFUSALS = (WrongKeyError, TamperedError, NewerFormatError)


class KeyProviderSuite:
    """What holds for every key provider. Override `make`, `other` and `hidden`; the others where they apply."""

    def make(self, place: Path) -> KeyProvider:
        """Return a provider that has a key; called twice with the same `place`, two of the same key."""
        raise NotImplementedError

    def other(self, place: Path) -> KeyProvider:
        """Return a provider of the same kind with another key."""
        raise NotImplementedError

    def hidden(self, place: Path) -> Sequence[str | bytes]:
        """Return what must not be seen: the key of `make`, a passphrase, a token of its service."""
        raise NotImplementedError

    def without_key(self, place: Path) -> KeyProvider | None:
        """Return a provider that nobody has given a key; None where there can be none."""
        return None

    def without_answer(self, place: Path) -> KeyProvider | None:
        """Return a provider whose service does not answer; None where it asks nobody."""
        return None

    @pytest.fixture
    def provider(self, tmp_path: Path) -> KeyProvider:
        """Give a provider with a key."""
        return self.make(tmp_path)

    @pytest.fixture
    def key(self) -> bytes:
        """Give a key to wrap."""
        return os.urandom(32)

    # Keys

    def test_a_wrapped_key_comes_back(self, provider: KeyProvider, key: bytes) -> None:
        """The very same bytes."""
        unwrapped = provider.unwrap(provider.wrap(key, CONTEXT), CONTEXT)
        assert (unwrapped, type(unwrapped)) == (key, bytes)

    def test_another_object_with_the_same_key_unwraps_it(
        self, provider: KeyProvider, key: bytes, tmp_path: Path
    ) -> None:
        """As in another process, or after a restart."""
        assert self.make(tmp_path).unwrap(provider.wrap(key, CONTEXT), CONTEXT) == key

    def test_two_wraps_of_a_key_differ(self, provider: KeyProvider, key: bytes) -> None:
        """Or it would show that two stores have one root key."""
        assert provider.wrap(key, CONTEXT) != provider.wrap(key, CONTEXT)

    def test_an_empty_context_is_a_context(self, provider: KeyProvider, key: bytes) -> None:
        """`init` asks with it whether there is a usable key."""
        assert provider.unwrap(provider.wrap(key, b""), b"") == key

    # Refusals

    def test_another_key_is_a_wrong_key(self, provider: KeyProvider, key: bytes, tmp_path: Path) -> None:
        """And no missing one."""
        self._refused(self.other(tmp_path), provider.wrap(key, CONTEXT), WrongKeyError)

    def test_another_context_is_tampering(self, provider: KeyProvider, key: bytes) -> None:
        """A wrap that was moved to another store, recipient or root key."""
        wrapped = provider.wrap(key, CONTEXT)
        for context in (b"", CONTEXT + b"x", CONTEXT[:-1]):
            self._refused(provider, wrapped, TamperedError, context=context)

    def test_a_damaged_wrap_is_tampering(self, provider: KeyProvider, key: bytes) -> None:
        """Its last byte is ciphertext or a tag."""
        wrapped = provider.wrap(key, CONTEXT)
        self._refused(provider, wrapped[:-1] + bytes([wrapped[-1] ^ 1]), TamperedError)

    def test_no_byte_of_a_wrap_can_be_changed(self, provider: KeyProvider, key: bytes) -> None:
        """Nor left out, nor added."""
        wrapped = provider.wrap(key, CONTEXT)
        for at in range(len(wrapped)):
            self._refused(provider, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :], REFUSALS)
        for changed in (wrapped[:-1], wrapped[: len(wrapped) // 2], wrapped + b"\0"):
            self._refused(provider, changed, REFUSALS)

    @pytest.mark.parametrize("wrapped", [b"", b"\0" * 61, b"?" + b"\x01" * 80], ids=["empty", "zeros", "another's"])
    def test_the_wrap_of_another_provider_is_not_mine(self, provider: KeyProvider, wrapped: bytes) -> None:
        """A store tries each recipient's wrap in turn: an error that is no `WrongKeyError` would end that."""
        self._refused(provider, wrapped, WrongKeyError)

    def test_no_key_is_said_to_be_none(self, key: bytes, tmp_path: Path) -> None:
        """Then, and only then, `get_secret_or_env` may answer from the environment."""
        provider = self._or_skip(self.without_key(tmp_path), "this kind always has a key")
        with pytest.raises(NoKeyError):
            provider.wrap(key, CONTEXT)

    def test_no_answer_is_never_no_key(self, provider: KeyProvider, key: bytes, tmp_path: Path) -> None:
        """Or an outage would let services go on with their defaults."""
        wrapped = provider.wrap(key, CONTEXT)
        silent = self._or_skip(self.without_answer(tmp_path), "this kind asks nobody")
        with pytest.raises(KeyProviderError):
            silent.unwrap(wrapped, CONTEXT)
        with pytest.raises(KeyProviderError):
            silent.wrap(key, CONTEXT)

    # What is seen

    def test_its_url_is_a_label(self, provider: KeyProvider, tmp_path: Path) -> None:
        """The store's header keeps it in clear."""
        assert ":" in provider.url
        assert not shows_credentials(provider.url)
        assert _seen(provider.url, self.hidden(tmp_path)) == []

    def test_a_repr_shows_no_key(self, provider: KeyProvider, key: bytes, tmp_path: Path) -> None:
        """After it was used, too."""
        provider.unwrap(provider.wrap(key, CONTEXT), CONTEXT)
        for text in (repr(provider), str(provider), repr([provider])):
            assert _seen(text, [*self.hidden(tmp_path), key]) == []

    def test_no_error_leads_to_a_key(self, provider: KeyProvider, key: bytes, tmp_path: Path) -> None:
        """Neither its words nor the frames that it passed hold the master key or the wrapped one."""
        wrapped, hidden = provider.wrap(key, CONTEXT), self.hidden(tmp_path)
        forged = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
        calls: list[tuple[KeyProvider | None, bytes]] = [
            (provider, forged), (provider, b"?"), (self.other(tmp_path), wrapped),
            (self.without_key(tmp_path), wrapped), (self.without_answer(tmp_path), wrapped),
        ]  # fmt: skip
        for asked, given in calls:
            if asked is None:
                continue
            with pytest.raises(StrongroomError) as caught:
                asked.unwrap(given, CONTEXT)
            found = [text for text in _all_of(caught.value) if _seen(text, [*hidden, key])]
            assert len(found) == 0, "an error or a frame shows a key"

    # Processes and threads

    def test_a_child_of_fork_unwraps(self, provider: KeyProvider, key: bytes) -> None:
        """What the parent had open is not shared."""
        wrapped = provider.wrap(key, CONTEXT)

        def child() -> None:
            assert provider.unwrap(wrapped, CONTEXT) == key

        assert in_child(child) == 0
        assert provider.unwrap(wrapped, CONTEXT) == key

    def test_threads_use_one_provider_at_once(self, provider: KeyProvider) -> None:
        """Each gets its own key back."""
        wrong: list[object] = []

        def work() -> None:
            try:
                for number in range(5):
                    mine, context = os.urandom(32), b"%d" % number
                    if provider.unwrap(provider.wrap(mine, context), context) != mine:
                        wrong.append(number)
            except StrongroomError as error:
                wrong.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def _refused(
        self, provider: KeyProvider, wrapped: bytes, kinds: type[Exception] | tuple[type[Exception], ...],
        context: bytes = CONTEXT,
    ) -> None:  # fmt: skip
        with pytest.raises(kinds) as caught:
            provider.unwrap(wrapped, context)
        assert not isinstance(caught.value, NoKeyError), "a key that was given is no missing one"

    @staticmethod
    def _or_skip(provider: KeyProvider | None, why: str) -> KeyProvider:
        if provider is None:
            pytest.skip(why)
        return provider


def _seen(text: str, hidden: Sequence[str | bytes]) -> list[int]:
    """Return which of these are in a text: as they are, as Python writes bytes, in hexadecimal or base64."""
    return [number for number, secret in enumerate(hidden) if any(form in text for form in _forms(secret))]


def _forms(secret: str | bytes) -> Iterator[str]:
    raw = secret.encode() if isinstance(secret, str) else secret
    yield from (
        repr(raw)[2:-1],
        raw.hex(),
        b64encode(raw).decode().rstrip("="),
        urlsafe_b64encode(raw).decode().rstrip("="),
    )
    if isinstance(secret, str):
        yield secret


def _all_of(error: BaseException) -> Iterator[str]:
    """Yield the words of an error and of those behind it, and what the frames that they passed still hold."""
    behind: BaseException | None = error
    while behind is not None:
        yield from (str(behind), repr(behind.args), repr(vars(behind)))
        yield from _frames(behind.__traceback__)
        behind = behind.__cause__ or behind.__context__


def _frames(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        code, held = traceback.tb_frame.f_code, traceback.tb_frame.f_locals
        # The frames of tests hold the key that they wrap.
        if code.co_filename != __file__ and "/_pytest/" not in code.co_filename:
            for value in held.values():
                yield repr(value)
                if type(value).__module__.partition(".")[0] not in ("builtins", "_io") and hasattr(value, "__dict__"):
                    yield from (repr(each) for each in vars(value).values() if isinstance(each, str | bytes))
        traceback = traceback.tb_next
