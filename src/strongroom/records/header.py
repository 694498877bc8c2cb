"""The clear entry of a store (`system/header`): what it is, and the root key wrapped for each recipient."""

from __future__ import annotations

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from strongroom.crypto.kdf import sha256
from strongroom.errors import (
    InvalidInputError,
    KeyProviderError,
    NewerFormatError,
    NoKeyError,
    StrongroomError,
    TamperedError,
    WrongKeyError,
    WrongStoreError,
)
from strongroom.model import HEADER
from strongroom.records.context import FORMAT, context
from strongroom.system.frozen import Frozen
from strongroom.system.moment import LATEST

if TYPE_CHECKING:
    from strongroom.protocols import KeyProvider

_MAGIC = b"strongroom header "
_HEX = frozenset("0123456789abcdef")
KEY_BYTES = 32
MAX_RECIPIENTS = 64
MAX_PASSPHRASES = 8
"""Recipients that are passphrases: each that is tried takes a tenth of a second and 64 MiB."""
MAX_HEADER_BYTES = 1024 * 1024
_PASSPHRASE = b"P"
"""How a root key begins that was wrapped with a passphrase."""


class Recipient(Frozen):
    """One party that can unwrap the root key."""

    __slots__ = ("id", "label", "added", "wrapped")  # noqa: RUF023

    def __init__(self, number: int, label: str, added: float, wrapped: bytes) -> None:
        self.id = number
        self.label = label
        """The URL of the key provider as it was given; says where the key was, never what it is."""
        self.added = added
        """Seconds since 1970, UTC."""
        self.wrapped = wrapped


class Header(Frozen):
    """What the entry says."""

    __slots__ = ("store", "created", "root", "recipients")  # noqa: RUF023

    def __init__(self, store: str, created: float, root: int, recipients: tuple[Recipient, ...]) -> None:
        self.store = store
        """The store's random id, 32 hex digits."""
        self.created = created
        self.root = root
        """1 for the first root key; removing a recipient makes the next."""
        self.recipients = recipients

    def encode(self) -> bytes:
        """Return `strongroom header 1 <SHA-256 of the rest>` LF and a JSON object.

        The checksum finds accidents, so that a damaged header is not taken for a wrong key. Malice is found by the
        master key, which authenticates each wrapped root key, and by the manifest.
        """
        rows = [
            [r.id, r.label, round(r.added, 3), b2a_base64(r.wrapped, newline=False).decode()] for r in self.recipients
        ]
        body = json.dumps(
            {"store": self.store, "created": round(self.created, 3), "root": self.root, "recipients": rows}
        ).encode()
        return _MAGIC + b"%d %b\n" % (FORMAT, sha256(body).hex().encode()) + body

    @classmethod
    def decode(cls, stored: bytes) -> Header:
        """Read what `encode` wrote; raises `NewerFormatError` and `TamperedError`."""
        return _decode(stored)

    def wrap_root(self, root: bytes, recipient: int, provider: KeyProvider) -> bytes:
        """Wrap the root key for one recipient of this store; another store or another root number refuses it."""
        return wrap(provider, root, self._context(recipient))

    def unwrap_root(self, provider: KeyProvider) -> tuple[bytes, Recipient]:
        """Return the root key and the recipient whose wrap `provider` opened.

        Raises `WrongKeyError` when it opens none, `NoKeyError` when it has no key, `KeyProviderError` when it does not
        answer, `TamperedError` when its own wrap is damaged.
        """
        labels = ", ".join(recipient.label for recipient in self.recipients)
        for recipient in self.recipients:
            try:
                return unwrap(provider, recipient.wrapped, self._context(recipient.id)), recipient
            except NoKeyError as error:
                raise NoKeyError(f"{error}. The store is locked with the key from: {labels}") from None
            except WrongKeyError:
                continue
        raise WrongKeyError(
            f"the master key from {provider.url} does not open this store; it was locked with the key from: {labels}. "
            "Give that key (was it changed, or is this another environment's store?)"
        )

    def check_is(self, store: str, url: str) -> None:
        """Raise `WrongStoreError` unless this is the header of the store with the id `store`."""
        if self.store != store:
            raise WrongStoreError(
                f"{url} is the store {self.store}, and the store {store} is meant: another one was put in its place. "
                f'Put the right one back. If this is on purpose, write store_id = "{self.store}" into the settings, '
                "and restart what runs"
            )

    def with_recipients(self, recipients: Iterable[Recipient]) -> Header:
        """Return this header with other recipients; raises `InvalidInputError` when they are too many."""
        header = self._replace(recipients=tuple(recipients))
        problem = _too_many(header.recipients)
        if problem:
            raise InvalidInputError(f"{problem}; remove one first (`strongroom rekey remove`)")
        return header

    def next_id(self) -> int:
        """Return an id that no recipient has."""
        return max((recipient.id for recipient in self.recipients), default=0) + 1

    def _context(self, recipient: int) -> bytes:
        return context(self.store, HEADER, b"root %d recipient %d" % (self.root, recipient))


