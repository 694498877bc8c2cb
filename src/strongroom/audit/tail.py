"""The newest store revision that a log has on record, found without reading the whole log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from strongroom.audit.authentic import Authenticator, last_event
from strongroom.audit.parsing import Event, event_id, parse
from strongroom.errors import StrongroomError
from strongroom.system.frozen import Frozen

if TYPE_CHECKING:
    from strongroom.model import LogLine, Position
    from strongroom.protocols import AuditSink

WINDOW = 64 * 1024 * 1024
"""Bytes that are looked at, at most. Lines of others, and reads of one process that never ended, can be as many."""
SMALL_WINDOW = 256 * 1024
LINE_COST = 64
"""What a line costs of that besides its bytes: empty lines are not free."""
BEYOND = 256 * 1024
"""Bytes that are looked at beyond the end of the search, for the line before one that was met already."""
FEW_LINES = 50
"""Lines after which the checkpoint is looked at, should the search still go on."""
MOST_WAITING = 16 * 1024 * 1024
"""Bytes of lines that wait for the line before them."""
_KEPT = 512 * 1024
"""Bytes of the end of a log that are kept in memory from the first search for the second."""
_revision = b'"revision":'


class Recorded(Frozen):
    """What the end of a log says of its store."""

    __slots__ = ("revision", "complete", "end")  # noqa: RUF023

    def __init__(self, revision: int, complete: bool, end: Position | None) -> None:
        self.revision = revision
        """The newest revision on record, at least the one that was asked about."""
        self.complete = complete
        """False when more was written than is looked at or kept, and so a newer revision may be on record."""
        self.end = end
        """Where the log ended; None when it has no lines."""


class Tail:
    """The end of a log, which two searches read only once."""

    def __init__(self, sink: AuditSink) -> None:
        self._sink = sink
        self._read: list[LogLine] = []
        self._rest: Iterator[LogLine] | None = None

    def lines_backwards(self) -> Iterator[LogLine]:
        """Return the lines, newest first; the second call returns those of the first call, unless these were many."""
        if self._rest is not None:
            again = chain(self._read, self._rest)
            self._read, self._rest = [], None
            return again
        self._rest = self._sink.lines_backwards()
        return self._keep(self._rest)

    def lines(self) -> Iterator[LogLine]:
        """Return all lines, oldest first."""
        return self._sink.lines()

    def _keep(self, rest: Iterator[LogLine]) -> Iterator[LogLine]:
        read, left = self._read, _KEPT
        for line in rest:
            read.append(line)
            left -= len(line.text) + LINE_COST
            if left < 0:
                self._read, self._rest = [], None
                yield line
                yield from rest
                return
            yield line


def newest_revision(
    sink: AuditSink | Tail, keys: Mapping[int, bytes], store: str, revision: int,
    checkpoint: Callable[[str], bytes | None], window: int = WINDOW,
) -> Recorded:  # fmt: skip
    """Return the newest revision on record for the store with the id `store`, which is at `revision` itself.

    Only authentic lines count. The search ends where the checkpoint that the store has of this log lies (`checkpoint`
    returns it, by the id of the log): whatever was written before that is older than the store. It also ends where
    the search of another process began that is on record with what it found. A line that was copied to the end of the
    log changes nothing of that. No more than `window` bytes are looked at.

    Raises `AuditError` when the log cannot be read.
    """
    search = _Search(keys, store, revision, checkpoint)
    end: Position | None = None
    left, beyond = window, BEYOND
    for number, line in enumerate(sink.lines_backwards()):
        position, text = line.position, line.text
        if end is None:
            end = position._replace(offset=position.offset + len(text) + 1)
        if number == FEW_LINES:
            search.stop_at_checkpoint(position.log)
        cost = len(text) + line.skipped + LINE_COST
        left -= cost
        stop = search.stop
        if position.segment <= stop[0] and (position.segment, position.offset) < stop:
            beyond -= cost
            if not search.is_waiting or beyond < 0:
                return Recorded(search.newest, search.is_complete, end)
        if left < 0:
            return Recorded(search.newest, False, end)
        # Most lines are those of readers, and there can be very many.
        if _revision in text or search.is_waiting:
            search.line(position, text)
    return Recorded(search.newest, search.is_complete, end)


class _Search:
    def __init__(
        self, keys: Mapping[int, bytes], store: str, revision: int, checkpoint: Callable[[str], bytes | None]
    ) -> None:
        self._keys = keys
        self._mine = b'"store":"%b"' % store.encode()
        self._stored = checkpoint
        self._checkpoint: tuple[int, int] | None = None
        self._waiting = Authenticator(keys, MOST_WAITING)
        self.newest = revision
        self.stop = (0, 0)
        """Segment and offset; lines before that need not be looked at."""

    @property
    def is_waiting(self) -> bool:
        return self._waiting.count > 0

    @property
    def is_complete(self) -> bool:
        return not self._waiting.gave_up

    def stop_at_checkpoint(self, log: str) -> tuple[int, int]:
        """Return where the store's checkpoint lies: what was found before that does not count.

        It was put aside, should the store have been restored on purpose since then.
        """
        if self._checkpoint is None:
            from strongroom.audit.checkpoint import decode_checkpoint  # most processes find an end sooner

            self._checkpoint = 0, 0
            stored = self._stored(log)
            # One that is damaged says nothing; `audit verify` says that.
            with suppress(StrongroomError):
                if stored is not None and (at := decode_checkpoint(stored, self._keys).position).log == log:
                    self._checkpoint = at.segment, at.offset
            self.stop = max(self.stop, self._checkpoint)
        return self._checkpoint

    def line(self, position: Position, text: bytes) -> None:
        piece = text
        if self.is_waiting:
            piece = last_event(text)
            for found in self._waiting.meet(piece, event_id(piece)):
                self.newest = max(self.newest, found)
        if _revision in text and self._mine in text:
            self._revision(position, last_event(piece))

    def _revision(self, position: Position, piece: bytes) -> None:
        event_key = event_id(piece)
        if event_key is not None and event_key[1] == 1:
            # The line that opens a stream: it is authentic by itself, and says what its process found on record.
            event = parse(piece)
            if event is not None and self._waiting.take(piece, 0) and event.get("log") == position.log:
                self._opened(event)
            return
        # Most lines say no newer revision, so that they need not be authenticated.
        event = parse(piece) if _number(piece) > self.newest else None
        if event is not None and (position.segment, position.offset) > self.stop_at_checkpoint(position.log):
            self._waiting.take(piece, revision_of(event))

    def _opened(self, event: Event) -> None:
        # Its process looked at the log up to there, some time before it wrote this.
        segment, offset = event.get("searched", (0, 0))
        revision = revision_of(event)
        # Without a checkpoint there is nothing that could have been put aside.
        known = revision > self.newest and self.stop_at_checkpoint(event["log"])
        if not known or known == (0, 0) or (segment, offset) > known:
            self.newest = max(self.newest, revision)
            self.stop = max(self.stop, (segment, offset))


def revision_of(event: Event) -> int:
    """Return the revision of an event, 0 when it has none."""
    revision = event.get("revision")
    return revision if type(revision) is int else 0


def _number(piece: bytes) -> int:
    digits = piece.partition(_revision)[2][:20].partition(b",")[0]
    return int(digits) if digits.isdigit() else 0
