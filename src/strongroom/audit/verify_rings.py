"""Checks that each read which was numbered in a ring is in the log, and in it once."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.audit.parsing import Event
from strongroom.audit.ring_file import DAMAGED


class Rings:
    """Follows the numbers of each ring through a log. Memory grows with the number of rings, and of gaps."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._gaps: dict[str, list[tuple[int, int]]] = {}

    def add(self, event: Event) -> str | None:
        """Take an authentic event in; return what is wrong with it."""
        ring, _, number = str(event["ring"]).partition("-")
        last, count = int(number), event.get("count", 1)
        first = last - count + 1
        # A process may have been there before the log was: after an older one was moved away.
        expected = self._next.get(ring, first)
        self._next[ring] = max(expected, last + 1)
        if first > expected:
            self._gaps.setdefault(ring, []).append((expected, first - 1))
        elif first < expected and not self._fill(ring, first, last):
            return f"the read {event['ring']} is in the log twice"
        if event.get("reason") == DAMAGED:
            return f"{count} reads up to {event['ring']} were damaged before they came into the log"
        return None

    def missing(self) -> Iterator[str]:
        """Say which reads are not in the log."""
        for ring, gaps in self._gaps.items():
            for first, last in gaps:
                yield f"the reads {ring}-{first} to {ring}-{last} are missing: removed before they came into the log"

    def _fill(self, ring: str, first: int, last: int) -> bool:
        """Take reads out of a gap: two halves of a ring may be drained in another order than they were written."""
        gaps = self._gaps.get(ring, [])
        for gap in gaps:
            if gap[0] <= first and last <= gap[1]:
                gaps.remove(gap)
                gaps += [part for part in ((gap[0], first - 1), (last + 1, gap[1])) if part[0] <= part[1]]
                return True
        return False