def wrap(provider: KeyProvider, key: bytes, context: bytes) -> bytes:
    """Let a key provider wrap a key; what is no error of strongroom's becomes a `KeyProviderError`."""
    try:
        return provider.wrap(key, context)
    except StrongroomError:
        raise
    except Exception as error:
        failed = _no_answer(provider, error)
    raise failed


def unwrap(provider: KeyProvider, wrapped: bytes, context: bytes) -> bytes:
    """Let a key provider unwrap a key; what is no error of strongroom's becomes a `KeyProviderError`."""
    try:
        key = provider.unwrap(wrapped, context)
    except StrongroomError:
        raise
    except Exception as error:
        failed = _no_answer(provider, error)
    else:
        if type(key) is bytes and len(key) == KEY_BYTES:
            return key
        failed = KeyProviderError(f"the key provider {provider.url} returned no key of {KEY_BYTES} bytes")
    raise failed


def _no_answer(provider: KeyProvider, error: Exception) -> KeyProviderError:
    # Its own words may hold a key, or the address of a service with a password.
    why = type(error).__name__
    return KeyProviderError(f"the key provider {provider.url} does not answer ({why}): try again later")


def _too_many(recipients: tuple[Recipient, ...]) -> str:
    if len(recipients) > MAX_RECIPIENTS:
        return f"a store has at most {MAX_RECIPIENTS} recipients"
    if sum(recipient.wrapped.startswith(_PASSPHRASE) for recipient in recipients) > MAX_PASSPHRASES:
        return f"at most {MAX_PASSPHRASES} recipients of a store are passphrases"
    return ""


@lru_cache(2)
def _decode(stored: bytes) -> Header:
    # Kept, because a store is asked for its id before its audit log is read, and unlocked after that.
    if len(stored) > MAX_HEADER_BYTES:
        raise TamperedError(f"the entry {HEADER!r} has more than {MAX_HEADER_BYTES:,} bytes: restore it from a backup")
    first, _, body = stored.partition(b"\n")
    number = first.removeprefix(_MAGIC).partition(b" ")[0]
    if first.startswith(_MAGIC) and number.isdigit() and len(number) < 10 and int(number) > FORMAT:
        raise NewerFormatError(f"the store has format {int(number)}, this strongroom reads {FORMAT}: upgrade it")
    if first != _MAGIC + b"%d %b" % (FORMAT, sha256(body).hex().encode()):
        raise TamperedError(f"the entry {HEADER!r} is damaged (its checksum fails): restore it from a backup")
    try:
        return _parse(body)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TamperedError(
            f"the entry {HEADER!r} is not one that strongroom wrote: restore it from a backup"
        ) from None


def _parse(body: bytes) -> Header:
    """Read the JSON object; raises `ValueError`, `KeyError` or `TypeError` when it is not of the shape.

    Anybody who can write to the store can make one with the right checksum.
    """
    fields = json.loads(body)
    store, created, root = fields["store"], fields["created"], fields["root"]
    # The id has one spelling only: with another one a store would look as if the audit log had never heard of it.
    if type(store) is not str or len(store) != 32 or not _HEX.issuperset(store):
        raise ValueError
    if type(root) is not int or not _is_time(created):
        raise ValueError
    if not 1 <= root < 2**32 or len(fields["recipients"]) > MAX_RECIPIENTS:
        raise ValueError
    recipients = tuple(_recipient(*row) for row in fields["recipients"])
    if _too_many(recipients):
        raise ValueError
    return Header(store, created, root, recipients)


def _recipient(number: int, label: str, added: float, wrapped: str) -> Recipient:
    if type(number) is not int or not 1 <= number < 2**32 or type(label) is not str or not _is_time(added):
        raise ValueError
    # It is shown on terminals, and nobody has authenticated it yet.
    shown = "".join(character if character.isprintable() else "?" for character in label)
    return Recipient(number, shown, added, a2b_base64(wrapped, strict_mode=True))


def _is_time(given: object) -> bool:
    """True for seconds since 1970 that a calendar can show; JSON can spell infinity, and what is no number."""
    return type(given) in (int, float) and -LATEST <= given <= LATEST  # type: ignore[operator]
