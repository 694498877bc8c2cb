"""The keyset (`system/keyset`): every key below the root key, each with an id, a purpose and a state."""

from __future__ import annotations

import json
import struct
from binascii import a2b_base64, b2a_base64
from os import urandom
from typing import TYPE_CHECKING

from strongroom.crypto import Forged
from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.kdf import hkdf
from strongroom.errors import InvalidInputError, NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.model import KEYSET
from strongroom.records.context import context
from strongroom.system.frozen import Frozen

if TYPE_CHECKING:
    from strongroom.crypto.cipher import Cipher

RECORD, MANIFEST_KEY, AUDIT_KEY = "record", "manifest", "audit"
ALGORITHMS = ("aes-256-gcm", "fernet")
_prefix = struct.Struct(">BI")


class Key(Frozen):
    """One key of the keyset."""

    __slots__ = ("id", "purpose", "algorithm", "state", "created", "secret")  # noqa: RUF023

    def __init__(self, number: int, purpose: str, algorithm: str, state: str, created: float, secret: bytes) -> None:
        self.id = number
        self.purpose = purpose
        """`record`, `manifest` or `audit`."""
        self.algorithm = algorithm
        self.state = state
        """`primary` encrypts and decrypts, `enabled` decrypts, `disabled` is kept unused, `destroyed` has no bytes."""
        self.created = created
        self.secret = secret

    def __repr__(self) -> str:
        return f"Key({self.id}, {self.purpose}, {self.algorithm}, {self.state})"


class Keyset:
    """The keys of one store, by id. Immutable; a change makes a new one."""

    __slots__ = ("_ciphers", "keys", "primary")

    def __init__(self, keys: dict[int, Key]) -> None:
        self.keys = keys
        self.primary = self.newest(RECORD)
        self._ciphers = {key.id: _cipher(key) for key in keys.values() if _usable(key)}

    def __repr__(self) -> str:
        return f"Keyset({list(self.keys.values())})"

    def cipher(self, number: int) -> Cipher:
        """Return the cipher of the record key `number`; raises `UnknownKeyIdError`."""
        try:
            return self._ciphers[number]
        except KeyError:
            key = self.keys.get(number)
            state = f"is {key.state}" if key else "is not in the keyset"
            raise UnknownKeyIdError(f"data key {number} {state}") from None

    def newest(self, purpose: str) -> Key:
        """Return the primary key of a purpose."""
        return next(key for key in self.keys.values() if key.purpose == purpose and key.state == "primary")

    def secrets(self, purpose: str) -> dict[int, bytes]:
        """Return id → key bytes of every usable key of a purpose, oldest first."""
        return {key.id: key.secret for key in self.keys.values() if key.purpose == purpose and key.secret}

    def with_new(self, purpose: str, algorithm: str, now: float) -> Keyset:
        """Return the keyset with a new primary key of `purpose`; the primary before it stays enabled."""
        return Keyset(_with_new(self.keys, purpose, algorithm, now))

    def with_destroyed(self, ids: set[int]) -> Keyset:
        """Return the keyset without the bytes of these keys; what they encrypted is lost for good."""
        return Keyset(
            {
                key.id: key._replace(state="destroyed", secret=b"") if key.id in ids else key
                for key in self.keys.values()
            }
        )

    @classmethod
    def generate(cls, algorithm: str, now: float) -> Keyset:
        """Return a first keyset: one primary key for each purpose."""
        keys = _with_new({}, RECORD, algorithm, now)
        for purpose in (MANIFEST_KEY, AUDIT_KEY):
            keys = _with_new(keys, purpose, "aes-256-gcm", now)
        return cls(keys)

    def encrypt(self, root: bytes, number: int, store: str) -> bytes:
        """Return the keyset under root key `number`: version byte, root number, AES-256-GCM of a JSON document."""
        rows = [
            [key.id, key.purpose, key.algorithm, key.state, key.created, b2a_base64(key.secret, newline=False).decode()]
            for key in self.keys.values()
        ]
        return _prefix.pack(1, number) + _wrapping(root).encrypt(
            json.dumps({"keys": rows}).encode(), _context(store, number)
        )

    @classmethod
    def decrypt(cls, stored: bytes, root: bytes, number: int, store: str) -> Keyset:
        """Read what `encrypt` wrote; raises `TamperedError` and `NewerFormatError`."""
        if stored[:1] > b"\x01":
            raise NewerFormatError("the keyset is in a format of a newer strongroom: upgrade it")
        try:
            if stored[: _prefix.size] != _prefix.pack(1, number):
                raise Forged
            document = _wrapping(root).decrypt(stored[_prefix.size :], _context(store, number))
        except Forged:
            raise TamperedError(
                f"the entry {KEYSET!r} is damaged or forged: the master key fits, but the keyset fails authentication. "
                "Restore the store from a backup"
            ) from None
        rows = json.loads(document)["keys"]
        return cls({row[0]: Key(row[0], row[1], row[2], row[3], row[4], a2b_base64(row[5])) for row in rows})


def _with_new(keys: dict[int, Key], purpose: str, algorithm: str, now: float) -> dict[int, Key]:
    if algorithm not in ALGORITHMS:
        raise InvalidInputError(f"there is no algorithm {algorithm!r}; use one of: {', '.join(ALGORITHMS)}")
    changed = {
        key.id: key._replace(state="enabled") if (key.purpose, key.state) == (purpose, "primary") else key
        for key in keys.values()
    }
    number = max(keys, default=0) + 1
    return changed | {number: Key(number, purpose, algorithm, "primary", round(now, 3), urandom(32))}


def _wrapping(root: bytes) -> AesGcm:
    return AesGcm(hkdf(root, b"strongroom keyset"))


def _context(store: str, number: int) -> bytes:
    return context(store, KEYSET, b"root %d" % number)


def _usable(key: Key) -> bool:
    return key.purpose == RECORD and key.state in ("primary", "enabled")


def _cipher(key: Key) -> Cipher:
    if key.algorithm == "aes-256-gcm":
        return AesGcm(key.secret)
    from strongroom.crypto.fernet import FernetPerRecord

    return FernetPerRecord(key.secret)
