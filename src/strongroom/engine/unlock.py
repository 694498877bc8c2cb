"""From a locked store and a key provider to the keys of the store."""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING

from strongroom.errors import StoreExistsError, StoreNotFoundError, TamperedError
from strongroom.model import HEADER, KEYSET, MANIFEST
from strongroom.records.header import Header, Recipient
from strongroom.records.keyset import Keyset
from strongroom.records.records import Records

if TYPE_CHECKING:
    from strongroom.protocols import KeyProvider, Reader, Store
    from strongroom.records.manifest import Manifests


class Unlocked:
    """The keys of a store as of one moment. Immutable: a change of keys makes a new one."""

    __slots__ = ("_manifests", "header", "keyset", "recipient", "records", "root", "stored")

    def __init__(
        self, header: Header, recipient: Recipient, root: bytes, stored: tuple[bytes, bytes], keyset: Keyset
    ) -> None:
        self.header = header
        self.recipient = recipient
        """Whose master key opened it."""
        self.root = root
        self.stored = stored
        """Header and keyset as they are stored, to notice that they changed."""
        self.keyset = keyset
        self.records = Records(header.store, keyset)
        self._manifests: Manifests | None = None

    def __repr__(self) -> str:
        return f"Unlocked(store={self.header.store}, recipient={self.recipient.id})"

    @property
    def manifests(self) -> Manifests:
        """What seals and opens the manifest; most processes only read, and never need it."""
        if self._manifests is None:
            from strongroom.records.manifest import Manifests

            self._manifests = Manifests(self.header.store, self.keyset)
        return self._manifests


def unlock(reader: Reader, provider: KeyProvider, url: str) -> Unlocked:
    """Unwrap the root key and open the keyset.

    Raises `StoreNotFoundError` (nothing there), `WrongKeyError`, `NoKeyError`, `InvalidKeyError`, `KeyProviderError`,
    `TamperedError`, `NewerFormatError`.
    """
    header, stored = _read(reader, url)
    root, recipient = header.unwrap_root(provider)
    keyset = Keyset.decrypt(stored[1], root, header.root, header.store)
    return Unlocked(header, recipient, root, stored, keyset)


def refresh(reader: Reader, before: Unlocked, provider: KeyProvider, url: str) -> Unlocked:
    """Return the keys as they are now, when another process changed them.

    The master key is needed only when there is a new root key: a running service outlives `rekey master`.

    Raises `WrongStoreError` when another store is in its place, and what `unlock` raises.
    """
    header, stored = _read(reader, url)
    header.check_is(before.header.store, url)
    if header.root != before.header.root:
        return unlock(reader, provider, url)
    keyset = Keyset.decrypt(stored[1], before.root, header.root, header.store)
    return Unlocked(header, before.recipient, before.root, stored, keyset)


def _read(reader: Reader, url: str) -> tuple[Header, tuple[bytes, bytes]]:
    clear, sealed = reader.get(HEADER), reader.get(KEYSET)
    if clear is None and not reader.scan(limit=1):
        raise StoreNotFoundError(f"{url} is empty; make a store there with `strongroom init`")
    if clear is None or sealed is None:
        raise TamperedError(f"{url} has no {KEYSET if clear else HEADER!r}: restore it from a backup")
    return Header.decode(clear), (clear, sealed)


def initialise(store: Store, provider: KeyProvider, algorithm: str, *, now: float) -> None:
    """Make an empty store into one that `provider` unlocks.

    Raises `StoreExistsError` when it holds anything already. The master key must be durable before this is called.
    """
    from strongroom.records.manifest import Manifests

    with store.transaction() as tx:
        if tx.scan(limit=1):
            raise StoreExistsError(f"{store.url} already holds a store; nothing was changed")
        root = urandom(32)
        header = Header(urandom(16).hex(), now, 1, ())
        wrapped = header.wrap_root(root, 1, provider)
        header = header.with_recipients([Recipient(1, provider.url, now, wrapped)])
        keyset = Keyset.generate(algorithm, now)
        tx.put(HEADER, header.encode())
        tx.put(KEYSET, keyset.encrypt(root, header.root, header.store))
        manifests = Manifests(header.store, keyset)
        tx.put(MANIFEST, manifests.seal(manifests.summarise(tx, tx.revision, 0)))
