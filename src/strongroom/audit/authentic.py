"""Authenticates lines that are read from the end of a log, each by the line of its stream before it.

The MAC of a line covers the MAC of the line before. What that one says of its own MAC is a claim only, but nobody
without the key can make a line whose MAC fits to any claim. So two lines are enough, and the first line of a stream is
enough by itself. That such lines were not repeated or moved is what `verify` finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from strongroom.audit.chain import START, TAIL_SIZE, line_mac
from strongroom.audit.parsing import BEGIN, event_id
from strongroom.crypto.mac import Mac

What = TypeVar("What")
_STREAMS = 1_000


class _Waiting:
    """A line that waits."""

    __slots__ = ("body", "mac", "stream", "what")

    def __init__(self, stream: str, body: bytes, mac: bytes, what: object) -> None:
        self.stream = stream
        self.body = body
        self.mac = mac
        self.what = what


class Authenticator(Generic[What]):
    """Lines that wait for the line of their stream before them."""

    def __init__(self, keys: Mapping[int, bytes], most: int | None = None) -> None:
        """No more than `most` lines wait; those that wait for the longest time give up first."""
        self._most = most
        self._keys = [keys[key] for key in sorted(keys, reverse=True)]
        self._macs: dict[str, list[Mac]] = {}
        self._waiting: dict[tuple[str, int], list[_Waiting]] = {}
        self.count = 0
        """How many lines are waiting."""

    def take(self, piece: bytes, what: What) -> bool:
        """Return whether the event `piece` is authentic by itself; if not, it waits, and `meet` may return `what`."""
        id, mac = event_id(piece), claimed_mac(piece)
        if id is None or mac is None:
            return False
        stream, seq = id
        if seq == 1:
            return self._fits(stream, START, piece[:-TAIL_SIZE], mac)
        if self.count == self._most:
            self.count -= len(self._waiting.pop(next(iter(self._waiting))))
        self._waiting.setdefault((stream, seq - 1), []).append(_Waiting(stream, piece[:-TAIL_SIZE], mac, what))
        self.count += 1
        return False

    def meet(self, piece: bytes, id: tuple[str, int] | None) -> list[What]:
        """Return what `take` was given and is authentic, as an event before it shows: `piece`, with its id."""
        waiting = self._waiting.get(id) if id else None
        mac = claimed_mac(piece) if waiting else None
        if id is None or waiting is None or mac is None:
            return []
        # What does not fit goes on waiting: this line may be the forged one.
        fitting = [one for one in waiting if self._fits(one.stream, mac, one.body, one.mac)]
        if fitting:
            self.count -= len(fitting)
            if len(fitting) == len(waiting):
                del self._waiting[id]
            else:
                self._waiting[id] = [one for one in waiting if one not in fitting]
        return [one.what for one in fitting]  # type: ignore[misc]

    def forget(self) -> None:
        """Give up what is waiting: streams end where segments do."""
        self._waiting.clear()
        self.count = 0

    def _fits(self, stream: str, before: bytes, body: bytes, mac: bytes) -> bool:
        macs = self._macs.get(stream)
        if macs is None:
            if len(self._macs) >= _STREAMS:
                self._macs.clear()
            self._macs[stream] = macs = [line_mac(key, stream) for key in self._keys]
        # Who learns from the time that this takes has the log, but not the key, and cannot ask twice.
        return any(one.digest(before, body) == mac for one in macs)


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
