"""The manifest (`system/manifest`): a keyed summary of every other entry, renewed by each commit.

It holds the store's revision, the number of entries, and the sum modulo 2^256 of a keyed hash of each entry
(MSet-Add-Hash: Clarke et al., "Incremental Multiset Hash Functions and Their Application to Memory Integrity
Checking", ASIACRYPT 2003; encryption takes the place of its random mask).
A commit costs two hashes for each entry it changes, whatever the size of the store; an entry that was deleted,
added or replaced by an older one behind our back makes the sum wrong.

    byte 0       format, 1
    bytes 1-4    id of the manifest key
    then         AES-256-GCM of: revision, count, uses (8 bytes each), sum (32 bytes), big-endian
"""

import struct
from typing import NamedTuple

from strongroom.crypto import Forged
from strongroom.crypto.aes_gcm import AesGcm
from strongroom.crypto.kdf import hkdf
from strongroom.crypto.mac import Mac
from strongroom.errors import NewerFormatError, TamperedError
from strongroom.model import MANIFEST
from strongroom.protocols import Reader
from strongroom.records.context import context, entries
from strongroom.records.keyset import MANIFEST_KEY, Keyset
from strongroom.records.kinds import in_manifest

_prefix = struct.Struct(">BI")
_fields = struct.Struct(">QQQ32s")
MODULUS = 1 << 256


class Manifest(NamedTuple):
    """What the store must look like."""

    revision: int
    entries: int
    """How many there are, without the manifest itself."""
    total: int
    """The sum of their keyed hashes."""
    uses: int
    """Encryptions under the primary data key so far, rounded up."""


class Manifests:
    """Seals and opens the manifest of one store with one keyset. Immutable."""

    __slots__ = ("_cipher", "_context", "_mac", "_prefix")

    def __init__(self, store: str, keyset: Keyset) -> None:
        key = keyset.newest(MANIFEST_KEY)
        self._prefix = _prefix.pack(1, key.id)
        self._context = context(store, MANIFEST, self._prefix)
        self._cipher = AesGcm(hkdf(key.secret, b"strongroom manifest seal"))
        self._mac = Mac(key.secret, b"manifest entry")

    def hash(self, path: str, value: bytes) -> int:
        """Return what one entry adds to the sum."""
        place = path.encode()
        return int.from_bytes(self._mac.digest(len(place).to_bytes(2, "big"), place, value), "big")

    def seal(self, manifest: Manifest) -> bytes:
        """Return the entry's bytes."""
        total = (manifest.total % MODULUS).to_bytes(32, "big")
        plain = _fields.pack(manifest.revision, manifest.entries, manifest.uses, total)
        return self._prefix + self._cipher.encrypt(plain, self._context)

    def open(self, stored: bytes | None) -> Manifest:
        """Read what `seal` returned; raises `TamperedError` and `NewerFormatError`."""
        if stored is not None and stored[:1] > b"\x01":
            raise NewerFormatError("the manifest is in a format of a newer strongroom: upgrade it")
        try:
            if stored is None or stored[: _prefix.size] != self._prefix:
                raise Forged
            plain = self._cipher.decrypt(stored[_prefix.size :], self._context)
        except Forged:
            state = "missing" if stored is None else "damaged or forged"
            raise TamperedError(f"the store's manifest is {state}; run `strongroom verify`") from None
        revision, number, uses, total = _fields.unpack(plain)
        return Manifest(revision, number, int.from_bytes(total, "big"), uses)

    def summarise(self, reader: Reader, revision: int, uses: int, paths: set[str] | None = None) -> Manifest:
        """Read every entry, add its path to `paths` if given, and return the manifest that they make."""
        number = total = 0
        for path, value in entries(reader):
            if paths is not None:
                paths.add(path)
            if in_manifest(path):
                number += 1
                total += self.hash(path, value)
        return Manifest(revision, number, total % MODULUS, uses)
