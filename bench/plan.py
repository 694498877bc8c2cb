"""How much is measured."""

from __future__ import annotations

from typing import NamedTuple

from bench.harness import Pace


class Plan(NamedTuple):
    """Counts and durations of one run, and the choice of contenders."""

    rounds: int = 50
    slice_seconds: float = 0.02
    warm_seconds: float = 2.0
    slow_rounds: int = 15
    """For the jobs with contenders that take long."""
    starts: int = 60
    """How often each program is started for the targets."""
    peer_starts: int = 40
    """The same beside peers, of which some take long."""
    sizes: tuple[int, ...] = (10, 1_000, 100_000)
    """Numbers of secrets, to compare with the floor."""
    peer_sizes: tuple[int, ...] = (10, 1_000, 10_000)
    followers: int = 8
    """Processes that wait for a change."""
    changes: int = 50
    """Changes that are waited for."""
    watched: int = 10_000
    """Secrets that one process watches."""
    stored: int = 100_000
    """Secrets in a large store of which it watches so many."""
    pool_rounds: int = 200
    """For differences of a hundredth."""
    only: str = ""

    def pace(self, rounds: int) -> Pace:
        """Return how to run a race inside this process."""
        return Pace(rounds, self.slice_seconds, self.warm_seconds)

    def wants(self, section: str, contender: str) -> bool:
        """Return whether `--only` chose this contender."""
        return self.only in f"{section} {contender}"


QUICK = Plan(
    rounds=3,
    slice_seconds=0.001,
    warm_seconds=0.05,
    slow_rounds=2,
    starts=2,
    peer_starts=2,
    sizes=(10, 100),
    peer_sizes=(10, 100),
    followers=2,
    changes=2,
    watched=20,
    stored=40,
    pool_rounds=2,
)
"""Shows that everything works; its numbers say nothing."""
