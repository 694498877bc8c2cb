"""Verifies a whole log against the audit keys and the checkpoints in the store.

What is found: a line that was changed, removed, moved, repeated, added or brought from another log; a stream or a
segment that is missing; an end that was cut off before the last checkpoint. What cannot be found: the removal of the
newest lines of a stream which neither a checkpoint nor the start of a later stream vouches for; the deletion of the
oldest segments, which looks like `keep` (a note says so); and anything by somebody who has the audit keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from strongroom.audit.chain import START, TAIL_SIZE, UNSEALED, line_mac, tail
from strongroom.audit.checkpoint import Checkpoint, decode_checkpoint, place_of
from strongroom.audit.parsing import Event, is_torn, parse, pieces
from strongroom.audit.report import AuditReport, Findings
from strongroom.crypto.mac import Mac
from strongroom.errors import StrongroomError
from strongroom.model import LogLine, Position
from strongroom.protocols import AuditSink

PROGRESS_EVERY = 10_000
_HEADER = b'{"strongroom_audit":'


def verify(
    sink: AuditSink, keys: Mapping[int, bytes], checkpoints: Mapping[str, bytes], *,
    store: str | None = None, progress: Callable[[int], None] | None = None,
) -> AuditReport:  # fmt: skip
    """Read the log once, oldest line first; memory grows with the number of streams, not of lines.

    `keys` are the audit keys by id; `checkpoints` what `AuditLog.checkpoint` returned, by log id, read from the store
    before this call. With `store` (its id) streams that were written for another store are notes, since their keys
    are not here. `progress` is called with the number of lines now and then. Others may append meanwhile.

    Raises `AuditError` when the log cannot be read.
    """
    walk = _Walk(keys, checkpoints, store, place_of(sink))
    for count, line in enumerate(sink.lines(), 1):
        walk.line(line)
        if progress is not None and count % PROGRESS_EVERY == 0:
            progress(count)
    return walk.report()


class _Stream:
    """Where the verification of one stream stands."""

    __slots__ = ("last", "mac", "segment", "seq")

    def __init__(self, segment: int, mac: Mac | None) -> None:
        self.segment = segment
        self.mac = mac
        """None when its lines cannot be authenticated; that was reported once."""
        self.seq = 0
        self.last = START


class _Walk:
    def __init__(
        self, keys: Mapping[int, bytes], checkpoints: Mapping[str, bytes], store: str | None, place: str
    ) -> None:
        self._keys = keys
        self._stored = checkpoints
        self._store = store
        self._place = place
        self._found = Findings()
        self._streams: dict[str, _Stream] = {}
        self._foreign: set[str] = set()
        self._expected: dict[tuple[str, int], Checkpoint] = {}
        self._after: list[str] = []
        self._events = self._segments = self._first = 0
        self._log: str | None = None
        self._wrote = False

    def line(self, line: LogLine) -> None:
        position, text = line.position, line.text
        if position.log != self._log or position.segment != self._found.segment:
            self._enter(position)
        self._found.line += 1
        if position.offset == 0 and text.startswith(_HEADER):
            return
        for offset, piece in pieces(text):
            self._piece(piece, position._replace(offset=position.offset + offset))

    def report(self) -> AuditReport:
        self._found.leave()
        if self._log is None:
            self._checkpoints()
        for stream, seq in self._expected:
            self._found.problem(f"the checkpoint in the store names event {stream}-{seq}, which is not in the log")
        # Only now, because other streams may have written between the line of a checkpoint and its making.
        for id in self._after:
            self._vouched(id, "a checkpoint in the store")
        if self._wrote and self._log not in self._stored:
            self._found.problem("the log records writes, but the store has no checkpoint of it: is it an old store?")
        return self._found.report(self._events, len(self._streams), self._segments)

    def _enter(self, position: Position) -> None:
        """Begin a segment."""
        before = self._found.segment
        self._found.leave()
        if self._log is None:
            self._log, self._first = position.log, position.segment
            self._checkpoints()
            if self._first > 1:
                self._found.note(f"segments 1 to {self._first - 1} are not here: rotated away, or removed")
        elif position.segment != before + 1:
            self._found.problem(f"segments {before + 1} to {position.segment - 1} are missing")
        self._found.segment = position.segment
        self._segments += 1

    def _checkpoints(self) -> None:
        for stored in self._stored.values():
            try:
                self._checkpoint(decode_checkpoint(stored, self._keys))
            except StrongroomError as error:
                self._found.problem(str(error))

    def _checkpoint(self, checkpoint: Checkpoint) -> None:
        log, segment = checkpoint.position.log, checkpoint.position.segment
        if log != self._log and checkpoint.place == self._place:
            self._found.problem(f"the log {log} was here when the store was last written, and is gone or replaced")
        elif log != self._log:
            self._found.note(f"the store knows another log, {log}, of {checkpoint.place}")
        elif segment < self._first:
            self._found.note("the last checkpoint lies in a segment that is not here")
        else:
            self._expected[checkpoint.stream, checkpoint.seq] = checkpoint
            self._after += checkpoint.after

    def _piece(self, piece: bytes, position: Position) -> None:
        event = parse(piece)
        if event is None:
            # A writer that takes another's line for torn begins with a line feed; the empty line means nothing.
            if piece and is_torn(piece):
                self._found.note("a torn line, from a crash or a full disk")
            elif piece:
                self._found.problem("this is not an event, and no torn one either")
        elif piece.endswith(UNSEALED):
            self._unsealed(event)
        else:
            self._events += 1
            self._sealed(event, piece, position)

    def _unsealed(self, event: Event) -> None:
        if event["outcome"] not in ("failed", "denied") or event["stream"] in self._streams:
            self._found.problem("a line without authentication that is no refusal")
        else:
            self._found.note(f"an unauthenticated refusal ({event['action']}): no key was there to authenticate it")

    def _sealed(self, event: Event, piece: bytes, position: Position) -> None:
        name, seq = event["stream"], event["seq"]
        if self._store is not None and name in self._foreign:
            return
        if event["id"] != f"{name}-{seq}":
            self._found.problem("its id is not its stream and number")
            return
        stream = self._streams.get(name) or self._begin(event)
        if stream is None:
            return
        if stream.segment != position.segment:
            self._found.problem(f"event {event['id']} belongs into segment {stream.segment}")
            return
        if seq <= stream.seq:
            self._found.problem(f"event {event['id']} was repeated or moved: its stream was at {stream.seq} already")
            return
        if seq > stream.seq + 1:
            lost = f"{name}-{stream.seq + 1}" + (f" to {name}-{seq - 1}" if seq > stream.seq + 2 else "")
            self._found.problem(f"before this line, {lost} is missing")
        elif stream.mac is not None:
            mac = stream.mac.digest(stream.last, piece[:-TAIL_SIZE])
            # Without MAC key nobody learns from the time that this comparison takes, and the verifier has it.
            if piece[-TAIL_SIZE:] != tail(mac):
                self._found.problem(f"event {event['id']} was changed or forged: its authentication fails")
                if seq == 1:
                    # Under other keys (a log of another store) each line would fail: one problem is enough.
                    stream.mac = None
            elif seq == 1:
                self._opened(event, position)
        self._follow(stream, event, position)

    def _follow(self, stream: _Stream, event: Event, position: Position) -> None:
        """Take this line for the stream's last, whatever was wrong with it, so that one change is one problem."""
        stream.seq = event["seq"]
        try:
            stream.last = bytes.fromhex(event["mac"])
        except (KeyError, TypeError, ValueError):
            stream.last = START
        # The line that opens a stream says which revision was found, and writes nothing.
        self._wrote = self._wrote or (stream.mac is not None and "revision" in event and event["action"] != "OPEN")
        checkpoint = self._expected.pop((event["stream"], event["seq"]), None)
        if checkpoint and (checkpoint.position, checkpoint.mac) != (position, event.get("mac")):
            self._found.problem("the checkpoint in the store has this line elsewhere or otherwise")

    def _begin(self, event: Event) -> _Stream | None:
        """Meet a new stream; its first line says under which key it is."""
        name = event["stream"]
        if self._store is not None and event["store"] != self._store:
            self._foreign.add(name)
            self._found.note(f"stream {name} was written for the store {event['store']}, so it is not verified here")
            return None
        key = event.get("key")
        mac = None
        if event["seq"] == 1:
            try:
                mac = line_mac(self._keys[key], name) if type(key) is int else None
            except (KeyError, ValueError):
                self._found.problem(f"stream {name} is under the audit key {key}, which is not here")
        self._streams[name] = stream = _Stream(self._found.segment, mac)
        if mac is None and event["seq"] == 1 and type(key) is not int:
            self._found.problem(f"stream {name} does not begin with the line that opens it")
        return stream

    def _opened(self, event: Event, position: Position) -> None:
        """Check what the first line of a stream vouches for."""
        if (event["log"], event["segment"]) != (position.log, position.segment):
            self._found.problem(f"stream {event['stream']} was written to another log or segment")
        elif position.offset < event["at"]:
            self._found.problem(f"{event['at'] - position.offset} bytes before this line are missing")
        for id in event["after"]:
            self._vouched(id, f"stream {event['stream']}, which begins here,")

    def _vouched(self, id: str, witness: str) -> None:
        name, _, seq = id.partition("-")
        stream = self._streams.get(name)
        if stream is None and self._first > 1:
            return
        if stream is None or stream.seq < int(seq):
            self._found.problem(f"{witness} has seen event {id}, which is not before it")
