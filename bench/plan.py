"""How much is measured."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """Counts and durations of one run, and the choice of contenders."""

    rounds: int = 50
    slice_seconds: float = 0.02
    """What a contender's turn takes about, if one step does not take longer."""
    warm_seconds: float = 3.0
    """What a contender may take to touch all of its secrets before it is timed."""
    slow_rounds: int = 15
    """For the jobs with contenders that take long."""
    starts: int = 60
    """How often each program is started."""
    sizes: tuple[int, ...] = (10, 1_000, 100_000)
    """Numbers of secrets, to compare with the floor."""
    peer_sizes: tuple[int, ...] = (10, 1_000, 10_000)
    only: str = ""

    def wants(self, section: str, contender: str) -> bool:
        """Return whether `--only` chose this contender."""
        return self.only in f"{section} {contender}"


QUICK = Plan(
    rounds=3, slice_seconds=0.001, warm_seconds=0.05, slow_rounds=2, starts=2, sizes=(10, 100), peer_sizes=(10, 100)
)
"""Shows that everything works; its numbers say nothing."""
