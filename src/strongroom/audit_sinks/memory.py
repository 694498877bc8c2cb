"""An audit log in memory, for tests: it is gone with the process, and no other process sees it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from strongroom.model import LogLine, Position


def connect(rest: str = "", **_: object) -> MemorySink:
    """Return an empty log; the arguments mean nothing here."""
    return MemorySink()


class MemorySink:
    """Keeps the lines in a list."""

    url = "memory:"

    def __init__(self) -> None:
        self.log = os.urandom(8).hex()
        self.texts: list[bytes] = []
        """The lines without their line feeds; tests may change them."""

    def segment(self) -> int:
        """See `AuditSink`."""
        return 1

    def append(self, line: bytes) -> None:
        """See `AuditSink`."""
        self.texts.append(line.removesuffix(b"\n"))

    def position(self) -> Position:
        """See `AuditSink`."""
        return Position(self.log, 1, sum(len(text) + 1 for text in self.texts[:-1]))

    def lines(self) -> Iterator[LogLine]:
        """See `AuditSink`."""
        offset = 0
        for text in list(self.texts):
            yield LogLine(Position(self.log, 1, offset), text)
            offset += len(text) + 1

    def lines_backwards(self) -> Iterator[LogLine]:
        """See `AuditSink`."""
        return reversed(list(self.lines()))

    def close(self) -> None:
        """See `AuditSink`."""
