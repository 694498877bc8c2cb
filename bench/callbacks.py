"""Callbacks where one process watches very many secrets: how soon, and for how much of the processor."""

from __future__ import annotations

import os
import sys
from itertools import islice, pairwise
from time import monotonic, sleep

import strongroom
from bench.followers import CALLED, Follower, Sighting
from bench.plan import Plan
from bench.results import Row, Section
from bench.samples import sample
from bench.spread import to_promise
from bench.strongroom_library import Strongroom, where

KEY = "callbacks"
_FEW = 10
_PAUSES = {"slowly": 0.1, "often": 0.0}
"""Seconds between two changes."""
_TIMES = {"slowly": 1, "often": 20}
"""As many times the changes of the plan."""


def callbacks(plan: Plan, scratch: str) -> Section:
    """Measure latency and processor time of callbacks, for few and many watched secrets of small and large stores."""
    print(f"{KEY} …", file=sys.stderr)
    cases = [
        ("sqlite", plan.watched, _FEW, "slowly"),
        ("sqlite", plan.watched, plan.watched, "slowly"),
        ("sqlite", plan.watched, plan.watched, "often"),
        ("sqlite", plan.stored, _FEW, "slowly"),
        ("sqlite", plan.stored, plan.watched, "slowly"),
        ("file", plan.watched, plan.watched, "slowly"),
    ]
    measured = [
        _measure(kind, stored, watched, pace, plan, scratch)
        for kind, stored, watched, pace in cases
        if plan.wants(KEY, kind)
    ]
    return Section(
        KEY,
        f"Callbacks with {plan.watched:,} watched secrets",
        "One process watches so many secrets with `on_change`; another changes one after the other, ten times a second"
        " or as often as it can. The time is from the return of `set_secret` to the callback; the processor's is that"
        " of the watching process from one callback to the next, with its 40 looks a second at the counter.",
        [row for row, _ in measured],
        [to_promise(row, "a callback", share) for row, share in measured if row.size == plan.watched],
        slowest=True,
    )


def _measure(kind: str, stored: int, watched: int, pace: str, plan: Plan, scratch: str) -> tuple[Row, str]:
    """Return the row, and what part of a core the watching process took."""
    place = os.path.join(scratch, f"{KEY}-{kind}-{stored}-{watched}-{pace}")
    os.makedirs(place)
    Strongroom(kind).fill(place, sample(stored))
    follower = Follower(CALLED, place, kind, stored, watched)
    follower.wait_until_ready()
    with strongroom.open(*where(place, kind)) as secrets:
        sleep(_PAUSES["slowly"])
        returned = _change(secrets, list(islice(sample(stored), watched)), plan.changes * _TIMES[pace], _PAUSES[pace])
    seen = _seen(follower, returned)
    follower.close()
    wall = tuple(max(0.0, sighting.at - returned[sighting[:2]]) for sighting in seen)
    cpu = tuple(after.cpu - before.cpu for before, after in pairwise(seen))
    how = "10 changes a second" if pace == "slowly" else "changes without a pause"
    label = f"**{kind}**, {watched:,} of {stored:,} watched, {how}"
    share = f"{sum(cpu) / (seen[-1].at - seen[0].at):.0%} of a core" if cpu else ""
    return Row(f"{kind}-{stored}-{watched}-{pace}", label, size=watched, wall=wall, cpu=cpu), share


def _change(
    secrets: strongroom.SecretsManager, names: list[str], changes: int, pause: float
) -> dict[tuple[str, int], float]:
    """Give a new value to one secret after the other; return name and version → when the call returned."""
    returned = {}
    for number in range(changes):
        name = names[number * 7919 % len(names)]
        version = secrets.set_secret(name, f"{number:032x}").version
        returned[name, version] = monotonic()
        sleep(pause)
    return returned


def _seen(follower: Follower, returned: dict[tuple[str, int], float]) -> list[Sighting]:
    """Return what the process saw, up to the last version of each secret. Raises when it saw one twice."""
    last = dict(returned.keys())
    due, seen = set(returned), []
    while last:
        sighting = follower.sighting()
        if sighting[:2] not in due:
            raise RuntimeError(f"a callback for version {sighting.version} of {sighting.name} that was not due")
        due.remove(sighting[:2])
        seen.append(sighting)
        if last[sighting.name] == sighting.version:
            del last[sighting.name]
    return seen
