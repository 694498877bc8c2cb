"""A transaction whose every change is entered in the manifest."""

from __future__ import annotations

from strongroom.engine.unlock import Unlocked
from strongroom.errors import TamperedError
from strongroom.model import HEADER, KEYSET, MANIFEST
from strongroom.protocols import Transaction
from strongroom.records.header import Header, Recipient
from strongroom.records.keyset import MANIFEST_KEY, Keyset
from strongroom.records.kinds import in_manifest
from strongroom.records.manifest import MODULUS, Manifest
from strongroom.records.records import Records


class Change:
    """What a writer works with: reads its own writes, and keeps the manifest's sum while it goes."""

    __slots__ = ("_manifest", "_seen", "_stored", "_tx", "changed", "unlocked")

    def __init__(
        self, tx: Transaction, unlocked: Unlocked, url: str, manifest: tuple[bytes | None, Manifest] | None = None
    ) -> None:
        """`manifest` is the one that `tx` has, as it is stored and what it says, where that is known already.

        Raises `TamperedError` when the manifest is not that of the store's revision.
        """
        self._tx = tx
        self.unlocked = unlocked
        self._seen: dict[str, bytes | None] = {}
        self._stored, self._manifest = manifest or _read(tx, unlocked)
        self.changed = False
        if self._manifest.revision != tx.revision - 1:
            raise TamperedError(
                f"{url} is at revision {tx.revision - 1} but its manifest at {self._manifest.revision}: it was merged, "
                "restored or changed without strongroom. Look at it with `strongroom verify`, then "
                "`strongroom verify --accept`"
            )

    @property
    def revision(self) -> int:
        """The revision that the store will have."""
        return self._tx.revision

    @property
    def records(self) -> Records:
        """Records under the newest keyset."""
        return self.unlocked.records

    @property
    def uses(self) -> int:
        """Encryptions under the primary data key so far."""
        return self._manifest.uses

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, own writes included."""
        if path not in self._seen:
            self._seen[path] = self._tx.get(path)
        return self._seen[path]

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Read a page of entries, own writes included."""
        return self._tx.scan(prefix, after, limit)

    def put(self, path: str, value: bytes) -> None:
        """Write an entry and enter it in the manifest."""
        self._enter(path, value)
        self._tx.put(path, value)
        self._seen[path] = value

    def delete(self, path: str) -> None:
        """Remove an entry and its part of the manifest."""
        self._enter(path, None)
        self._tx.delete(path)
        self._seen[path] = None

    def _enter(self, path: str, value: bytes | None) -> None:
        revision, number, total, uses = self._manifest
        if in_manifest(path):
            old = self.get(path)
            digest = self.unlocked.manifests.hash
            total += (digest(path, value) if value is not None else 0) - (digest(path, old) if old is not None else 0)
            number += (value is not None) - (old is not None)
        # A record is at most two encryptions: metadata and data.
        self._manifest = Manifest(revision, number, total % MODULUS, uses + 2)
        self.changed = True

    def put_keys(self, header: Header, root: bytes, recipient: Recipient, keyset: Keyset) -> None:
        """Store these keys where they differ from the present ones, and use them from now on."""
        before = self.unlocked
        clear, sealed = header.encode(), before.stored[1]
        if keyset is not before.keyset or header.root != before.header.root:
            sealed = keyset.encrypt(root, header.root, header.store)
            self.put(KEYSET, sealed)
        if clear != before.stored[0]:
            self.put(HEADER, clear)
        self.unlocked = Unlocked(header, recipient, root, (clear, sealed), keyset)
        if keyset.primary.id != before.keyset.primary.id:
            self._manifest = self._manifest._replace(uses=0)
        if keyset.newest(MANIFEST_KEY).id != before.keyset.newest(MANIFEST_KEY).id:
            # The sum is keyed by the manifest key, so it is made anew from all entries.
            self._manifest = self.unlocked.manifests.summarise(self._tx, self._manifest.revision, 0)

    def put_keyset(self, keyset: Keyset) -> None:
        """Store a changed keyset under the same root key."""
        now = self.unlocked
        self.put_keys(now.header, now.root, now.recipient, keyset)

    def seal(self) -> tuple[bytes | None, Manifest]:
        """Write the manifest, the last write of the transaction; return it as it is stored and what it says."""
        if self.changed:
            self._manifest = self._manifest._replace(revision=self._tx.revision)
            self._stored = self.unlocked.manifests.seal(self._manifest)
            self._tx.put(MANIFEST, self._stored)
        return self._stored, self._manifest


def _read(tx: Transaction, unlocked: Unlocked) -> tuple[bytes | None, Manifest]:
    stored = tx.get(MANIFEST)
    return stored, unlocked.manifests.open(stored)
