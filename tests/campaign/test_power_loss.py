"""The power goes at any moment: some hundred states of the disk here, all moments several times in the campaign."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import strongroom

from . import KINDS, size, trace
from .conftest import ABOVE, PACKAGE
from .crash_model import KEYS
from .disk import STATES
from .power_judge import Run, judge
from .replay import Disk
from .trace import Call

pytestmark = pytest.mark.skipif(bool(trace.why_not()), reason=trace.why_not())
MOMENTS = size(80, 1_000_000)
"""How many moments of a run are judged at most."""
TRIES = size(1, 6)
"""How many states of each moment."""
RUNS = [("library", kind, sync) for kind in KINDS for sync in ("write", "fsync")] + [
    ("commands", kind) for kind in KINDS
]


@pytest.fixture(autouse=True)
def keys(master_key, monkeypatch):
    monkeypatch.delenv("SECRETS_MASTER_KEY")
    for name in KEYS:
        monkeypatch.setenv(name, strongroom.generate_master_key())


def record(root: Path, *arguments: object) -> list[Call]:
    """Run the driver in the new directory `root`, and return its calls."""
    root.mkdir()
    command = [sys.executable, "-m", f"{PACKAGE}.power_driver", *map(str, arguments)]
    return trace.record(command, os.environ | {"PYTHONPATH": str(ABOVE)}, root)


def moments(root: Path, calls: list[Call]) -> list[int]:
    """Return the calls that make a difference to a crash; fail when they do not explain the files below `root`."""
    disk = Disk(root)
    changes = [number for number, call in enumerate(calls) if disk.play(call)]
    disk.check()
    return changes


def crashes(
    root: Path, calls: list[Call], at: set[int], chance: random.Random
) -> Iterator[tuple[str, Path, list[object]]]:
    """Make directories as a crash may leave them; yield what survived, the directory, and what was said until then."""
    disk, said = Disk(root), []
    for number, call in enumerate(calls):
        disk.play(call)
        if call.name == "write" and call.number(0) == 1:
            said.append(json.loads(call.text(1)))
        for _ in range(TRIES if number in at else 0):
            how = chance.choice(STATES)
            target = root.with_name("crash")
            target.mkdir()
            disk.crash(target, chance, how)
            yield how, target, said
            shutil.rmtree(target)


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(run, id="-".join(run)) for run in RUNS],
)
def test_after_a_power_loss_nothing_acknowledged_is_lost_and_nothing_is_half_done(place, arguments):
    root, run, chance = place / "root", Run(*arguments), random.Random("-".join(arguments))
    calls = record(root, *arguments, 1, size(0, 40))
    there = moments(root, calls)
    judged = set(chance.sample(there, min(MOMENTS, len(there))))
    wrong: Counter[str] = Counter()
    for how, target, said in crashes(root, calls, judged, chance):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # no warning of a rollback, either
                judge(run, target, said)
        except Exception as error:
            wrong[f"{how}, at {said[-1:]}: {type(error).__name__}: {error}".replace(str(target), "")[:500]] += 1
    assert not wrong, "\n".join(f"{count} times {text}" for text, count in wrong.most_common())
