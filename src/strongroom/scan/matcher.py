"""Looks for all patterns at once in a stream of any length, in little memory."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, cast

from strongroom.errors import MissingExtraError
from strongroom.scan.needles import Label, Needles

try:
    from ahocorasick_rs import BytesAhoCorasick, Implementation
except ModuleNotFoundError:
    raise MissingExtraError("scanning needs ahocorasick_rs: pip install 'strongroom[scan]'") from None

PIECE = 1 << 20
_SMALL = 100_000
"""Bytes of patterns up to which the fastest automaton stays below some 30 MB."""
_GZIP = b"\x1f\x8b\x08"


class Stream(Protocol):
    """What is looked through."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""
        ...


class Place(NamedTuple):
    """One file, blob or member of an archive."""

    called: str
    """How it is shown, such as `src/app.py`."""
    stream: Stream


class Finding(NamedTuple):
    """One value in one place: where it is first, and how often."""

    label: Label
    called: str
    line: int
    times: int


Trouble = Callable[[str, str], None]
"""Takes a place that cannot be read, and why."""


class Matcher:
    """All forms of all values, ready to be looked for."""

    def __init__(self, needles: Needles) -> None:
        patterns = list(needles.labels)
        self._labels = list(needles.labels.values())
        small = sum(map(len, patterns)) <= _SMALL
        kind = Implementation.DFA if small else Implementation.ContiguousNFA
        self._automaton = BytesAhoCorasick(patterns, implementation=kind)
        self._kept = max(map(len, patterns), default=1) - 1
        self.scanned = 0
        """Bytes looked through."""

    def search(self, places: Iterable[Place], trouble: Trouble) -> list[Finding]:
        """Return what is found, in the order of places and lines; a gzip file is looked through unpacked."""
        return [finding for place in places for finding in self.search_one(place, trouble)]

    def search_one(self, place: Place, trouble: Trouble) -> list[Finding]:
        """Return what is found in one place."""
        found: dict[Label, tuple[int, int]] = {}
        try:
            self._look(place.stream, found)
        except (OSError, EOFError, zlib.error) as error:
            trouble(place.called, getattr(error, "strerror", None) or "it is damaged or cut")
        return [Finding(label, place.called, line, times) for label, (line, times) in found.items()]

    def _look(self, stream: Stream, found: dict[Label, tuple[int, int]]) -> None:
        buffer = _filled(stream, PIECE)
        if buffer.startswith(_GZIP):
            stream = gzip.GzipFile(mode="rb", fileobj=cast(Any, Prefixed(buffer, stream)))
            buffer = _filled(stream, PIECE)
        known, lines = 0, 1
        while True:
            self.scanned += len(buffer) - known
            for pattern, start, end in self._automaton.find_matches_as_indexes(buffer, overlapping=True):
                # What ends in the part that was kept has been found before.
                if end > known:
                    self._enter(pattern, lines + buffer.count(b"\n", 0, start), found)
            piece = stream.read(PIECE)
            if not piece:
                return
            cut = max(0, len(buffer) - self._kept)
            lines += buffer.count(b"\n", 0, cut)
            known = len(buffer) - cut
            buffer = buffer[cut:] + piece

    def _enter(self, pattern: int, line: int, found: dict[Label, tuple[int, int]]) -> None:
        for label in self._labels[pattern]:
            first, times = found.get(label, (line, 0))
            found[label] = (first, times + 1)


class Prefixed:
    """A stream that starts with bytes which were read already."""

    def __init__(self, start: bytes, rest: Stream) -> None:
        self._start, self._rest = start, rest

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes."""
        if self._start:
            part, self._start = self._start[:size], self._start[size:]
            return part
        return self._rest.read(size)


def _filled(stream: Stream, size: int) -> bytes:
    """Return the first `size` bytes, as a pipe gives fewer at a time."""
    content = b""
    while len(content) < size and (piece := stream.read(size - len(content))):
        content += piece
    return content
