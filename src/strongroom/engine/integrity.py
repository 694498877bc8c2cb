"""Checks of what is at rest: one secret's encryption, and the whole store."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import NamedTuple

from strongroom.engine.engine import Engine
from strongroom.engine.unlock import Unlocked
from strongroom.errors import SecretNotFoundError, StrongroomError, TamperedError
from strongroom.model import AUDIT, MANIFEST, SECRET, VERSION
from strongroom.protocols import Reader, View
from strongroom.records.context import entries
from strongroom.records.data import decode_value
from strongroom.records.kinds import kind_of, parse_version_path
from strongroom.records.manifest import Manifest
from strongroom.records.records import key_id

Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""
_SHORT = 4
"""Values of fewer bytes turn up in random ciphertext by chance, so they are not searched for."""


class EncryptionReport(NamedTuple):
    """How one secret lies in the store."""

    name: str
    version: int
    algorithm: str
    key_id: int
    key_state: str
    store: str
    size: int
    """Bytes of the record."""
    authentic: bool
    """The record decrypts and authenticates at its place."""
    plaintext_absent: bool
    """The value is not in the record as it is stored: not raw, not in base64, not in hexadecimal."""


class StoreReport(NamedTuple):
    """The state of a whole store."""

    revision: int
    entries: int
    secrets: int
    versions: int
    """Those that still have data."""
    problems: tuple[str, ...]
    """Empty when everything is as strongroom wrote it."""

    @property
    def ok(self) -> bool:
        """True when there is no problem."""
        return not self.problems


def check_secret(view: Reader, unlocked: Unlocked, name: str, url: str) -> EncryptionReport:
    """Look at one secret as it is stored; raises `SecretNotFoundError`, and `TamperedError` when it is forged."""
    stored = view.get(SECRET + name)
    if stored is None:
        raise SecretNotFoundError(f"there is no secret {name!r}", name=name)
    version, _, _, data = unlocked.records.open_head(name, stored)
    key = unlocked.keyset.keys[key_id(stored)]
    absent = not any(form in stored for form in _forms(data))
    return EncryptionReport(name, version, key.algorithm, key.id, key.state, url, len(stored), True, absent)


def _forms(data: bytes) -> Iterator[bytes]:
    raw = data[1:]
    value = decode_value(data) if data else b""
    texts = [text for text in value.values() if isinstance(text, str)] if isinstance(value, dict) else []
    for plain in (raw, *(text.encode() for text in texts)):
        if len(plain) >= _SHORT:
            yield from (plain, b64encode(plain).rstrip(b"="), plain.hex().encode())


def check_store(view: View, unlocked: Unlocked, progress: Progress | None = None) -> StoreReport:
    """Decrypt every record of `view` and compare all entries with the manifest, and the manifest with the store."""
    problems = list(_check_records(view, unlocked, progress))
    revision = view.revision
    try:
        manifest = unlocked.manifests.open(view.get(MANIFEST))
        problems += _check_manifest(view, unlocked, manifest)
        if revision != manifest.revision:
            found = f"the store is at revision {revision}, its manifest at {manifest.revision}"
            problems.append(f"{found}: restored or merged")
    except StrongroomError as error:
        problems.append(str(error))
    count = {SECRET: 0, VERSION: 0}
    total = 0
    for path, _ in entries(view):
        total += 1
        for prefix in count:
            count[prefix] += path.startswith(prefix)
    return StoreReport(revision, total, count[SECRET], count[SECRET] + count[VERSION], tuple(problems))


def _check_manifest(view: Reader, unlocked: Unlocked, manifest: Manifest) -> Iterator[str]:
    found = unlocked.manifests.summarise(view, manifest.revision, manifest.uses)
    excess = found.entries - manifest.entries
    if excess:
        yield f"{abs(excess)} entries {'were added from outside' if excess > 0 else 'are missing'}"
    elif found.total != manifest.total:
        yield "an entry is not the one that strongroom wrote; if each is authentic, it is an older one, put back"


def _check_records(view: Reader, unlocked: Unlocked, progress: Progress | None) -> Iterator[str]:
    named: set[str] = set()
    unreadable: tuple[str, ...] = ()
    rows = list(entries(view, SECRET)) if progress else entries(view, SECRET)
    total = len(rows) if isinstance(rows, list) else 0
    for done, (path, stored) in enumerate(rows):
        try:
            parts = _check(unlocked, path, stored)
        except StrongroomError as error:
            yield str(error)
            unreadable += (f"{VERSION}{path.removeprefix(SECRET)}/",)
            continue
        named.update(parts)
        yield from _check_parts(view, unlocked, parts)
        if progress:
            progress(done + 1, total)
    for path, stored in entries(view):
        kind = kind_of(path)
        if kind is None or (kind.is_part and path not in named and not path.startswith(unreadable)):
            yield f"the entry {path!r} belongs to nothing that strongroom wrote"
        elif not kind.is_part and not path.startswith(SECRET):
            try:
                _check(unlocked, path, stored)
            except StrongroomError as error:
                yield str(error)


def _check(unlocked: Unlocked, path: str, stored: bytes) -> tuple[str, ...]:
    """Return the paths of the entries that must be there too; raises `TamperedError`."""
    kind = kind_of(path)
    return () if kind is None or kind.check is None else kind.check(unlocked.records, path, stored)


def _check_parts(view: Reader, unlocked: Unlocked, parts: tuple[str, ...]) -> Iterator[str]:
    for path in parts:
        stored = view.get(path)
        if stored is None:
            name, version = parse_version_path(path)
            yield f"version {version} of {name!r} is missing although nobody destroyed it"
            continue
        try:
            _check(unlocked, path, stored)
        except StrongroomError as error:
            yield str(error)


def accept(engine: Engine, checkpoint: Callable[[], tuple[str, bytes]]) -> int:
    """Make a new manifest for the entries as they are, after a restore or merge of the operator's own.

    `checkpoint` returns that of the audit log (its id and bytes); those of all other logs are dropped, as a log that is
    gone on purpose would stay a problem for good.

    Returns the store's new revision. Raises `TamperedError` when a record is not authentic: that is never accepted.
    """
    with engine.store.transaction() as tx:
        unlocked = engine.keys_seen_by(tx)
        bad = list(_check_records(tx, unlocked, None))
        if bad:
            raise TamperedError(f"nothing was accepted, {len(bad)} problems are no matter of a restore: {bad[0]}")
        try:
            uses = unlocked.manifests.open(tx.get(MANIFEST)).uses
        except TamperedError:
            uses = 0
        for path, _ in list(entries(tx, AUDIT)):
            tx.delete(path)
        log, stored = checkpoint()
        tx.put(AUDIT + log, stored)
        manifest = unlocked.manifests.summarise(tx, tx.revision, uses)
        # A restored store has forgotten some encryptions; two for each entry is more than it can have forgotten.
        tx.put(MANIFEST, unlocked.manifests.seal(manifest._replace(uses=uses + 2 * manifest.entries)))
        return tx.revision
