"""What verifying a log found."""

from __future__ import annotations

from typing import NamedTuple

MOST = 1000
"""Findings beyond this many are counted, not kept, and so are consequences of one finding."""


class Problem(NamedTuple):
    """One finding, and where; segment and line are 0 when it concerns the whole log."""

    segment: int
    line: int
    """Counted from 1 in the segment's file."""
    message: str
    consequences: tuple[str, ...] = ()
    """What is wrong because of this, and no deed of its own."""


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


class Finding:
    """A problem or a kind of note, while the verification goes on."""

    def __init__(self, segment: int, line: int, message: str) -> None:
        self.segment = segment
        self.line = line
        self.message = message
        self.count = 1
        self.consequences: list[str] = []
        self._more = 0

    def adds(self, message: str) -> None:
        """Add what follows from this."""
        if message in self.consequences:
            return
        if len(self.consequences) < MOST:
            self.consequences.append(message)
        else:
            self._more += 1

    def told(self) -> Problem:
        """Return the finished finding."""
        message = self.message
        if self.count > 1:
            message += f" (the first of {self.count:,} like it)"
        more = [f"{self._more:,} more consequences are not listed"] if self._more else []
        return Problem(self.segment, self.line, message, (*self.consequences, *more))


class Findings:
    """Collects problems and notes, at the place that the verification has reached."""

    def __init__(self) -> None:
        self.segment = 0
        self.line = 0
        self.problems: list[Finding] = []
        self._notes: dict[str, Finding] = {}
        self._more = 0

    def problem(self, message: str) -> Finding:
        """Add a problem of the current line, and return it."""
        found = Finding(self.segment, self.line, message)
        if len(self.problems) < MOST:
            self.problems.append(found)
        else:
            self._more += 1
        return found

    def note(self, message: str, kind: str | None = None) -> None:
        """Add a note on the current line; those of one `kind` (by default its words) are counted."""
        kind = kind or message
        if kind in self._notes:
            self._notes[kind].count += 1
        elif len(self._notes) < MOST:
            self._notes[kind] = Finding(self.segment, self.line, message)

    def leave(self) -> None:
        """What follows concerns the whole log."""
        self.segment = self.line = 0

    def report(self, events: int, streams: int, segments: int) -> AuditReport:
        """Return the finished report: what has a place is in the order of the log, and what has none comes last."""
        told = [found.told() for found in self.problems]
        told.sort(key=lambda problem: (problem.line == 0, problem.segment, problem.line))
        if self._more:
            told.append(Problem(0, 0, f"{self._more:,} more problems are not listed"))
        placed = [(problem.segment, problem.line) for problem in told if problem.line]
        notes = tuple(found.told() for found in self._notes.values())
        return AuditReport(events, streams, segments, min(placed, default=None), tuple(told), notes)
