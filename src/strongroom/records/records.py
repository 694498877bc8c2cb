"""Records: how a secret lies in a store.

A *head* (`secret/NAME`) holds the current version and the metadata of all versions:

    byte 0       format, 1
    bytes 1-4    id of the data key
    byte 5       flags of the current version: 1 deleted, 2 destroyed
    bytes 6-9    number of the current version
    bytes 10-17  when it expires, milliseconds since 1970; 0 for never
    bytes 18-21  length of the sealed metadata
    then         sealed metadata, bound to the path and bytes 0-17
    then         sealed data, bound to the path and everything before it

A *version* (`version/NAME/0000000001`) holds the data of one that is not current:

    byte 0       format, 1
    bytes 1-4    id of the data key
    then         sealed data, bound to the path (which ends in the version's number) and bytes 0-4

Every other encrypted entry has the form of a version, with its own path; see `strongroom.records.kinds`.

Integers are big-endian. One decryption authenticates a whole head, so that a read costs one; listing and history
decrypt metadata and never a value. Metadata is JSON: `{"v": [[version, created, deleted, destroyed, expires], …],
"c": custom metadata, "m": max_versions}`.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING

from strongroom.crypto import Forged
from strongroom.errors import NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.model import SECRET, version_path
from strongroom.records.context import context
from strongroom.records.keyset import Keyset
from strongroom.system.moment import now

if TYPE_CHECKING:
    from strongroom.info import SecretInfo, VersionInfo
    from strongroom.records.history import History

_head = struct.Struct(">BIBIQI")
_unpack_head = _head.unpack_from
_bound = struct.Struct(">BIBIQ").size
_version = struct.Struct(">BI")

DELETED, DESTROYED = 1, 2


Current = tuple[int, int, int, bytes]
"""The current version as it was read: its number, its flags, when it expires (milliseconds since 1970, 0 for never),
and its data as `strongroom.records.data` encodes it."""


class Records:
    """Encrypts and decrypts records of one store with one keyset. Immutable."""

    __slots__ = ("_cipher", "_place", "_store", "keyset")

    def __init__(self, store: str, keyset: Keyset) -> None:
        self._store = store
        self._place = context(store, SECRET)[:-1]
        self.keyset = keyset
        self._cipher = keyset.cipher

    def open_head(self, name: str, stored: bytes) -> Current:
        """Decrypt and authenticate a head: the hot path.

        Raises `TamperedError`, `UnknownKeyIdError` and `NewerFormatError`, all naming the secret.
        """
        try:
            _, key, flags, version, expires, length = _unpack_head(stored)
            start = _head.size + length
            place = b"".join((self._place, name.encode(), b"\0", stored[:start]))
            return version, flags, expires, self._cipher(key).decrypt(stored[start:], place)
        except (Forged, struct.error, UnknownKeyIdError) as error:
            raise _explain(error, stored, f"the secret {name!r}", name, None) from None

    def open_data(self, name: str, stored: bytes) -> bytes:
        """Return the data of the current version; raises like `open_head`."""
        return self.open_head(name, stored)[3]

    def open_info(self, name: str, stored: bytes) -> SecretInfo:
        """Decrypt the metadata of a head, and no value; raises like `open_head`."""
        version, document = self._open_metadata(name, stored)
        from strongroom.info import SecretInfo, VersionInfo  # a process that only reads values needs none

        fields = json.loads(document)
        for row in fields["v"]:
            row[3] = bool(row[3])  # destroyed
        return SecretInfo(name, version, tuple(map(VersionInfo._make, fields["v"])), fields["c"], fields["m"])

    def open_history(self, name: str, stored: bytes) -> History:
        """Decrypt the metadata of a head for a writer, and no value; raises like `open_head`."""
        from strongroom.records.history import History

        return History.parse(self._open_metadata(name, stored)[1])

    def seal_head(self, info: SecretInfo, data: bytes) -> bytes:
        """Return the head of a secret whose current version holds `data`."""
        from strongroom.records.history import History, row

        history = History(",".join(map(row, info.versions)), dict(info.custom), info.max_versions)
        return self.seal_history(info.name, history, info.versions[-1], data)

    def seal_history(self, name: str, history: History, current: VersionInfo, data: bytes) -> bytes:
        """Return the head of a secret whose newest version is `current` and holds `data`."""
        key = self.keyset.primary
        cipher = self.keyset.cipher(key.id)
        flags = (DELETED if current.deleted is not None else 0) | (DESTROYED if current.destroyed else 0)
        expires = 0 if current.expires is None else max(1, round(current.expires * 1000))
        bound = _head.pack(1, key.id, flags, current.version, expires, 0)[:_bound]
        place = b"".join((self._place, name.encode(), b"\0"))
        sealed = cipher.encrypt(history.text().encode(), place + bound)
        clear = bound + len(sealed).to_bytes(4, "big") + sealed
        return clear + cipher.encrypt(data, place + clear)

    def _open_metadata(self, name: str, stored: bytes) -> tuple[int, bytes]:
        try:
            _, key, _, version, _, length = _head.unpack_from(stored)
            place = context(self._store, SECRET + name, stored[:_bound])
            return version, self.keyset.cipher(key).decrypt(stored[_head.size : _head.size + length], place)
        except (Forged, struct.error, UnknownKeyIdError) as error:
            raise _explain(error, stored, f"the secret {name!r}", name, None) from None

    def open_version(self, name: str, version: int, stored: bytes) -> bytes:
        """Decrypt a version that is not current; raises like `open_head`."""
        try:
            return self._open(version_path(name, version), stored)
        except (Forged, struct.error, UnknownKeyIdError) as error:
            raise _explain(error, stored, f"version {version} of the secret {name!r}", name, version) from None

    def seal_version(self, name: str, version: int, data: bytes) -> bytes:
        """Return the record of a version that is not current."""
        return self.seal_entry(version_path(name, version), data)

    def open_entry(self, path: str, stored: bytes) -> bytes:
        """Decrypt what `seal_entry` returned; raises like `open_head`, naming the path."""
        try:
            return self._open(path, stored)
        except (Forged, struct.error, UnknownKeyIdError) as error:
            raise _explain(error, stored, f"the entry {path!r}", None, None) from None

    def seal_entry(self, path: str, data: bytes) -> bytes:
        """Return `data` encrypted and bound to `path`."""
        key = self.keyset.primary
        clear = _version.pack(1, key.id)
        return clear + self.keyset.cipher(key.id).encrypt(data, context(self._store, path, clear))

    def _open(self, path: str, stored: bytes) -> bytes:
        _, key = _version.unpack_from(stored)
        place = context(self._store, path, stored[: _version.size])
        return self.keyset.cipher(key).decrypt(stored[_version.size :], place)


def why_missing(flags: int, expires: int) -> str | None:
    """Return in one word why a current version is not returned, None when it is."""
    if flags:
        return "destroyed" if flags & DESTROYED else "deleted"
    return "expired" if expires and expires <= now() * 1000 else None


def may_be_listed(stored: bytes) -> bool:
    """True unless the current version is deleted or destroyed, by the head's clear flags."""
    return len(stored) > _head.size and not stored[5]


def key_id(stored: bytes) -> int:
    """Return the id of the data key that a head or a version names, 0 when it is too short to name one."""
    return int.from_bytes(stored[1:5], "big")


def _explain(
    error: Exception, stored: bytes, what: str, name: str | None, version: int | None
) -> TamperedError | NewerFormatError:
    """Tell a newer format, an unknown key and a forgery apart."""
    if stored[:1] > b"\x01":
        return NewerFormatError(f"{what} is in a format of a newer strongroom: upgrade it", name=name, version=version)
    if isinstance(error, UnknownKeyIdError):
        return UnknownKeyIdError(f"{what} cannot be decrypted: {error}", name=name, version=version)
    return TamperedError(
        f"{what} fails authentication: its record is damaged, forged, or was moved here from another place. "
        "Run `strongroom verify`, and restore it from a backup or set it again",
        name=name,
        version=version,
    )
