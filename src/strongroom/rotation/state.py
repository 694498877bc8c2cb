"""What a store keeps of a rotation: one entry, `rotation/NAME`, encrypted and bound to its place.

It holds the attachment (which rotator, how often, how long a grace time), and while a rotation is under way its step.
Until promotion `data` is the pending value, durable before the source is asked to take it; after promotion it is the
previous one, so that it can be retired at the source whatever became of the old versions.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from typing import NamedTuple

from strongroom.errors import ConflictError
from strongroom.model import ROTATION
from strongroom.protocols import Reader
from strongroom.records.records import Records
from strongroom.rotation.owner import Owner, Process

IDLE, PENDING, SET, TESTED, PROMOTED = "idle", "pending", "set", "tested", "promoted"
GRACE = 3600.0
"""Seconds for which the previous value stays valid for processes that have not switched, unless said otherwise."""


class Back(NamedTuple):
    """The rotation that a rotation back to a previous value turns round."""

    before: int
    after: int
    promoted: float
    grace_ends: float


class State(NamedTuple):
    """The attachment of a secret and its rotation. Times are seconds since 1970, spans are seconds."""

    name: str
    url: str | None = None
    """The rotator that is attached; None when there is none."""
    every: float | None = None
    grace: float | None = None
    step: str = IDLE
    id: str = ""
    by_url: bool = False
    """This rotation uses the attached rotator, and not an object that the caller holds."""
    before: int = 0
    """The version that was current when the rotation began."""
    after: int = 0
    """The version that it made; 0 before promotion."""
    started: float | None = None
    promoted: float | None = None
    grace_ends: float | None = None
    error: str | None = None
    """The class of the last error."""
    reason: str | None = None
    """What the last `RotationError` said: no values, as the text of an exception that is not ours is never taken."""
    failed: float | None = None
    """When that was."""
    known: int = 0
    """The version that the source is known to accept: it was promoted, or asked for."""
    drifted: bool = False
    """The source refused the current value when the rotation began, so it is never given that one back."""
    keeps_previous: bool = True
    """The source accepts the previous value until it is retired."""
    graces: dict[str, float] | None = None
    """Seconds for which the services that are named need the previous value, in place of `grace`."""
    next_id: str = ""
    """The id that `create` was asked with, while what it made may be at the source: the next rotation has it too."""
    back: Back | None = None
    """Of a rotation back to a previous value: what it turns round."""
    owner: Owner | None = None
    data: bytes = b""

    def __repr__(self) -> str:
        return f"State({self.name!r}, {self.step})"

    @property
    def is_staged(self) -> bool:
        """True before promotion: the source may have the pending value, the store has the current one."""
        return self.step in (PENDING, SET, TESTED)

    def kept_from(self, version: int) -> int:
        """Return the oldest version that is not retired, 0 before promotion; `version` is the current one.

        What somebody writes in the grace time takes the place of the rotated value too, which is retired with the one
        before it.
        """
        return max(self.after, version) if self.step == PROMOTED else 0

    @property
    def is_back(self) -> bool:
        """True for a rotation back to the value that was current before."""
        return self.back is not None

    def is_running(self, now: float) -> bool:
        """True while a process works on it."""
        return self.owner is not None and self.owner.is_working(now)

    def attached_as(self, other: State) -> State:
        """Return this rotation with the attachment of another state."""
        return self._replace(url=other.url, every=other.every, grace=other.grace, graces=other.graces)

    def needed_until(self, service: str) -> float:
        """Return until when a service that holds the previous value of a promoted rotation may need it."""
        own = (self.graces or {}).get(service)
        return (self.grace_ends or 0.0) if own is None or not self.keeps_previous else (self.promoted or 0.0) + own

    @property
    def last_end(self) -> float:
        """When the last grace time of a promoted rotation ends."""
        return max([self.grace_ends or 0.0, *(self.needed_until(service) for service in self.graces or {})])

    def ended(self) -> State | None:
        """Return what remains when the rotation is over: the attachment, and an id that is still to be used."""
        if self.url is None and not self.next_id:
            return None
        return State(
            self.name, self.url, self.every, self.grace, known=self._left_known, graces=self.graces,
            next_id=self.next_id,
        )  # fmt: skip

    @property
    def _left_known(self) -> int:
        # One that began by force, and is not promoted, leaves a current value that the source has refused.
        return 0 if self.drifted else self.known

    def undone(self) -> State | None:
        """Return what remains when the rotation is undone: the attachment, or the rotation that it turned round."""
        if self.back is None:
            return self.ended()
        return self._replace(
            step=PROMOTED, id=os.urandom(8).hex(), back=None, drifted=False, owner=None, error=None, reason=None,
            failed=None, known=self._left_known, **self.back._asdict(),
        )  # fmt: skip


def path(name: str) -> str:
    """Return where the rotation of a secret lies."""
    return ROTATION + name


def load(reader: Reader, records: Records, name: str) -> State | None:
    """Return the state of a secret's rotation, or None when it has neither rotation nor rotator."""
    stored = reader.get(path(name))
    return None if stored is None else open_state(records, name, stored)


def open_state(records: Records, name: str, stored: bytes) -> State:
    """Decrypt an entry; raises like `Records.open_entry`."""
    fields = json.loads(records.open_entry(path(name), stored))
    owner = fields.pop("owner")
    data = b64decode(fields.pop("data"))
    who = None if owner is None else Owner(owner[0], Process(*owner[1]), owner[2])
    if fields.get("back") is not None:
        fields["back"] = Back(*fields["back"])
    return State(name, **fields, owner=who, data=data)


def seal_state(records: Records, state: State) -> bytes:
    """Return the entry."""
    fields = state._asdict()
    del fields["name"]
    fields["data"] = b64encode(state.data).decode()
    return records.seal_entry(path(state.name), json.dumps(fields, separators=(",", ":")).encode())


def check_write(reader: Reader, records: Records, name: str, data: bytes) -> None:
    """Raise `ConflictError` for a write that would leave the secret without a value that its source accepts."""
    state = load(reader, records, name)
    if state is None:
        return
    if state.is_staged:
        raise ConflictError(
            f"{name!r} was not written: a rotation of it is under way ({state.step}), and its source may have another "
            f"value already. Finish it with `strongroom rotate resume {name}` or undo it with `strongroom rotate abort "
            f"{name}` first",
            name=name,
        )
    if state.step == PROMOTED and data == state.data:
        raise ConflictError(
            f"{name!r} was not written: that is its previous value, which the source is going to refuse. `strongroom "
            f"rollback {name} {state.before}` goes back to it at the source too",
            name=name,
        )
