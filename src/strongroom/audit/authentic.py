"""Authenticates lines that are read from the end of a log, each by the line of its stream before it.

The MAC of a line covers the MAC of the line before. What that one says of its own MAC is a claim only, but nobody
without the key can make a line whose MAC fits to any claim. So two lines are enough, and the first line of a stream is
enough by itself. That such lines were not repeated or moved is what `verify` finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strongroom.audit.chain import START, TAIL_SIZE, line_mac
from strongroom.audit.parsing import BEGIN, event_id

if TYPE_CHECKING:
    from strongroom.crypto.mac import Mac

_STREAMS = 1_000
_OVERHEAD = 512
"""Bytes that a waiting line takes besides its text."""


_Waiting = tuple[bytes, bytes, Any]
"""A line up to its MAC, its MAC, and what it was taken with."""


class Authenticator:
    """Lines that wait for the line of their stream before them."""

    def __init__(self, keys: Mapping[int, bytes], most: int | None = None) -> None:
        """No more than `most` bytes wait; what waits for the longest time gives up first."""
        self._most = most
        self._size = 0
        self._keys = [keys[key] for key in sorted(keys, reverse=True)]
        self._macs: dict[str, list[Mac]] = {}
        self._waiting: dict[tuple[str, int], list[_Waiting]] = {}
        self.count = 0
        """How many lines are waiting."""
        self.gave_up = False
        """True when lines gave up, which may have been authentic: who slips many in before a line can cause that."""

    def take(self, piece: bytes, what: Any) -> bool:
        """Return whether the event `piece` is authentic by itself; if not, it waits, and `meet` may return `what`."""
        event_key, mac = event_id(piece), claimed_mac(piece)
        if event_key is None or mac is None:
            return False
        stream, seq = event_key
        if seq == 1:
            return self._fits(stream, START, piece[:-TAIL_SIZE], mac)
        one = piece[:-TAIL_SIZE], mac, what
        self._waiting.setdefault((stream, seq - 1), []).append(one)
        self.count += 1
        self._size += _size(one)
        while self._most is not None and self._size > self._most:
            self.gave_up = True
            self._remove(self._waiting.pop(next(iter(self._waiting))))
        return False

    def meet(self, piece: bytes, event_key: tuple[str, int] | None) -> list[Any]:
        """Return what `take` was given and is authentic, as an event before it shows: `piece`, with its id."""
        waiting = self._waiting.get(event_key) if event_key else None
        mac = claimed_mac(piece) if waiting else None
        if event_key is None or waiting is None or mac is None:
            return []
        # What does not fit goes on waiting: this line may be the forged one.
        fitting = [one for one in waiting if self._fits(event_key[0], mac, one[0], one[1])]
        if fitting:
            self._remove(fitting)
            if len(fitting) == len(waiting):
                del self._waiting[event_key]
            else:
                self._waiting[event_key] = [one for one in waiting if one not in fitting]
        return [what for _, _, what in fitting]

    def forget(self) -> None:
        """Give up what is waiting: streams end where segments do."""
        self._waiting.clear()
        self.count = self._size = 0

    def _remove(self, lines: list[_Waiting]) -> None:
        self.count -= len(lines)
        self._size -= sum(map(_size, lines))

    def _fits(self, stream: str, before: bytes, body: bytes, mac: bytes) -> bool:
        macs = self._macs.get(stream)
        if macs is None:
            if len(self._macs) >= _STREAMS:
                self._macs.clear()
            self._macs[stream] = macs = [line_mac(key, stream) for key in self._keys]
        # Who learns from the time that this takes has the log, but not the key, and cannot ask twice.
        return any(one.digest(before, body) == mac for one in macs)


def _size(one: _Waiting) -> int:
    return len(one[0]) + _OVERHEAD


def claimed_mac(piece: bytes) -> bytes | None:
    """Return the MAC that a whole line ends with, None when it ends otherwise."""
    if piece[-TAIL_SIZE:-34] != b',"mac":"' or not piece.endswith(b'"}'):
        return None
    try:
        return bytes.fromhex(piece[-34:-2].decode("ascii"))
    except ValueError:
        return None


def last_event(text: bytes) -> bytes:
    """Return the last event of a line: one that is whole follows at most the torn ends of others."""
    return text[max(text.rfind(BEGIN), 0) :]
