"""Hot reads: the same secret again and again, beside a bare dictionary."""

from __future__ import annotations

import os
import sys
from timeit import Timer

from bench.contenders import Missing
from bench.harness import Samples, ratio, turns
from bench.hot_contenders import HOT, Hot
from bench.plan import Plan
from bench.results import FLOOR, Row, Section, Target

KEY = "hot-reads"


def hot_reads(plan: Plan, scratch: str) -> Section:
    """Compare the hot ways to read with a look-up in a dictionary, and with a caching client of a cloud service."""
    print(f"{KEY} …", file=sys.stderr)
    found = [(hot, _prepare(hot, os.path.join(scratch, KEY))) for hot in HOT if plan.wants(KEY, hot.key)]
    walls = iter(_race([racer for _, racer in found if isinstance(racer, Timer)], plan))
    rows = [
        Row(hot.key, hot.label, hot.keeps, wall=next(walls))
        if isinstance(racer, Timer)
        else Row(hot.key, hot.label, hot.keeps, missing=racer)
        for hot, racer in found
    ]
    section = Section(
        KEY,
        "Hot reads",
        "One secret, read again and again in a loop that does nothing else. The floor is `table[name]`:"
        " the value lies decrypted in a dictionary, is never renewed, and nobody knows who read it."
        " aws-secretsmanager-caching is the caching client of AWS Secrets Manager, with a stubbed service: every read"
        " that is timed is answered from its cache, which by default shows a change after up to an hour; it copies the"
        " whole answer of the service each time.",
        rows,
        ours="live",
    )
    return section._replace(targets=[target for hot, _ in found for target in _targets(section, hot)])


def _prepare(hot: Hot, scratch: str) -> Timer | str:
    """Return what times the contender, or why it is not here."""
    place = os.path.join(scratch, hot.key)
    os.makedirs(place)
    try:
        names = hot.prepare(place)
    except Missing as missing:
        return str(missing)
    if eval(hot.statement, names) != names["value"]:
        raise RuntimeError(f"{hot.label} does not give back what it was given")
    return Timer(hot.statement, globals=names)


def _race(racers: list[Timer], plan: Plan) -> list[Samples]:
    samples: list[list[float]] = [[] for _ in racers]
    loops = [max(1, round(plan.slice_seconds / (min(racer.repeat(3, 1000)) / 1000))) for racer in racers]
    for turn in turns(len(racers), plan.rounds):
        samples[turn].append(racers[turn].timeit(loops[turn]) / loops[turn])
    return [tuple(each) for each in samples]


def _targets(section: Section, hot: Hot) -> list[Target]:
    targets = []
    row = section.find(hot.key, None)
    for key, limit in hot.limits:
        other = section.find(key, None)
        if row and other:
            what = "a look-up in a dictionary" if key == FLOOR else f"a hot read of {other.label}"
            claim = f"{hot.label.strip('*')}, to {what}"
            detail = f"fastest {min(row.wall) / min(other.wall):.2f}"
            targets.append(Target(claim, limit, ratio(row.wall, other.wall), detail))
    return targets
