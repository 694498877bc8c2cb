"""What was measured: rows of sections, and what they are held against."""

from __future__ import annotations

from typing import NamedTuple

from bench.harness import Samples, ratio

STRONGROOM = "strongroom"
FLOOR = "floor"


class Row(NamedTuple):
    """One contender in one job. Times are seconds for each round, memory is in bytes."""

    key: str
    label: str
    keeps: str = ""
    size: int | None = None
    """How many secrets there are."""
    wall: Samples = ()
    cpu: Samples = ()
    """Of the processor; only programs that were started have it."""
    peak: int = 0
    missing: str = ""
    """Why there are no numbers."""


class Target(NamedTuple):
    """What strongroom set itself, as a ratio, and what was measured."""

    claim: str
    limit: float
    measured: float
    detail: str = ""

    @property
    def verdict(self) -> str:
        """In a word for the table."""
        return "met" if self.measured <= self.limit else "**missed**"


class Section(NamedTuple):
    """The contenders of one job."""

    key: str
    title: str
    text: str
    rows: list[Row]
    targets: list[Target] = []  # noqa: RUF012 (never changed)
    peers: bool = False
    """Whether the others do the same job in another way, so that strongroom shall be ahead of them."""
    ours: str = STRONGROOM
    """The key of strongroom's row."""
    slowest: bool = False
    """Whether the slowest round is of interest."""

    def find(self, key: str, size: int | None) -> Row | None:
        """Return the measured row of a contender, for `size` secrets if it was measured for several."""
        for row in self.rows:
            if row.key == key and row.size == size and row.wall:
                return row
        return None

    def ratio(self, row: Row, key: str) -> float | None:
        """Return how many times the time of `key` for as many secrets this row takes, or None."""
        other = self.find(key, row.size)
        return ratio(row.wall, other.wall) if other and row.wall else None
