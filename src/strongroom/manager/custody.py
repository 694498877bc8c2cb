"""Custody of the encryption keys: who can unlock the store, and `rekey`. Nothing here changes a value."""

from collections.abc import Callable, Sequence
from functools import partial
from os import urandom
from typing import NamedTuple, TypeVar

from strongroom import arguments
from strongroom.access.access import Access
from strongroom.engine.change import Change
from strongroom.engine.integrity import Progress
from strongroom.errors import InvalidInputError, NotFoundError, TamperedError, WrongKeyError
from strongroom.model import SECRET
from strongroom.protocols import KeyProvider
from strongroom.records.context import entries
from strongroom.records.header import Header, Recipient
from strongroom.records.keyset import AUDIT_KEY, MANIFEST_KEY, RECORD, Keyset
from strongroom.records.kinds import is_under_old_key, kind_of
from strongroom.records.records import key_id
from strongroom.system.frames import methods_leave_no_values
from strongroom.system.moment import now

Result = TypeVar("Result")

BATCH = 200
"""Secrets re-encrypted in one transaction: long enough to be quick, short enough to let other writers in."""


class KeyInfo(NamedTuple):
    """What is known of a key of the keyset, never its bytes."""

    id: int
    purpose: str
    algorithm: str
    state: str
    created: float


@methods_leave_no_values
class Custody:
    """The keys of one store. Each change is one transaction, on record as REKEY."""

    def __init__(self, access: Access, connect: Callable[[str], KeyProvider] | None = None) -> None:
        """`connect` makes a key provider of its URL; without it only provider objects can be given."""
        self._access = access
        self._connect = connect

    def _provider(self, key: str | KeyProvider) -> KeyProvider:
        if not isinstance(key, str):
            return key
        if self._connect is None:
            raise InvalidInputError("this store was opened without key providers by URL: give a provider object")
        return self._connect(key)

    def recipients(self) -> tuple[Recipient, ...]:
        """Return who can unwrap the root key."""
        recipients = self._access.view("REKEY", "audit", "", lambda _, unlocked: unlocked.header.recipients)
        self._access.ok("REKEY", None, reason="recipients", count=len(recipients))
        return recipients

    def keys(self) -> list[KeyInfo]:
        """Return what is known of each key of the keyset, oldest first."""
        keys = self._access.view("REKEY", "audit", "", lambda _, unlocked: list(unlocked.keyset.keys.values()))
        self._access.ok("REKEY", None, reason="keys", count=len(keys))
        return [KeyInfo(key.id, key.purpose, key.algorithm, key.state, key.created) for key in keys]

    def audit_keys(self) -> dict[int, bytes]:
        """Return the keys that verify the audit log, by id: for an auditor, who needs no other key.

        The MACs are symmetric, so that who can verify could also forge; hand them out with that in mind.
        """
        keys = self._access.view("AUDIT", "manage", "", lambda _, unlocked: unlocked.keyset.secrets(AUDIT_KEY))
        self._access.ok("AUDIT", None, reason="export_keys")
        return keys

    def rekey_master(self, key: str | KeyProvider) -> Recipient:
        """Wrap the root key with another master key in place of the one in use; one small entry is rewritten.

        The old wrap goes in the same atomic commit that makes the new one durable, after the new one has been opened
        once. Whoever may have kept the old master key and a copy of the store can still read that copy; to shut a party
        out, use `remove_recipient`.
        """
        provider = self._provider(key)

        def step(change: Change) -> Recipient:
            header, mine = change.unlocked.header, change.unlocked.recipient
            new = _wrapped(header, mine.id, change.unlocked.root, provider)
            others = [new if recipient.id == mine.id else recipient for recipient in header.recipients]
            _put(change, header.with_recipients(others), new, change.unlocked.keyset)
            return new

        engine, recipient = self._access.engine, self._access.engine.unlocked.recipient
        try:
            return self._change(step)
        finally:
            # Also when the change was made and its event was not: the key before opens nothing any more.
            if engine.unlocked.recipient is not recipient:
                engine.provider = provider

    def add_recipient(self, key: str | KeyProvider) -> Recipient:
        """Let another master key open the store too: a provider, or its URL such as `env:RECOVERY_KEY`."""
        provider = self._provider(key)

        def step(change: Change) -> Recipient:
            header = change.unlocked.header
            new = _wrapped(header, header.next_id(), change.unlocked.root, provider)
            _put(
                change,
                header.with_recipients([*header.recipients, new]),
                change.unlocked.recipient,
                change.unlocked.keyset,
            )
            return new

        return self._change(step)

    def remove_recipient(self, recipient_id: int, stay: Sequence[str | KeyProvider] = ()) -> list[str]:
        """Shut a recipient out: new root, data, manifest and audit keys; then re-encrypt with `finish_rekey`.

        The new root key must be wrapped for everyone who stays, so that takes the key of each: the one in use and
        those in `stay`. Returns the names of the secrets that the removed party could read: rotate their values.

        Raises `NotFoundError` (no such recipient), `InvalidInputError` (the one in use), `WrongKeyError` (the key of
        one who stays was not given).
        """

        arguments.check_recipient(recipient_id)
        providers = [self._access.engine.provider, *map(self._provider, stay)]

        def step(change: Change) -> list[str]:
            header, mine = change.unlocked.header, change.unlocked.recipient
            if recipient_id not in [recipient.id for recipient in header.recipients]:
                raise NotFoundError(f"there is no recipient {recipient_id}; `strongroom rekey list` shows them")
            if recipient_id == mine.id:
                raise InvalidInputError(
                    f"recipient {recipient_id} is the key in use; open the store with another one to remove it"
                )
            root = urandom(32)
            next_header = header._replace(root=header.root + 1)
            kept = [
                _wrapped(
                    next_header,
                    recipient.id,
                    root,
                    _provider_of(header, recipient, providers),
                )
                for recipient in header.recipients
                if recipient.id != recipient_id
            ]
            keyset = change.unlocked.keyset
            algorithm = keyset.primary.algorithm
            for purpose in (RECORD, MANIFEST_KEY, AUDIT_KEY):
                keyset = keyset.with_new(purpose, algorithm if purpose == RECORD else "aes-256-gcm", now())
            me = next(recipient for recipient in kept if recipient.id == mine.id)
            change.put_keys(next_header.with_recipients(kept), root, me, keyset)
            return [path.removeprefix(SECRET) for path, _ in entries(change, SECRET)]

        engine, root = self._access.engine, self._access.engine.unlocked.header.root
        try:
            return self._change(step)
        finally:
            if engine.unlocked.header.root != root:
                self._access.audit.rekey(engine.unlocked.keyset.secrets(AUDIT_KEY))

    def rekey_data(self, algorithm: str | None = None, progress: Progress | None = None) -> int:
        """Add a primary data key at once, then re-encrypt every record of older keys; returns how many.

        Killed in between, it is finished by `finish_rekey` or by being run again. Old keys stay in the keyset,
        enabled, so that a merge of an older branch can be read.
        """

        arguments.check_algorithm(algorithm)

        def step(change: Change) -> None:
            keyset = change.unlocked.keyset
            change.put_keyset(keyset.with_new(RECORD, algorithm or keyset.primary.algorithm, now()))

        self._change(step)
        return self.finish_rekey(progress)

    def finish_rekey(self, progress: Progress | None = None) -> int:
        """Re-encrypt every record that is not under the primary data key; returns how many."""
        with self._access.engine.view() as (view, unlocked):
            primary = unlocked.keyset.primary.id
            old = [path for path, stored in entries(view) if is_under_old_key(path, stored, primary)]
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            self._change(partial(_reencrypt, paths=batch))
            if progress:
                progress(start + len(batch), len(old))
        return len(old)

    def _change(self, step: Callable[[Change], Result]) -> Result:
        return self._access.change("REKEY", "manage", None, step)


