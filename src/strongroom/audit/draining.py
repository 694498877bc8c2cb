"""Draining: the records of rings become events of the log, each once, whoever is killed meanwhile.

Before a batch is written the ring notes where the log is and which record the batch ends with, and after it how many
are in the log now. Who finds a batch that was begun and not ended looks in the log, from that place on, for the last
record that came so far.
"""

from __future__ import annotations

import json
import time
from binascii import hexlify
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from strongroom.audit.parsing import parse, pieces
from strongroom.audit.ring_file import DAMAGED, DRAINED, PENDING, RECORD, SEGMENT, RingFile, State, Table, counted
from strongroom.crypto.mac import Mac
from strongroom.protocols import AuditSink

if TYPE_CHECKING:
    from strongroom.audit.log import AuditLog

BATCH = 256
"""Records that are written at once: half a millisecond in which other threads wait."""


def drain(file: RingFile, log: AuditLog, table: Table, written: Sequence[int], *, foreign: bool = False) -> State:
    """Write the records of a locked ring to the log, and return the counters after that.

    `written` is how many records each half has; `foreign` says that the ring is another process's. Raises `AuditError`
    when the log cannot be written, `OSError` when the ring cannot be read: then everything is still in the ring.
    """
    state = file.state()
    if state.pending:
        _resume(file, log.sink, state)
    render = _Rendering(file.id, table, log, foreign)
    for half in sorted((0, 1), key=state.first.__getitem__):
        while (start := state.drained[half]) < written[half]:
            stop = min(start + BATCH, written[half])
            stored = file.read(half, state.capacity, start, stop)
            events = render.events(stored, state.first[half] + start, stop - start)
            position = log.position()
            file.put(SEGMENT, position.segment, position.offset, state.first[half] + stop - 1)
            log.record_reads(events)
            file.put(DRAINED + 2 * half, counted(stop))
            file.put(PENDING, 0)
            state.drained[half] = stop
    return state


def sealed(
    reads: Sequence[tuple[int, str]], stream: str, seq: int, mac: Mac, last: bytes, clock: Callable[[], int]
) -> tuple[list[bytes], bytes]:
    """Return the lines of reads that come after the line `seq` of `stream`, whose MAC was `last`, and the newest MAC.

    For `reads` see `AuditLog.record_reads`; `clock` gives nanoseconds since 1970.
    """
    lines, second, stamp = [], -1, ""
    for now, fields in reads:
        seq += 1
        now = (now or clock()) // 1000
        if now // 1_000_000 != second:
            second = now // 1_000_000
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        body = (
            f'{{"id":"{stream}-{seq}","ts":"{stamp}.{now % 1_000_000:06d}Z"'
            f',"seq":{seq},"stream":"{stream}","action":{fields}'
        ).encode()
        last = mac.digest(last, body)
        lines.append(b'%b,"mac":"%b"}\n' % (body, hexlify(last)))
    return lines, last


class _Rendering:
    """Makes events of the records of one ring."""

    def __init__(self, ring: str, table: Table, log: AuditLog, foreign: bool) -> None:
        self._ring = ring
        self._parts = table.parts
        own = log.process()
        self._drainer = f',"drainer":{own["pid"]}' if foreign else ""
        # What a ring says of its process is not believed where its records mean nothing.
        process = json.dumps(own, separators=(",", ":"))[1:-1]
        self._unknown = f'"GET","name":null,"outcome":"failed","reason":"{DAMAGED}"', f',"actor":null,{process}'

    def events(self, stored: bytes, number: int, count: int) -> list[tuple[int, str]]:
        """Return time and text of the events of `count` records, of which the first has this number.

        A run of records that mean nothing is one event, with the number of its last.
        """
        events: list[tuple[int, str]] = []
        ring, drainer, parts, unknown = self._ring, self._drainer, self._parts, 0
        for now, masked in RECORD.iter_unpack(stored.ljust(count * RECORD.size, b"\0")):
            found = parts.get(now ^ masked)
            if found is None:
                unknown += 1
            else:
                if unknown:
                    events.append(self._damaged(number - 1, unknown))
                    unknown = 0
                events.append((now, f'{found[0]},"ring":"{ring}-{number}"{drainer}{found[1]}'))
            number += 1
        if unknown:
            events.append(self._damaged(number - 1, unknown))
        return events

    def _damaged(self, number: int, count: int) -> tuple[int, str]:
        what, who = self._unknown
        return 0, f'{what},"count":{count},"ring":"{self._ring}-{number}"{self._drainer}{who}'


def _resume(file: RingFile, sink: AuditSink, state: State) -> None:
    """Find out which records of a batch that was not ended are in the log."""
    last = _last_in(sink, file.id, state.after)
    for half in (0, 1):
        count = last - state.first[half] + 1
        # Nothing that a line claims moves the counter beyond the batch.
        if state.drained[half] < count <= state.capacity and last <= state.pending:
            file.put(DRAINED + 2 * half, counted(count))
            state.drained[half] = count
    file.put(PENDING, 0)


def _last_in(sink: AuditSink, ring: str, after: tuple[int, int]) -> int:
    """Return the newest record of a ring that is in the log behind a place, 0 when there is none."""
    needle = b'"ring":"%b-' % ring.encode()
    for line in sink.lines_backwards():
        if needle in line.text:
            for _, piece in reversed(list(pieces(line.text))):
                event = parse(piece)
                if event and str(event.get("ring")).startswith(ring + "-"):
                    return int(str(event["ring"])[len(ring) + 1 :])
        if (line.position.segment, line.position.offset) < after:
            break
    return 0
