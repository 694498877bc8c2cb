"""An unlocked store: its records can be read and changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from strongroom import abilities
from strongroom.engine.unlock import Unlocked, refresh, unlock
from strongroom.errors import NoKeyError, TamperedError, WrongKeyError
from strongroom.model import HEADER, KEYSET, MANIFEST, SECRET
from strongroom.records.context import PAGE, entries, in_order
from strongroom.records.keyset import RECORD
from strongroom.records.records import Current
from strongroom.system.moment import now

if TYPE_CHECKING:
    from strongroom.engine.change import Change
    from strongroom.protocols import KeyProvider, Reader, Store, Transaction, View
    from strongroom.records.manifest import Manifest

USES_OF_A_KEY = 1 << 31
"""A data key makes way for a new one after this many encryptions; random GCM nonces allow 2^32."""
ABSENCE_LIMIT = 10_000
"""Up to this many entries, "there is no such secret" is checked against the manifest before it is believed."""


class Engine:
    """One store and its keys. Usable from many threads; notices by itself when another process changes the keys."""

    def __init__(self, store: Store, provider: KeyProvider) -> None:
        """Unlock `store`; raises what `strongroom.engine.unlock.unlock` raises."""
        self.store = store
        self.provider = provider
        self._complete: tuple[int, set[str]] = (-1, set())
        self._committed: tuple[bytes | None, Manifest, Unlocked] | None = None
        try:
            # Two reads, and not a view, which would open a second connection that a mere reader never needs.
            self.unlocked = unlock(store, provider, store.url)
        except NoKeyError:
            raise  # asked again, a human would have to answer again
        except (TamperedError, WrongKeyError):
            # The keys may have been changed between the two.
            with store.view() as view:
                self.unlocked = unlock(view, provider, store.url)

    def __repr__(self) -> str:
        return f"Engine({self.store.url})"

    def keys_seen_by(self, reader: Reader) -> Unlocked:
        """Return the keys as `reader` sees them: those in memory unless another process changed them."""
        # No lock, which a child of fork could inherit locked: threads that meet here at worst do the same work twice,
        # and each gets the keys that belong to what it reads.
        unlocked = self.unlocked
        if (reader.get(HEADER), reader.get(KEYSET)) != unlocked.stored:
            self.unlocked = unlocked = refresh(reader, unlocked, self.provider, self.store.url)
        return unlocked

    def open_head(self, name: str, stored: bytes) -> Current:
        """Decrypt the head of a secret.

        Where that fails, the store is asked for new keys first, and whether it still is the same one.
        """
        before = self.unlocked
        try:
            return before.records.open_head(name, stored)
        except TamperedError:
            with self.store.view() as view:
                now = self.keys_seen_by(view)
            if now is before:
                raise
        return now.records.open_head(name, stored)

    @contextmanager
    def view(self) -> Iterator[tuple[View, Unlocked]]:
        """Read several entries of one revision, with the keys of that revision."""
        with self.store.view() as view:
            yield view, self.keys_seen_by(view)

    @contextmanager
    def change(self, within: float | None = None) -> Iterator[Change]:
        """Hold the store's write lock; commit what the block changed and the manifest, or nothing when it raises.

        With `within` (seconds), raise `StoreBusyError` when the lock is not free by then; a store that cannot be asked
        for that waits as long as it always does.
        """
        timed = None if within is None else abilities.timed_transactions(self.store)
        with self.store.transaction() if timed is None or within is None else timed.transaction_within(within) as tx:
            change = self._begin(tx)
            if change.uses >= USES_OF_A_KEY:
                keyset = change.unlocked.keyset
                change.put_keyset(keyset.with_new(RECORD, keyset.primary.algorithm, now()))
            yield change
            stored, manifest = change.seal()
        self._committed = stored, manifest, change.unlocked
        self.unlocked = change.unlocked

    def _begin(self, tx: Transaction) -> Change:
        from strongroom.engine.change import Change

        # When the manifest is the one that we wrote, so are the keys. Its revision would not tell: another branch of a
        # repository, or a copy that was put back, can have the same.
        stored = tx.get(MANIFEST)
        if self._committed and self._committed[0] == stored:
            _, manifest, unlocked = self._committed
            return Change(tx, unlocked, self.store.url, (stored, manifest))
        return Change(tx, self.keys_seen_by(tx), self.store.url)

    def entries(self, prefix: str) -> list[tuple[str, bytes]]:
        """Read every entry below `prefix` as of one moment; raises like `strongroom.records.context.entries`."""
        # One page is one statement, and that is one moment already; a view costs another connection.
        rows = self.store.scan(prefix, limit=PAGE)
        if len(rows) < PAGE:
            return list(in_order(rows))
        with self.store.view() as view:
            return list(entries(view, prefix))

    def confirm_absence(self, name: str) -> None:
        """Raise `TamperedError` when entries are missing although strongroom did not delete them.

        A store that drops a record must not make a service fall back to its default. Costs a walk of the store once
        for each revision; a store of more than `ABSENCE_LIMIT` entries is believed, and left to `strongroom verify`.
        """
        revision, paths = self._complete
        if abilities.revision(self.store) == revision and SECRET + name not in paths:
            return
        with self.view() as (view, unlocked):
            manifest = unlocked.manifests.open(view.get(MANIFEST))
            if manifest.entries <= ABSENCE_LIMIT and view.get(SECRET + name) is None:
                self._complete = manifest.revision, check_manifest(view, unlocked, manifest, self.store.url)


def check_manifest(view: Reader, unlocked: Unlocked, manifest: Manifest, url: str) -> set[str]:
    """Return the paths of all entries; raise `TamperedError` when they are not those that the manifest sums up."""
    paths: set[str] = set()
    found = unlocked.manifests.summarise(view, manifest.revision, manifest.uses, paths)
    if found != manifest:
        excess = found.entries - manifest.entries
        how = f"{-excess} missing" if excess < 0 else f"{excess} too many" if excess else "some were replaced"
        raise TamperedError(
            f"the entries of {url} are not those that strongroom wrote ({how}): records were deleted, added or "
            "replaced from outside. Look with `strongroom verify`; after a restore or merge of your own, "
            "`strongroom verify --accept`"
        )
    return paths
