"""What an integration costs each use of a pool of connections, beside the same pool without it."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from importlib.util import module_from_spec, spec_from_file_location
from itertools import groupby
from typing import Any

import strongroom
from bench.contenders import Missing
from bench.harness import Pace, Task, race, ratio
from bench.plan import Plan
from bench.pool_contenders import PER_STEP, PLAIN, POOLS, SECRET, Place, Pool
from bench.results import Row, Section, Target
from bench.strongroom_library import Strongroom, where

KEY = "pools"
_LIMIT = 1.02
_PASSWORD = "correct horse battery staple"


def pools(plan: Plan, scratch: str) -> Section:
    """Compare pools whose password is a live secret with pools that were given it once."""
    print(f"{KEY} …", file=sys.stderr)
    chosen = [pool for pool in POOLS if plan.wants(KEY, pool.key)]
    rows = _rows(chosen, plan, os.path.join(scratch, KEY)) if chosen else []
    section = Section(
        KEY,
        "Connection pools",
        "One connection is taken from a pool, `SELECT 1` is sent to a PostgreSQL server on this machine, and the"
        " connection is given back. The plain pool was given the password as text. strongroom's follows the secret and"
        " replaces its connections when it changes; what that costs between changes, 40 looks a second at a counter, is"
        " in the section on callbacks.",
        rows,
    )
    return section._replace(targets=[target for pool in chosen for target in _targets(section, pool)])


def _rows(chosen: list[Pool], plan: Plan, place: str) -> list[Row]:
    with ExitStack() as stack:
        try:
            server = _server(stack)
        except Missing as missing:
            return [Row(pool.key, pool.label, missing=str(missing)) for pool in chosen]
        server.set_password(_PASSWORD)
        os.makedirs(place)
        Strongroom().fill(place, {SECRET: _PASSWORD})
        secrets = stack.enter_context(strongroom.open(*where(place)))
        pairs = groupby(chosen, lambda pool: pool.key.removesuffix(PLAIN))
        return [row for _, pair in pairs for row in _race([*pair], Place(server.port, _PASSWORD, secrets), plan, stack)]


def _race(pair: list[Pool], place: Place, plan: Plan, stack: ExitStack) -> list[Row]:
    """Race the two pools of a library by themselves: what they differ in is less than what a moment changes."""
    rows = [Row(pool.key, pool.label) for pool in pair]
    try:
        steps = [pool.open(place if pool.follows else place._replace(secrets=None), stack) for pool in pair]
    except Missing as missing:
        return [row._replace(missing=str(missing)) for row in rows]
    pace = Pace(plan.pool_rounds, plan.slice_seconds, plan.warm_seconds, warm_again=True)
    walls = race([Task(step, [SECRET]) for step in steps], pace)
    return [
        row._replace(wall=tuple(seconds / PER_STEP for seconds in wall)) for row, wall in zip(rows, walls, strict=True)
    ]


def _server(stack: ExitStack) -> Any:
    """Start the server that the tests of the integrations use. Raises `Missing`."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = spec_from_file_location("bench_server", os.path.join(root, "tests", "integrations", "server.py"))
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        server = module.launch()
    except module.NoServerError as error:
        raise Missing(str(error)) from None
    stack.callback(server.stop)
    try:
        import psycopg  # noqa: F401 (it sets the password)
    except ModuleNotFoundError:
        raise Missing("the Python package psycopg is not installed") from None
    return server


def _targets(section: Section, pool: Pool) -> list[Target]:
    ours, plain = section.find(pool.key, None), section.find(pool.key + PLAIN, None)
    if not (ours and plain):
        return []
    measured = ratio(ours.wall, plain.wall)
    detail = f"median {measured:.3f}, fastest {min(ours.wall) / min(plain.wall):.3f}"
    return [Target(f"{pool.label.replace('*', '')}, to the plain pool", _LIMIT, measured, detail)]
