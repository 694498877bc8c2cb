"""A clock for tests of rotations."""

from __future__ import annotations


class VirtualClock:
    """A clock that stands still unless it is told otherwise."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        """`now` is in seconds since 1970."""
        self.time = now

    def now(self) -> float:
        """Return seconds since 1970."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.time += seconds
