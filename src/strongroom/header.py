"""The clear entry of a store (`system/header`): what it is, and the root key wrapped for each recipient."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import NamedTuple

from strongroom.errors import NewerFormatError, TamperedError, WrongKeyError
from strongroom.model import HEADER
from strongroom.places import FORMAT, context
from strongroom.protocols import KeyProvider

_MAGIC = b"strongroom header "


class Recipient(NamedTuple):
    """One party that can unwrap the root key."""

    id: int
    label: str
    """The URL of the key provider as it was given; says where the key was, never what it is."""
    added: float
    """Seconds since 1970, UTC."""
    wrapped: bytes


class Header(NamedTuple):
    """Immutable; a change makes a new one."""

    store: str
    """The store's random id, 32 hex digits."""
    created: float
    root: int
    """1 for the first root key; removing a recipient makes the next."""
    recipients: tuple[Recipient, ...]

    def encode(self) -> bytes:
        """Return `strongroom header 1 <SHA-256 of the rest>` LF and a JSON object.

        The checksum finds accidents, so that a damaged header is not taken for a wrong key. Malice is found by the
        master key, which authenticates each wrapped root key, and by the manifest.
        """
        rows = [[r.id, r.label, round(r.added, 3), b64encode(r.wrapped).decode()] for r in self.recipients]
        body = json.dumps(
            {"store": self.store, "created": round(self.created, 3), "root": self.root, "recipients": rows}
        ).encode()
        return _MAGIC + b"%d %b\n" % (FORMAT, hashlib.sha256(body).hexdigest().encode()) + body

    @classmethod
    def decode(cls, stored: bytes) -> Header:
        """Read what `encode` wrote; raises `NewerFormatError` and `TamperedError`."""
        first, _, body = stored.partition(b"\n")
        number = first.removeprefix(_MAGIC).partition(b" ")[0]
        if first.startswith(_MAGIC) and number.isdigit() and int(number) > FORMAT:
            raise NewerFormatError(f"the store has format {int(number)}, this strongroom reads {FORMAT}: upgrade it")
        if first != _MAGIC + b"%d %b" % (FORMAT, hashlib.sha256(body).hexdigest().encode()):
            raise TamperedError(f"the entry {HEADER!r} is damaged (its checksum fails): restore it from a backup")
        fields = json.loads(body)
        recipients = (Recipient(id, label, added, b64decode(w)) for id, label, added, w in fields["recipients"])
        return cls(fields["store"], fields["created"], fields["root"], tuple(recipients))

    def wrap_root(self, root: bytes, recipient: int, provider: KeyProvider) -> bytes:
        """Wrap the root key for one recipient of this store; another store or another root number refuses it."""
        return provider.wrap(root, self._context(recipient))

    def unwrap_root(self, provider: KeyProvider) -> tuple[bytes, Recipient]:
        """Return the root key and the recipient whose wrap `provider` opened.

        Raises `WrongKeyError` when it opens none, `TamperedError` when its own is damaged.
        """
        for recipient in self.recipients:
            try:
                return provider.unwrap(recipient.wrapped, self._context(recipient.id)), recipient
            except WrongKeyError as error:
                if type(error) is not WrongKeyError:
                    raise
        labels = ", ".join(recipient.label for recipient in self.recipients)
        raise WrongKeyError(
            f"the master key from {provider.url} does not open this store; it was locked with the key from: {labels}. "
            "Give that key (was SECRETS_MASTER_KEY changed, or is this another environment's store?)"
        )

    def with_recipients(self, recipients: Iterable[Recipient]) -> Header:
        """Return this header with other recipients."""
        return self._replace(recipients=tuple(recipients))

    def next_id(self) -> int:
        """Return an id that no recipient has."""
        return max((recipient.id for recipient in self.recipients), default=0) + 1

    def _context(self, recipient: int) -> bytes:
        return context(self.store, HEADER, b"root %d recipient %d" % (self.root, recipient))
