"""Checkpoints: the head of a log, kept in the store, so that cutting off the log's end is seen."""

import json
import os
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quote
from typing import NamedTuple

from strongroom import abilities
from strongroom.audit.heads import as_ids, recent_heads
from strongroom.crypto import Forged
from strongroom.crypto.mac import Mac
from strongroom.errors import NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.model import Position
from strongroom.protocols import AuditSink

FORMAT = 1
_TAIL = len(b',"check":""}') + 64


class Checkpoint(NamedTuple):
    """A line that the log must hold, and where."""

    position: Position
    stream: str
    seq: int
    mac: str
    key: int
    """The id of the audit key."""
    after: tuple[str, ...]
    """The ids of the last events of other streams that were there too."""
    place: str
    """Where the log was: see `place_of`. A checkpoint that was made here belongs to the log that is here."""

    def encode(self, audit_key: bytes) -> bytes:
        """Return the JSON object with its own MAC (`check`), 32 bytes in hex, over what precedes it."""
        at = self.position
        after = ",".join(map(quote, self.after))
        # By hand, because each write of a secret makes one.
        body = (
            f'{{"v":{FORMAT},"log":"{at.log}","segment":{at.segment},"offset":{at.offset},"stream":"{self.stream}"'
            f',"seq":{self.seq},"mac":"{self.mac}","key":{self.key},"after":[{after}],"place":{quote(self.place)}'
        ).encode()
        return body + b',"check":"%b"}' % _mac(audit_key).digest(body).hex().encode()


def decode_checkpoint(stored: bytes, keys: Mapping[int, bytes]) -> Checkpoint:
    """Read what `Checkpoint.encode` returned.

    Raises `TamperedError` when it is damaged or forged, `UnknownKeyIdError` and `NewerFormatError`.
    """
    try:
        fields = json.loads(stored)
        if fields["v"] > FORMAT:
            raise NewerFormatError("the checkpoint of an audit log is in a format of a newer strongroom: upgrade it")
        if fields["key"] not in keys:
            raise UnknownKeyIdError(f"a checkpoint names the audit key {fields['key']!r}, which the keyset lacks")
        _mac(keys[fields["key"]]).verify(bytes.fromhex(fields["check"]), stored[:-_TAIL])
    except (ValueError, KeyError, TypeError, Forged):
        raise TamperedError("the checkpoint of an audit log is damaged or forged") from None
    position = Position(fields["log"], fields["segment"], fields["offset"])
    stream, seq, mac, key, after, place = (fields[f] for f in ("stream", "seq", "mac", "key", "after", "place"))
    return Checkpoint(position, stream, seq, mac, key, tuple(after), place)


class Neighbours:
    """The heads of the other streams of a log: looked for only when somebody else has written since the last look."""

    def __init__(self, sink: AuditSink, keys: Mapping[int, bytes], store: str) -> None:
        self._sink = sink
        self._keys = keys
        self._store = store
        self._alone: tuple[object, ...] | None = None
        self._heads: tuple[str, ...] = ()

    def look(self, stream: str, seq: int, before: int) -> tuple[Position, tuple[str, ...]]:
        """Return where the last line lies that `stream` wrote, and the ids of the last events of the others.

        `before` is how many bytes this process had written to the sink before that line. Raises `AuditError`.
        """
        position = self._sink.position()
        if self._alone != _alone(stream, position, before):
            others = recent_heads(self._sink, self._keys, self._store)
            own = others.pop(stream, None)
            # Its own line is nearly always among the newest; where it is read back, its place is certain.
            position = own.position if own and own.seq == seq else position
            self._heads = tuple(as_ids(others))
            self._alone = _alone(stream, position, before)
        return position, self._heads


def _alone(stream: str, position: Position, before: int) -> tuple[object, ...]:
    """Return what stays the same for as long as nobody else writes to the segment."""
    return stream, position.log, position.segment, position.offset - before


def place_of(sink: AuditSink) -> str:
    """Return what `Checkpoint.place` says of a log that is written or read here.

    That is the host, a space, and what the sink says of itself: its URL, or what its method `where` returns.
    """
    placed = abilities.placed(sink)
    return f"{os.uname().nodename} {sink.url if placed is None else placed.where()}"


def is_same_place(one: str, other: str) -> bool:
    """Return whether two places are one: the same path on the same host, or files of one name in one directory.

    A directory keeps its number through links and mounts, and when the host gets another name.
    """
    (path, number), (other_path, other_number) = _parts(one), _parts(other)
    if path == other_path:
        return True
    same_name = path.rpartition("/")[2] == other_path.rpartition("/")[2]
    return same_name and number == other_number and number not in ("", "-")


def _parts(place: str) -> tuple[str, str]:
    """Return a place without the number of its directory, and that number, "" when it has none."""
    path, _, number = place.rpartition(" ")
    known = number == "-" or (set(number) <= set("0123456789abcdef:") and number.count(":") == 1)
    return (path, number) if known and path else (place, "")


def _mac(audit_key: bytes) -> Mac:
    return Mac(audit_key, b"audit checkpoint")
