"""Writes events: one line each, chained, in the kernel before the caller goes on."""

from __future__ import annotations

import json
import os
import time
from binascii import hexlify
from collections.abc import Callable, Mapping
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quote
from threading import RLock
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from strongroom import abilities
from strongroom.audit.chain import START, UNSEALED, line_mac
from strongroom.audit.heads import as_ids, recent_heads
from strongroom.crypto.mac import Mac
from strongroom.errors import AuditError, NewerFormatError, TamperedError, UnknownKeyIdError
from strongroom.model import ACTIONS, MAX_EVENT_BYTES, OUTCOMES
from strongroom.system.moment import utc

if TYPE_CHECKING:
    from mmap import mmap

    from strongroom.audit.checkpoint import Neighbours
    from strongroom.caller import Caller
    from strongroom.model import Position
    from strongroom.protocols import AuditSink

CHECKPOINT_EVERY: Final = 1000
CHECKPOINT_AFTER: Final = 10.0
"""Seconds that lie at least between two checkpoints of a process that only reads: each is a commit of the store."""
_CHECKS = 50
"""Events after which a process has a mark of its own."""
_words = {word: quote(word) for word in ACTIONS + OUTCOMES}


class AuditLog:
    """Appends the events of one store to a sink. One object for each sink; usable from many threads and after `fork`.

    Every line is one JSON object with these fields in this order: `id` (`<stream>-<seq>`), `ts` (UTC, microseconds),
    `seq`, `stream`, `action`, `name`, `version`, `stage`, `outcome`, `reason`, `intent` (the id of the event that
    this one answers), `revision` (of the store, after a write or when it was opened), `count`, `actor`, `service`,
    `pid`, `host`, `instance` (where the setting names one), `source`, `remote_address`, `request_id` (the last two of a
    caller over a network), `store`, `mac`; those that do not apply are absent. The first line of a stream is the action
    `OPEN`, which also holds `address` (the URL of a store that has a path), `key` (id of the audit key), `log`,
    `segment`, `at` (the length that the segment had at least), `after` (the last events of other streams) and
    `searched` (segment and offset up to which the log was searched for `revision`). An event has at most
    `MAX_EVENT_BYTES`.

    `keys` are the audit keys by id, of which the newest writes. With `None` (a wrong master key leaves no audit key)
    lines have `"mac":null`: anybody who can write to the file could have added them, so they prove nothing, and
    `verify` names them.
    """

    _clock: Callable[[], int] = staticmethod(time.time_ns)
    _random: Callable[[int], bytes] = staticmethod(os.urandom)
    _segment: int | None
    _stream: str
    _seq: int
    _mac: Mac | None
    _last: bytes

    def __init__(
        self, sink: AuditSink, keys: Mapping[int, bytes] | None, *, store: str, actor: str, service: str,
        source: str = "library", checkpoint_every: int = CHECKPOINT_EVERY, revision: int | None = None,
        address: str = "", searched: Position | None = None, instance: str = "",
    ) -> None:  # fmt: skip
        """`revision` is the newest on record when the log was searched up to `searched`; the first line says both, and
        `address`, where the store is. `instance` is what tells this host from others of the service."""
        self.sink = sink
        self._keys = keys
        self._store = store
        self._actor = actor
        self._service = service
        self.instance = instance
        self._source = source
        self._every = checkpoint_every
        self._address = address
        self._found = revision, searched
        self._since_checkpoint = 0
        self._checkpoint_at = -CHECKPOINT_AFTER
        self._neighbours: Neighbours | None = None
        self._written = 0
        self._second = ""
        self._start_anew()
        _logs.add(self)
        _mark.set()

    def __repr__(self) -> str:
        return f"AuditLog({self.sink.url})"

    def record(
        self, action: str, name: str | None, outcome: str, *, version: int | None = None, stage: str | None = None,
        reason: str | None = None, revision: int | None = None, intent: str | None = None, count: int | None = None,
        caller: Caller | None = None,
    ) -> str:  # fmt: skip
        """Write one event and return its id, which the outcome of an intent passes as `intent`.

        Without a `caller` the log's own actor is named.

        `action` and `outcome` are words of `strongroom.model`; `reason` is a short stable word, never free text.
        Raises `AuditError` when the line cannot be written: then the caller must not answer.
        """
        if not _mark.page[0]:
            _mark.check()
        if self._lock._is_owned():  # type: ignore[attr-defined]
            raise AuditError(
                "a signal handler read a secret while its thread was writing an event: let the handler set a flag, and "
                "read the secret elsewhere"
            )
        # Every read of a secret pays for this function: rendered by hand, an event costs about as much as its write.
        with self._lock:
            if self._segment != self.sink.segment():
                self._begin()
            self._since_checkpoint += 1
            more = "" if version is None else f',"version":{version}'
            if stage is not None:
                more += f',"stage":{quote(stage)}'
            more += f',"outcome":{_words[outcome]}'
            if reason is not None:
                more += f',"reason":{quote(reason)}'
            if intent is not None:
                more += f',"intent":{quote(intent)}'
            if revision is not None:
                more += f',"revision":{revision}'
            if count is not None:
                more += f',"count":{count}'
            who = self._whos.get(caller) or self._who(caller)
            return self._write(action, "null" if name is None else quote(name), more + who)

    def _write(self, action: str, name: str, rest: str) -> str:
        seq = self._seq + 1
        now = str(self._clock())
        if len(now) < 10:
            now = now.zfill(10)  # the clock says that it is 1970
        if now[:-9] != self._second:
            self._second = now[:-9]
            self._stamp = utc(int(self._second), "%Y-%m-%dT%H:%M:%S")
        stream = self._stream
        event = f"{stream}-{seq}"
        body = (
            f'{{"id":"{event}","ts":"{self._stamp}.{now[-9:-3]}Z","seq":{seq},"stream":"{stream}"'
            f',"action":{_words[action]},"name":{name}{rest}'
        ).encode()
        if len(body) > MAX_EVENT_BYTES:
            raise AuditError(
                f"an event of {len(body):,} bytes is not written, as at most {MAX_EVENT_BYTES:,} are read: shorten the "
                "name of the actor or of the service"
            )
        try:
            self._seq = seq
            if self._mac is None:
                self.sink.append(body + UNSEALED + b"\n")
            else:
                self._last = last = self._mac.digest(self._last, body)
                line = b'%b,"mac":"%b"}\n' % (body, hexlify(last))
                self.sink.append(line)
                self._length = len(line)
                self._written += self._length
        except BaseException:
            # Nobody knows whether the line is there (a failed fsync, a signal): a stream must not guess.
            self._segment = self._mac = None
            raise
        return event

    @property
    def store(self) -> str:
        """The id of the store that events are recorded for."""
        return self._store

    @property
    def service(self) -> str:
        """The service that events are recorded for."""
        return self._service

    def rekey(self, keys: Mapping[int, bytes]) -> None:
        """Write with the newest of `keys` from now on, in a new stream."""
        with self._lock:
            self._keys = keys
            self._segment = self._neighbours = None

    @property
    def checkpoint_due(self) -> bool:
        """True when many events and some time came after the last checkpoint, as with a process that only reads."""
        if self._since_checkpoint < self._every or self._keys is None:
            return False
        return time.monotonic() - self._checkpoint_at >= CHECKPOINT_AFTER

    def postpone_checkpoint(self) -> None:
        """Let no checkpoint be due for a while, as the store does not take one now."""
        self._checkpoint_at = time.monotonic()

    def checkpoint(self, stored: Callable[[str], bytes | None] | None = None) -> tuple[str, bytes]:
        """Return the id of the log and what the store shall keep for it: the log's head, authenticated.

        `stored` returns what the store keeps now, by the id of the log. When the line that it names is not there, that
        is put on record, since the new one takes the place of all that shows it.

        Raises `AuditError` when nothing can be written or when there is no audit key.
        """
        if not _mark.page[0]:
            _mark.check()
        with self._lock:
            if self._segment != self.sink.segment():
                self._begin()
            if self._keys is None:
                raise AuditError("an audit log without keys has no checkpoint; unlock the store first")
            from strongroom.audit.checkpoint import Checkpoint, Neighbours, place_of  # most processes only read

            if stored is not None and not self._is_end_known:
                self._check_end(stored)
            if self._neighbours is None:
                self._neighbours = Neighbours(self.sink, self._keys, self._store)
            position, others = self._neighbours.look(self._stream, self._seq, self._written - self._length)
            # The store keeps what it is told now through a power loss, so the log has to keep it too.
            durable = abilities.durable(self.sink)
            if durable is not None:
                durable.sync()
            key = max(self._keys)
            head = Checkpoint(position, self._stream, self._seq, self._last.hex(), key, others, place_of(self.sink))
            self._since_checkpoint = 0
            self._checkpoint_at = time.monotonic()
            return position.log, head.encode(self._keys[key])

    def _check_end(self, stored: Callable[[str], bytes | None]) -> None:
        from strongroom.audit.checkpoint import decode_checkpoint

        searchable = abilities.searchable(self.sink)
        before = stored(self.sink.position().log) if searchable is not None else None
        if before is not None and searchable is not None and self._keys is not None:
            # One that is damaged says nothing; `audit verify` says that.
            with suppress(TamperedError, NewerFormatError, UnknownKeyIdError):
                head = decode_checkpoint(before, self._keys)
                if not searchable.holds(head.position, f"{head.stream}-{head.seq}", head.mac):
                    self._failed("log_end_lost")
        # Later on a gap in the stream of this process shows it.
        self._is_end_known = True

    def _failed(self, reason: str) -> None:
        self._write("AUDIT", "null", f',"outcome":{_words["failed"]},"reason":{quote(reason)}' + self._who(None))

    def close(self) -> None:
        """Release the sink; closing twice is no error."""
        self.sink.close()

    def _begin(self) -> None:
        """Start a new stream: at first, after a fork, a failure or a rekey, and in each segment.

        A stream never spans segments, so that old segments can be deleted and the others still verify alone.
        """
        segment = self.sink.segment()
        if self._keys is None:
            self._stream, self._seq, self._last, self._mac = self._random(8).hex(), 0, START, None
            self._segment = segment
            return
        previous = [f"{self._stream}-{self._seq}"] if self._mac else []
        heads = recent_heads(self.sink, self._keys, self._store)
        # The file may have been rolled over just now: this stream's first line still goes into the old segment.
        before = {stream: head for stream, head in heads.items() if head.position.segment <= segment}
        seen = dict.fromkeys(previous + as_ids(before))
        end = self.sink.position()
        after = ",".join(map(quote, seen))
        # Said once: a stream that begins much later would bring back what an acceptance has put aside.
        revision, searched = self._found
        found = "" if revision is None else f',"revision":{revision}'
        key = max(self._keys)
        extra = f',"address":{quote(self._address)}' if self._address else ""
        extra += f',"key":{key:d},"log":"{end.log}","segment":{segment:d},"at":{end.offset:d},"after":[{after}]'
        if revision is not None and searched is not None and searched.log == end.log:
            extra += f',"searched":[{searched.segment:d},{searched.offset:d}]'
        # From here on nothing fails but the writing itself, and that begins another stream.
        self._stream, self._seq, self._last = self._random(8).hex(), 0, START
        self._mac = line_mac(self._keys[key], self._stream)
        self._write("OPEN", "null", f',"outcome":{_words["ok"]}{found}' + self._who(None) + extra)
        self._found = None, None
        self._segment = segment
        watched = abilities.watched(self.sink)
        harm = None if watched is None else watched.take_harm()
        if harm is not None:
            self._failed(harm)

    def _who(self, caller: Caller | None) -> str:
        """Return the part of a line that is the same for all events of a caller."""
        actor, source, remote_address, request_id = caller or (self._actor, None, None, None)
        fields = {
            "actor": actor, "service": self._service, "pid": os.getpid(), "host": os.uname().nodename,
            "instance": self.instance or None, "source": source or self._source, "remote_address": remote_address,
            "request_id": request_id,
            "store": self._store,
        }  # fmt: skip
        known = {field: value for field, value in fields.items() if value is not None}
        who = f",{json.dumps(known, separators=(',', ':'))[1:-1]}"
        if request_id is None:  # that of one request will not come again
            if len(self._whos) >= 1000:
                self._whos.clear()
            self._whos[caller] = who
        return who

    def _start_anew(self) -> None:
        """Be a process that has written nothing yet; `_begin` sets the rest."""
        self._lock = RLock()
        self._segment = self._mac = None
        self._is_end_known = False
        self._whos: dict[Caller | None, str] = {}