def _reencrypt(change: Change, paths: Sequence[str]) -> None:
    for path in paths:
        stored, kind = change.get(path), kind_of(path)
        if stored is None or kind is None or kind.reencrypt is None:
            continue
        if key_id(stored) != change.unlocked.keyset.primary.id:
            change.put(path, kind.reencrypt(change.records, path, stored))


def _wrapped(header: Header, recipient_id: int, root: bytes, provider: KeyProvider) -> Recipient:
    """Wrap the root key, and open the wrap once: it may soon be the only one."""
    wrapped = header.wrap_root(root, recipient_id, provider)
    new = Recipient(recipient_id, provider.url, now(), wrapped)
    if header.with_recipients([new]).unwrap_root(provider)[0] != root:
        raise TamperedError(f"the key provider {provider.url} does not return the key that it was given")
    return new


def _put(change: Change, header: Header, mine: Recipient, keyset: Keyset) -> None:
    change.put_keys(header, change.unlocked.root, mine, keyset)


def _provider_of(header: Header, recipient: Recipient, providers: Sequence[KeyProvider]) -> KeyProvider:
    for provider in providers:
        try:
            header.with_recipients([recipient]).unwrap_root(provider)
        except WrongKeyError:
            continue
        return provider
    raise WrongKeyError(
        f"recipient {recipient.id} ({recipient.label}) stays, so its key is needed to give it the new root key; "
        "name it with --stay, or remove that recipient first"
    )
