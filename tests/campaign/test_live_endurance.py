"""Live handles over a long life: each change is told once to everybody, and nothing grows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import strongroom

from . import KINDS, size
from .live_worker import MANY, NAME, SETTLE
from .processes import result

WATCHERS = 8
CHANGES = size(5, 200)
PATIENCE = 60
"""Seconds after which a callback that has not come is taken for lost."""
WATCHED = size(1_000, 10_000)
READERS = size(8, 64)
SECONDS = size(2, 600)


def wait_for(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {PATIENCE} s"
        time.sleep(0.005)


def calls(place: Path) -> list[tuple[str, int, int]]:
    """Return who was called, for which version, and when (nanoseconds), in this order."""
    if not (place / "called").exists():
        return []
    lines = (place / "called").read_text().splitlines()
    return [(who, int(version), int(at)) for who, version, at in (line.split() for line in lines)]


def show(latencies: list[float]) -> None:
    """Print the distribution, for whoever runs this with `-s`."""
    latencies.sort()
    at = {part: latencies[min(int(len(latencies) * part), len(latencies) - 1)] for part in (0.5, 0.9, 0.99, 1.0)}
    print("\nms from the return of a change to the callback:", {part: round(ms, 1) for part, ms in at.items()})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["threads", "children", "process"])
def test_each_change_is_told_once_to_each_of_eight(kind, how, place, start):
    store = f"{kind}:{place}/store"
    with strongroom.init(store, audit=f"file:{place}/audit.log") as secrets:
        secrets.set_secret(NAME, "first")
        if how == "process":
            workers = [start("live_worker", how, store, place, number) for number in range(WATCHERS)]
        else:
            workers = [start("live_worker", how, store, place, WATCHERS)]
        wait_for(lambda: len(list(place.glob("ready-*"))) == WATCHERS)
        returned = {}
        for number in range(CHANGES):
            version = secrets.set_secret(NAME, f"value {number}").version
            returned[version] = time.monotonic_ns()
            wait_for(lambda: len(calls(place)) >= WATCHERS * len(returned))
        time.sleep(SETTLE)
    (place / "stop").touch()
    for worker in workers:
        _, err = worker.communicate(timeout=PATIENCE)
        assert (worker.returncode, err) == (0, b"")
    told = Counter((who, version) for who, version, _ in calls(place))
    assert set(told.values()) == {1}
    assert len(told) == WATCHERS * CHANGES
    show([(at - returned[version]) / 1e6 for _, version, at in calls(place)])


@pytest.mark.parametrize("kind", KINDS)
def test_many_watched_secrets_read_by_threads_and_forks_leave_nothing_behind(kind, place, start):
    store = f"{kind}:{place}/store"
    with strongroom.init(store, audit=f"file:{place}/audit.log") as secrets:
        secrets.set_secrets({f"{MANY}{number}": f"first {number}" for number in range(WATCHED)})
    report = result(start("live_worker", "endure", store, place, WATCHED, READERS, SECONDS), SECONDS + 10 * PATIENCE)
    _nothing_grows(report["used"])


def _nothing_grows(used: list[list[float]]) -> None:
    print("\nseconds, descriptors, threads, KiB:", *used[:: max(1, len(used) // 10)], sep="\n")
    warm = used[len(used) // 4 :]
    half = len(warm) // 2
    for column, room in ((1, 2), (2, 0), (3, 16 * 1024)):
        before, after = (max(row[column] for row in part) for part in (warm[:half], warm[half:]))
        assert after <= before + room, f"column {column} grew from {before} to {after}"


PROGRAM = """
import sys, threading, strongroom
secrets = strongroom.open(sys.argv[1], audit="memory:")
handle = secrets.secret("watched/0")
handle.on_change(lambda handle: handle.value)
read = lambda: [handle.value for _ in range(1000)]
[threading.Thread(target=read, daemon=True).start() for _ in range(8)]
secrets.set_secret("watched/0", "changed")
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_closes_nothing_ends_at_once_and_in_silence(kind, place, master_key):
    store = f"{kind}:{place}/store"
    with strongroom.init(store, audit=f"file:{place}/audit.log") as secrets:
        secrets.set_secret(NAME, "first")
    for _ in range(size(3, 200)):
        ended = subprocess.run([sys.executable, "-c", PROGRAM, store], capture_output=True, timeout=PATIENCE)
        assert (ended.returncode, ended.stderr) == (0, b"")
