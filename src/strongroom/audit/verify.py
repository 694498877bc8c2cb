"""Verifies a whole log against the audit keys and the checkpoints in the store.

What is found: a line that was changed, removed, moved, repeated, added or brought from another log; a stream or a
segment that is missing; an end that was cut off before the last checkpoint; a log that was removed, replaced or cut
while a process wrote to it. What cannot be found: the removal of the newest lines of a stream which neither a
checkpoint nor the start of a later stream vouches for; the deletion of the oldest segments, which looks like `keep` (a
note says so); and anything by somebody who has the audit keys.

Only authentic lines count. Others are problems of their own and change nothing of what is said of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from strongroom import abilities
from strongroom.audit.chain import UNSEALED, line_mac
from strongroom.audit.checkpoint import Checkpoint, decode_checkpoint, is_same_place, place_of
from strongroom.audit.parsing import Event, event_id, is_torn, parse, pieces
from strongroom.audit.report import MOST, AuditReport, Finding, Findings
from strongroom.audit.verify_stream import Stream
from strongroom.crypto.mac import Mac
from strongroom.errors import StrongroomError
from strongroom.model import MAX_LINE_BYTES, LogLine, Position
from strongroom.protocols import AuditSink

PROGRESS_EVERY = 10_000
_HEADER = b'{"strongroom_audit":'
_SAID_WITHOUT_KEY = {
    "id", "ts", "seq", "stream", "action", "name", "outcome", "reason", "actor", "service", "pid", "host",
    "instance", "source", "store", "mac",
}  # fmt: skip
_HARM = {
    "log_removed": "the file of the log before this one was deleted while process {pid} wrote to it",
    "log_cut": "the file of the log before this one was cut in place while process {pid} wrote to it, as logrotate's "
    "copytruncate does; what was written between its copy and its cut is lost",
    "log_end_lost": "the end of the log that the store knew was not there when process {pid} wrote to it: lines were "
    "removed, or an older copy of the log was put back",
}


def verify(
    sink: AuditSink, keys: Mapping[int, bytes], checkpoints: Mapping[str, bytes], *,
    store: str | None = None, progress: Callable[[int], None] | None = None,
) -> AuditReport:  # fmt: skip
    """Read the log once, oldest line first; memory grows with the number of streams, not of lines.

    `keys` are the audit keys by id; `checkpoints` what `AuditLog.checkpoint` returned, by log id, read from the store
    before this call. With `store` (its id) lines that were written for another store are notes, since their keys
    are not here. `progress` is called with the number of lines now and then. Others may append meanwhile.

    Raises `AuditError` when the log cannot be read.
    """
    walk = _Walk(sink, keys, checkpoints, store)
    for count, line in enumerate(sink.lines(), 1):
        walk.line(line)
        if progress is not None and count % PROGRESS_EVERY == 0:
            progress(count)
    return walk.report()


class _Walk:
    def __init__(
        self, sink: AuditSink, keys: Mapping[int, bytes], checkpoints: Mapping[str, bytes], store: str | None
    ) -> None:
        self._sink = sink
        self._keys = keys
        self._stored = checkpoints
        self._store = store
        self._found = Findings()
        self._streams: dict[str, Stream] = {}
        self._expected: dict[tuple[str, int], Checkpoint] = {}
        self._after: list[str] = []
        self._events = self._segments = self._first = 0
        self._log: str | None = None
        self._wrote = False
        self._nameless = 0
        """How many streams are known whose first line was not met, or was not authentic."""
        self._zeros = 0
        self._unknown: set[str] = set()
        self._header = b""
        self._harm: Finding | None = None
        """The newest problem of this segment, or a missing one before it: why lines lie elsewhere."""
        self._gone: Finding | None = None
        """Why streams that others have seen may be missing as a whole."""

    def line(self, line: LogLine) -> None:
        position, text = line.position, line.text
        if position.log != self._log or position.segment != self._found.segment:
            self._enter(position)
        self._found.line += 1
        if text.startswith(_HEADER) and (position.offset == 0 or text == self._header):
            # Two processes that begin a segment at once both write its header.
            self._header = text
            return
        if not text:
            # A writer that takes another's line for torn begins with a line feed; the empty line means nothing.
            return
        if line.skipped:
            self._problem(f"a line of more than {MAX_LINE_BYTES:,} bytes, which no event has")
        for offset, piece in pieces(text):
            is_cut = line.skipped > 0 and offset == 0
            self._piece(piece, position._replace(offset=position.offset + offset), is_cut=is_cut)

    def report(self) -> AuditReport:
        self._found.leave()
        if self._log is None:
            self._checkpoints()
        cut: Finding | None = None
        for stream, seq in self._expected:
            message = f"the checkpoint in the store names event {stream}-{seq}, which is not in the log"
            cut = self._because(self._lost(stream), message)
        # Only now, because other streams may have written between the line of a checkpoint and its making.
        for tip in self._after:
            self._vouched(tip, "a checkpoint in the store", cut)
        if self._wrote and self._log not in self._stored:
            self._found.problem("the log records writes, but the store has no checkpoint of it: is it an old store?")
        streams = sum(stream.seq > 0 for stream in self._streams.values())
        return self._found.report(self._events, streams, self._segments)

    def _problem(self, message: str) -> Finding:
        self._harm = self._found.problem(message)
        return self._harm

    def _because(self, cause: Finding | None, message: str) -> Finding:
        """Add a consequence of another finding, or a problem when there is no other."""
        if cause is None:
            return self._problem(message)
        cause.adds(message)
        return cause

    def _enter(self, position: Position) -> None:
        """Begin a segment."""
        before = self._found.segment
        self._found.leave()
        self._harm = None
        self._zeros = 0
        packed = abilities.packed(self._sink) if position.segment != before + 1 else None
        names = packed.compressed() if packed is not None else []
        where = f"; decompress these to have them verified: {', '.join(names[:20])}" if names else ""
        if self._log is None:
            self._log, self._first = position.log, position.segment
            self._checkpoints()
            if self._first > 1:
                why = "compressed" if names else "rolled out and moved away, or removed"
                self._found.note(f"segments 1 to {self._first - 1} are not here: {why}{where}")
        elif position.segment != before + 1:
            self._gone = self._problem(f"segments {before + 1} to {position.segment - 1} are missing{where}")
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
        if log != self._log and is_same_place(checkpoint.place, place_of(self._sink)):
            self._gone = self._found.problem(
                f"the log {log} was here when the store was last written, and is gone or replaced"
            )
        elif log != self._log:
            self._found.note(f"the store knows another log, {log}, of {checkpoint.place}")
        elif segment < self._first:
            self._found.note("the last checkpoint is in a segment that is not here")
        else:
            self._expected[checkpoint.stream, checkpoint.seq] = checkpoint
            self._after += checkpoint.after

    def _piece(self, piece: bytes, position: Position, *, is_cut: bool) -> None:
        event = parse(piece)
        if event is None:
            if piece and is_torn(piece):
                self._found.note("a torn line, from a crash or a full disk")
                self._zeros += piece.count(b"\0")
            elif piece and not is_cut:
                holes = piece.count(b"\0")
                self._zeros += holes
                self._problem(
                    f"this is no event, with {holes:,} NUL bytes in it: a power loss leaves them where a page was not "
                    "on the disk yet"
                    if holes
                    else "this is not an event, and no torn one either"
                )
        elif self._store is not None and event["store"] != self._store and not piece.endswith(UNSEALED):
            store = ascii(event["store"][:40])[1:-1]
            self._found.note(f"an event was written for the store {store}, so it is not verified here", store)
        elif piece.endswith(UNSEALED):
            self._unsealed(event)
        elif event_id(piece) != (event["stream"], event["seq"]) or event["id"] != f"{event['stream']}-{event['seq']}":
            self._problem("its id is not its stream and number")
        else:
            self._events += 1
            self._sealed(event, piece, position)

    def _unsealed(self, event: Event) -> None:
        """Judge a line that nothing authenticates: it may say that a key was refused, and nothing else."""
        is_refusal = event["outcome"] in ("failed", "denied") and event["action"] == "OPEN" and event["seq"] == 1
        if is_refusal and event.get("name") is None and event["stream"] not in self._streams \
                and _SAID_WITHOUT_KEY.issuperset(event):  # fmt: skip
            kind = f"an unauthenticated refusal ({event['action']})"
            self._found.note(f"{kind}: no key was there to authenticate it", kind)
        else:
            self._problem("a line without authentication that is no refusal of a key")

    def _sealed(self, event: Event, piece: bytes, position: Position) -> None:
        name, seq = event["stream"], event["seq"]
        stream = self._streams.get(name) or self._begin(event, piece)
        if stream is None:
            return
        if stream.segment != position.segment:
            self._problem(f"event {event['id']} belongs into segment {stream.segment}")
            return
        before = len(self._found.problems)
        good = stream.line(seq, piece, self._found)
        if len(self._found.problems) > before:
            self._harm = self._explained(self._found.problems[-1])
        if not good:
            return
        # The line that opens a stream says which revision was found, and writes nothing.
        self._wrote = self._wrote or ("revision" in event and event["action"] != "OPEN")
        if seq == 1:
            self._nameless -= 1
            self._opened(event, position)
        if event["action"] == "AUDIT" and event.get("reason") in _HARM:
            self._gone = self._because(self._gone, _HARM[event["reason"]].format(pid=event["pid"]))
        checkpoint = self._expected.pop((name, seq), None)
        if checkpoint and checkpoint.mac != event["mac"]:
            self._problem("the checkpoint in the store has this line otherwise")
        elif checkpoint and checkpoint.position != position:
            self._because(self._harm, "the checkpoint in the store has this line elsewhere or otherwise")

    def _begin(self, event: Event, piece: bytes) -> Stream | None:
        """Meet a new stream; its first line says under which key it is."""
        name, key = event["stream"], event.get("key")
        if event["seq"] == 1 and (type(key) is not int or key not in self._keys):
            is_opened = type(key) is int
            why = f"is under the audit key {key}, which is not here"
            self._problem(f"stream {name} {why if is_opened else 'does not begin with the line that opens it'}")
            if len(self._unknown) < MOST:
                self._unknown.add(name)
            return None
        if event["seq"] > 1 and name in self._unknown:
            return None
        macs: list[Mac] = [line_mac(secret, name) for secret in self._keys.values()]
        stream = Stream(name, self._found.segment, macs)
        # However many forged streams there are, one whose first line is authentic is followed.
        if self._nameless >= MOST and not stream.begins_with(piece):
            self._problem(f"event {event['id']} is of a stream that was not opened")
            return None
        self._nameless += 1
        self._streams[name] = stream
        return stream

    def _opened(self, event: Event, position: Position) -> None:
        """Check what the first line of a stream vouches for."""
        if (event["log"], event["segment"]) != (position.log, position.segment):
            self._problem(f"stream {event['stream']} was written to another log or segment")
            return
        cause = None
        if position.offset < event["at"]:
            message = f"{event['at'] - position.offset} bytes before this line are missing"
            cause = self._because(self._harm, message)
        for tip in event["after"]:
            self._vouched(tip, f"stream {event['stream']}, which begins here,", cause)

    def _vouched(self, tip: str, witness: str, cause: Finding | None) -> None:
        name, _, seq = tip.partition("-")
        stream = self._streams.get(name)
        if stream is None and self._first > 1 and self._gone is None:
            return
        if stream is None or stream.has_lost(int(seq)):
            why = self._lost(name) or cause
            found = self._because(why, f"{witness} has seen event {tip}, which is not before it")
            if why is None:
                self._explained(found)

    def _explained(self, problem: Finding) -> Finding:
        """Say with a problem of missing lines that zeros stand in their place, if they do."""
        if self._zeros:
            problem.adds(
                f"{self._zeros:,} NUL bytes stand before it in this file: a power loss leaves them where lines "
                "were not on the disk yet"
            )
        return problem

    def _lost(self, name: str) -> Finding | None:
        """Return the finding that explains why lines of a stream are missing."""
        stream = self._streams.get(name)
        return self._gone if stream is None else stream.gap
