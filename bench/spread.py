"""How soon a change by one process is everywhere."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from time import monotonic, sleep

import strongroom
from bench.followers import CALLED, POLLED, Follower
from bench.harness import turns
from bench.plan import Plan
from bench.results import Row, Section, Target
from bench.samples import sample
from bench.strongroom_library import Strongroom, where

KEY = "spread"
SECRETS = 10
PROMISE = 0.1
"""Seconds within which a callback is called."""
_QUIET_SECONDS = 0.05
"""Between two changes: the processes that saw the last one go back to waiting."""
_HOW = {POLLED: "`.value`, read every millisecond", CALLED: "`on_change` callback"}


class Group:
    """Processes that follow one secret of a store in the same way."""

    def __init__(self, how: str, kind: str, followers: int, place: str) -> None:
        self.how, self.kind = how, kind
        os.makedirs(place)
        Strongroom(kind).fill(place, sample(SECRETS))
        self._name = next(iter(sample(SECRETS)))
        self._followers = [Follower(how, place, kind, SECRETS, 1) for _ in range(followers)]
        for follower in self._followers:
            follower.wait_until_ready()
        self._secrets = strongroom.open(*where(place, kind))

    def change(self) -> float:
        """Rotate the secret; return the seconds from then to the last process that saw it, or 0 if all were earlier."""
        if self.how == POLLED:
            for follower in self._followers:
                follower.go()
        sleep(_QUIET_SECONDS)
        version = self._secrets.rotate_secret(self._name).version
        returned = monotonic()
        seen = [follower.sighting() for follower in self._followers]
        if {sighting.version for sighting in seen} != {version}:
            raise RuntimeError(f"a process saw another version than {version}")
        return max(0.0, max(sighting.at for sighting in seen) - returned)

    def close(self) -> None:
        """End the processes."""
        for follower in self._followers:
            follower.close()
        self._secrets.close()


def spread(plan: Plan, scratch: str) -> Section:
    """Measure how long after a change the last of several other processes sees it."""
    print(f"{KEY} …", file=sys.stderr)
    chosen = [(kind, how) for kind in ("sqlite", "file") for how in _HOW if plan.wants(KEY, f"{kind}-{how}")]
    with ExitStack() as stack:
        groups = []
        for kind, how in chosen:
            group = Group(how, kind, plan.followers, os.path.join(scratch, f"{KEY}-{kind}-{how}"))
            stack.callback(group.close)
            groups.append(group)
        samples: list[list[float]] = [[] for _ in groups]
        for turn in turns(len(groups), plan.changes):
            samples[turn].append(groups[turn].change())
    rows = [
        Row(f"{group.kind}-{group.how}", f"**{group.kind}**, {_HOW[group.how]}", wall=tuple(each))
        for group, each in zip(groups, samples, strict=True)
    ]
    return Section(
        KEY,
        "How soon a change is everywhere",
        f"From the return of `rotate_secret` in one process to the last of {plan.followers} others that has seen the"
        " new value, all on this machine, whose cores they share. A cache with a time to live shows a"
        " change when that time is over: after up to an hour with the defaults of aws-secretsmanager-caching.",
        rows,
        [to_promise(row, f"the last of {plan.followers} callbacks") for row in rows if row.key.endswith(CALLED)],
        slowest=True,
    )


def to_promise(row: Row, what: str, detail: str = "") -> Target:
    """Return the target that the slowest of all rounds is within what is promised of callbacks."""
    claim = f"{what}, slowest of {len(row.wall)} ({row.label.replace('*', '')}), to {PROMISE * 1000:.0f} ms"
    return Target(claim, 1.0, max(row.wall) / PROMISE, detail)
