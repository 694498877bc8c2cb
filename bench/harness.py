"""Timing contenders side by side."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from statistics import median
from time import perf_counter
from typing import NamedTuple

from bench.steps import touch

Samples = tuple[float, ...]
"""Seconds per step, one number for each round. The rounds of all contenders of a race go together."""


class Pace(NamedTuple):
    """How a race is run."""

    rounds: int
    slice_seconds: float
    """What a turn takes about; one step at least is done in it."""
    warm_seconds: float
    """What a contender may take to touch all of its secrets before the race."""
    warm_again: bool = False
    """Whether to go on touching them until that time is over."""
    settle: Callable[[], object] = lambda: None
    """Called before each turn, outside the time."""


class Task(NamedTuple):
    """What is timed: `step`, called with one name after the other, over and over."""

    step: Callable[[str], object]
    names: Sequence[str]
    warm: bool = True
    """Whether all names are touched before the race."""


def race(tasks: Sequence[Task], pace: Pace) -> list[Samples]:
    """Time the tasks in turns."""
    feeds = [cycle(task.names) for task in tasks]
    samples: list[list[float]] = [[] for _ in tasks]
    with _without_garbage_collection():
        for task in tasks:
            if task.warm:
                touch(task.step, cycle(task.names) if pace.warm_again else task.names, pace.warm_seconds)
        loops = [_calibrate(task.step, feed, pace.slice_seconds) for task, feed in zip(tasks, feeds, strict=True)]
        for turn in turns(len(tasks), pace.rounds):
            pace.settle()
            samples[turn].append(_timed(tasks[turn].step, list(islice(feeds[turn], loops[turn]))))
    return [tuple(each) for each in samples]


def turns(contenders: int, rounds: int) -> Iterator[int]:
    """Yield whose turn it is: everyone once a round, in an order that changes, so nobody always follows the same."""
    order = list(range(contenders))
    shuffler = random.Random(1)
    for _ in range(rounds):
        shuffler.shuffle(order)
        yield from order


def ratio(of: Samples, to: Samples) -> float:
    """Return the median of the ratios within each round: what a slow moment does to both falls out."""
    return median(a / b for a, b in zip(of, to, strict=True))


def _calibrate(step: Callable[[str], object], feed: Iterator[str], slice_seconds: float) -> int:
    """Return how many steps fill a turn."""
    loops = 1
    while (seconds := _best(step, feed, loops) * loops) < slice_seconds / 2:
        loops *= 2
    return max(1, round(loops * slice_seconds / seconds))


def _best(step: Callable[[str], object], feed: Iterator[str], loops: int) -> float:
    """Return the better of two times: what happens only now and then must not shorten the turns."""
    return min(_timed(step, list(islice(feed, loops))) for _ in range(2))


def _timed(step: Callable[[str], object], names: list[str]) -> float:
    """Return seconds per name."""
    start = perf_counter()
    for name in names:
        step(name)
    return (perf_counter() - start) / len(names)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
