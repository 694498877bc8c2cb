"""The table of entry kinds: what lies at which path of a store, and what is done with it.

A new kind is one line of `KINDS`, and the same line in docs/format.md. `rekey data` re-encrypts it, `verify` checks it
and the manifest counts it from then on.
"""

from __future__ import annotations

from collections.abc import Callable

from strongroom.model import AUDIT, CONSUMER, HEADER, KEYSET, MANIFEST, ROTATION, SECRET, VERSION, version_path
from strongroom.records.records import Records, key_id
from strongroom.system.frozen import Frozen

Reencrypt = Callable[[Records, str, bytes], bytes]
"""From keys, path and stored bytes to the same entry under the primary data key."""
Check = Callable[[Records, str, bytes], tuple[str, ...]]
"""Raises `TamperedError` for what is not authentic. Returns the paths of the entries that must be there too."""


class Kind(Frozen):
    """Entries that are handled alike."""

    __slots__ = ("start", "rest", "holds", "key", "reencrypt", "check", "is_part", "in_manifest")  # noqa: RUF023

    def __init__(
        self, start: str, rest: str, holds: str, key: str, reencrypt: Reencrypt | None = None,
        check: Check | None = None, *, is_part: bool = False, in_manifest: bool = True,
    ) -> None:  # fmt: skip
        self.start = start
        """The whole path, or its beginning when `rest` says what follows."""
        self.rest = rest
        self.holds = holds
        """What docs/format.md says of it."""
        self.key = key
        """The key that encrypts or authenticates it: `none`, `root`, `data`, `manifest` or `audit`."""
        self.reencrypt = reencrypt
        """How `rekey data` moves an entry to another data key; None for what is not under a data key."""
        self.check = check
        """How `verify` decrypts an entry; None for what was authenticated before, or is by another command."""
        self.is_part = is_part
        """An entry of this kind must be named by the `check` of another one."""
        self.in_manifest = in_manifest
        """The manifest counts it; a change of any entry renews the manifest, which holds the revision."""

    def is_at(self, path: str) -> bool:
        """True when an entry at `path` is of this kind."""
        return path.startswith(self.start) if self.rest else path == self.start


def _reencrypt_head(records: Records, path: str, stored: bytes) -> bytes:
    name = path.removeprefix(SECRET)
    return records.seal_head(records.open_info(name, stored), records.open_data(name, stored))


def _check_head(records: Records, path: str, stored: bytes) -> tuple[str, ...]:
    name = path.removeprefix(SECRET)
    records.open_head(name, stored)
    versions = records.open_info(name, stored).versions
    return tuple(version_path(name, each.version) for each in versions[:-1] if not each.destroyed)


def _reencrypt_version(records: Records, path: str, stored: bytes) -> bytes:
    return records.seal_version(*parse_version_path(path), _open_version(records, path, stored))


def _check_version(records: Records, path: str, stored: bytes) -> tuple[str, ...]:
    _open_version(records, path, stored)
    return ()


def _open_version(records: Records, path: str, stored: bytes) -> bytes:
    return records.open_version(*parse_version_path(path), stored)


def reencrypt_entry(records: Records, path: str, stored: bytes) -> bytes:
    """Re-encrypt what `Records.seal_entry` made."""
    return records.seal_entry(path, records.open_entry(path, stored))


def check_entry(records: Records, path: str, stored: bytes) -> tuple[str, ...]:
    """Check what `Records.seal_entry` made."""
    records.open_entry(path, stored)
    return ()


KINDS: tuple[Kind, ...] = (
    Kind(HEADER, "", "what this store is, and the root key wrapped for each recipient", "none"),
    Kind(KEYSET, "", "the keys below the root key", "root"),
    Kind(MANIFEST, "", "a summary of all other entries", "manifest", in_manifest=False),
    Kind(SECRET, "NAME", "head: the current version of a secret, and its metadata", "data",
         _reencrypt_head, _check_head),
    Kind(VERSION, "NAME/0000000001", "a version that is not current; its number has ten digits", "data",
         _reencrypt_version, _check_version, is_part=True),
    Kind(AUDIT, "LOG", "the checkpoint of the audit log with the id LOG", "audit"),
    Kind(ROTATION, "NAME", "a secret's rotator, and the state of its rotation", "data", reencrypt_entry, check_entry),
    Kind(CONSUMER, "NAME/ID", "a report of early releases; nothing reads it", "data", reencrypt_entry, check_entry),
)  # fmt: skip


def kind_of(path: str) -> Kind | None:
    """Return the kind of the entry at `path`, None for a path that strongroom does not use."""
    return next((kind for kind in KINDS if kind.is_at(path)), None)


def in_manifest(path: str) -> bool:
    """True when the manifest counts the entry at `path`; what is of no kind counts, so that it is found."""
    return all(kind.in_manifest or not kind.is_at(path) for kind in KINDS)


def is_under_old_key(path: str, stored: bytes, primary: int) -> bool:
    """True for an entry under another data key than the one with the id `primary`."""
    kind = kind_of(path)
    return kind is not None and kind.reencrypt is not None and key_id(stored) != primary


def parse_version_path(path: str) -> tuple[str, int]:
    """Return name and number of what `strongroom.model.version_path` made; raises `ValueError`."""
    name, _, number = path.removeprefix(VERSION).rpartition("/")
    return name, int(number)
