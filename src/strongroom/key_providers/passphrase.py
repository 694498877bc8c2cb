"""`passphrase:`: the master key is derived from a passphrase with Argon2id.

Wrapped: `P`, version byte 1, memory (KiB), passes and lanes (4 bytes each, big-endian), salt (16 bytes), fingerprint of
the derived key (8 bytes), AES-256-GCM of the key bound to everything before it and the context.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from contextlib import suppress

from strongroom.crypto import Forged
from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.argon2 import FLOOR, STANDARD, Argon2Cost, argon2id
from strongroom.crypto.kdf import hkdf
from strongroom.errors import (
    InvalidKeyError,
    KeyProviderError,
    NewerFormatError,
    NoKeyError,
    TamperedError,
    WrongKeyError,
)
from strongroom.system.frames import methods_leave_no_values

VARIABLE = "STRONGROOM_PASSPHRASE"
SHORTEST = 12
_KIND = b"P"
_start = struct.Struct(">2sIII16s")


@methods_leave_no_values
class PassphraseProvider:
    """Asks for the passphrase once, and keeps only the keys derived from it, one for each salt it has met."""

    url = "passphrase:"

    def __init__(self, ask: Callable[[], str], cost: Argon2Cost = STANDARD) -> None:
        self._ask = ask
        self._cost = cost
        self._passphrase: str | None = None
        self._derived: dict[tuple[bytes, Argon2Cost], bytes] = {}

    def __repr__(self) -> str:
        return "PassphraseProvider()"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`. Refuses a passphrase of fewer than 12 characters."""
        check_length(self._given())
        start = _start.pack(_KIND + b"\x01", *self._cost, os.urandom(16))
        derived = self._derive(start)
        start += hkdf(derived, b"strongroom fingerprint")[:8]
        return start + _cipher(derived).encrypt(key, start + context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`."""
        if wrapped[:1] != _KIND:
            raise WrongKeyError("the root key was not wrapped with a passphrase")
        if wrapped[1:2] > b"\x01":
            raise NewerFormatError("the root key is wrapped in a format of a newer strongroom: upgrade it")
        start, sealed = wrapped[: _start.size + 8], wrapped[_start.size + 8 :]
        try:
            self._check_cost(start)
            derived = self._derive(start[: _start.size])
        except (ValueError, struct.error) as error:
            raise TamperedError(f"the wrapped root key is damaged: {error}; restore the store from a backup") from None
        if start[_start.size :] != hkdf(derived, b"strongroom fingerprint")[:8]:
            raise WrongKeyError("the passphrase is not the one that this was wrapped with")
        try:
            return _cipher(derived).decrypt(sealed, start + context)
        except Forged:
            raise TamperedError(
                "the passphrase is the right one, but the wrapped root key is damaged or from another store: "
                "restore the store from a backup"
            ) from None

    def _given(self) -> str:
        if self._passphrase is None:
            self._passphrase = self._ask()
        return self._passphrase

    def _check_cost(self, start: bytes) -> None:
        """Raise `ValueError` when guessing would be cheaper than for anything that this provider makes."""
        asked = Argon2Cost(*_start.unpack(start[: _start.size])[1:4])
        if any(cost < min(least, own) for cost, least, own in zip(asked, FLOOR, self._cost, strict=True)):
            raise ValueError("its cost parameters are below what strongroom accepts")

    def _derive(self, start: bytes) -> bytes:
        _, memory, passes, lanes, salt = _start.unpack(start)
        cost = Argon2Cost(memory, passes, lanes)
        if (salt, cost) not in self._derived:
            passphrase = self._given().encode("utf-8", "surrogateescape")
            try:
                self._derived[salt, cost] = argon2id(passphrase, salt, cost)
            except MemoryError:
                needed = f"{memory >> 10:,} MiB of memory, which are not free"
                raise KeyProviderError(f"the passphrase takes {needed}") from None
        return self._derived[salt, cost]


def check_length(passphrase: str) -> None:
    """Raise `InvalidKeyError` for a passphrase that is too short to lock a store with."""
    if len(passphrase) < SHORTEST:
        raise InvalidKeyError(
            f"the passphrase has fewer than {SHORTEST} characters; use a longer one, such as six random words"
        )


def _cipher(derived: bytes) -> AesGcm:
    return AesGcm(hkdf(derived, b"strongroom wrap"))


def connect(rest: str) -> PassphraseProvider:
    """Return the provider for `passphrase:` (the variable STRONGROOM_PASSPHRASE, else a prompt on the terminal) or
    `passphrase:PATH` (the first line of a file of mode 0600).
    """
    return PassphraseProvider(lambda: _from_file(rest) if rest else _from_variable_or_terminal())


def _from_file(path: str) -> str:
    from strongroom.key_providers.file import read_private

    return read_private(path).decode("utf-8", "surrogateescape").partition("\n")[0].rstrip("\r")


def _from_variable_or_terminal() -> str:
    import sys

    given = os.environ.get(VARIABLE)
    if not given and sys.stdin is not None and sys.stdin.isatty():
        from getpass import getpass

        with suppress(EOFError):
            given = getpass("Passphrase of the strongroom store: ")
    if not given:
        raise NoKeyError(f"no passphrase: set {VARIABLE}, name a file with passphrase:PATH, or use a terminal")
    return given
