"""What verifying a log found."""

from __future__ import annotations

from typing import NamedTuple

MOST = 1000
"""Findings beyond this many are counted, not kept: a wrong key makes one for each stream."""


class Problem(NamedTuple):
    """One finding, and where; segment and line are 0 when it concerns the whole log."""

    segment: int
    line: int
    """Counted from 1 in the segment's file."""
    message: str


class AuditReport(NamedTuple):
    """What `verify` found; the log is as it was written when there are no problems."""

    events: int
    streams: int
    segments: int
    first_bad: tuple[int, int] | None
    """Segment and line of the first problem that has a place."""
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    """What is worth knowing but is no sign of tampering by itself."""

    @property
    def ok(self) -> bool:
        """True when there is no problem."""
        return not self.problems


class Findings:
    """Collects problems and notes, at the place that the verification has reached."""

    def __init__(self) -> None:
        self.segment = 0
        self.line = 0
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._more = 0

    def problem(self, message: str) -> None:
        """Add a problem of the current line."""
        if len(self.problems) < MOST:
            self.problems.append(Problem(self.segment, self.line, message))
        else:
            self._more += 1

    def note(self, message: str) -> None:
        """Add a note on the current line."""
        if len(self.notes) < MOST:
            self.notes.append(Problem(self.segment, self.line, message))

    def leave(self) -> None:
        """What follows concerns the whole log."""
        self.segment = self.line = 0

    def report(self, events: int, streams: int, segments: int) -> AuditReport:
        """Return the finished report."""
        if self._more:
            self.problems.append(Problem(0, 0, f"{self._more} more problems are not listed"))
        placed = [(problem.segment, problem.line) for problem in self.problems if problem.line]
        return AuditReport(
            events, streams, segments, min(placed, default=None), tuple(self.problems), tuple(self.notes)
        )