_logs: WeakSet[AuditLog] = WeakSet()


class _Mark:
    """A byte that is 0 in a child of fork, and costs less to read than the number of the process.

    Python tells us of its own forks. A fork in C, as in a server that loads applications and then makes its workers,
    would leave parent and child with one stream.
    """

    _WIPE_ON_FORK = 18

    def __init__(self) -> None:
        self.page: bytes | mmap = b"\0"
        """Its first byte is 0 too before the page is made, and where there can be no such page."""
        self._pid = self._checks = 0

    def set(self) -> None:
        """Remember which process this is."""
        self._pid = self._pid or os.getpid()

    def check(self) -> None:
        """See whether this is another process now, and let all logs be new if it is."""
        if os.getpid() != self._pid:
            _in_child()
        # Most commands write a few events: they make no page.
        self._checks += 1
        if self._checks == _CHECKS:
            self._make()
        elif not isinstance(self.page, bytes):
            self.page[0] = 1

    def _make(self) -> None:
        import mmap

        with suppress(OSError, ValueError):
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(self._WIPE_ON_FORK)
            page[0] = 1
            self.page = page


_mark = _Mark()


def _in_child() -> None:
    _mark._pid = os.getpid()
    for log in _logs:
        forkable = abilities.forkable(log.sink)
        if forkable is not None:
            forkable.reopen()
        log._start_anew()


os.register_at_fork(after_in_child=_in_child)
