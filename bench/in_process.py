"""Racing contenders inside this process: read one secret, change one secret."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench import harness
from bench.contenders import Contender, Missing, load
from bench.processes import Command, environment, peak_memory
from bench.results import Row
from bench.samples import sample
from bench.steps import STEPS


class _Entry(NamedTuple):
    row: Row
    task: harness.Task
    place: str


def measure(
    kind: str, pairs: Sequence[tuple[str, int]], pace: harness.Pace, scratch: str, *, warm: bool = True
) -> list[Row]:
    """Run the step `kind` for pairs of contender and number of secrets, all in one race."""
    found = [_prepare(key, kind, size, warm, os.path.join(scratch, f"{key}-{size}")) for key, size in pairs]
    entries = [entry for entry in found if isinstance(entry, _Entry)]
    walls = iter(harness.race([entry.task for entry in entries], pace))
    return [
        each if isinstance(each, Row) else each.row._replace(wall=next(walls), peak=_peak(each, kind, pace))
        for each in found
    ]


def _prepare(key: str, kind: str, size: int, warm: bool, place: str) -> _Entry | Row:
    print(f"  {key}, {size} secrets", file=sys.stderr)
    try:
        contender = load(key)
    except Missing as missing:
        return Row(key, key, size=size, missing=str(missing))
    values = sample(size)
    os.makedirs(place)
    contender.fill(place, values)
    _verify(contender, kind, place, values)
    task = harness.Task(STEPS[kind](contender, place), list(values), warm)
    return _Entry(Row(key, contender.label, contender.keeps, size), task, place)


def _verify(contender: Contender, kind: str, place: str, values: Mapping[str, str]) -> None:
    """Raise unless the contender gives back what it was given: the times of one that does not mean nothing."""
    expected = dict(values)
    names = _some(list(values))
    if kind == "write":
        expected[names[0]] = "changed"
        contender.writer(place)(names[0], "changed")
    read = contender.reader(place)
    for name in names:
        if read(name) != expected[name]:
            raise RuntimeError(f"{contender.label} does not give back what it was given")


def _some(names: Sequence[str]) -> Sequence[str]:
    """Return at most five names, from everywhere."""
    return names[:: max(1, len(names) // 5)][:5]


def _peak(entry: _Entry, kind: str, pace: harness.Pace) -> int:
    """Return the peak memory of a fresh process that touches the secrets as before a race."""
    names = os.path.join(entry.place, "names")
    with open(names, "w") as file:
        file.writelines(f"{name}\n" for name in entry.task.names)
    child = (sys.executable, "-m", "bench.steps", entry.row.key, kind, entry.place, names, str(pace.warm_seconds))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return peak_memory(Command(child, environment(entry.place, PYTHONPATH=root)))
