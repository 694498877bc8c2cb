"""What eight processes read and write at once is linearizable, and the checker that says so finds planted faults."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strongroom

from . import KINDS, size
from .freshness_worker import NAMES
from .linearizability import Operation, violation
from .processes import result

PROCESSES = 8
STEPS = size(80, 4_000)
DEADLOCK = size(60, 1_200)


def write(version: int, start: int, end: int, value: str | None = None) -> Operation:
    return Operation(0, start, end, value or f"v{version}", version)


def read(value: str, start: int, end: int, process: int = 1) -> Operation:
    return Operation(process, start, end, value)


@pytest.mark.parametrize(
    "history",
    [
        [write(1, 0, 1)],
        [write(1, 0, 1), read("v1", 2, 3), write(2, 4, 5), read("v2", 6, 7)],
        # While a write is under way, reads may return the value before it or the new one,
        [write(1, 0, 1), write(2, 10, 20), read("v1", 11, 12), read("v2", 13, 14, process=2)],
        # overlapping reads in either order,
        [write(1, 0, 1), write(2, 10, 20), read("v2", 11, 15), read("v1", 12, 14, process=2)],
        # and a read that started before the write may return it.
        [write(1, 0, 1), read("v2", 2, 30), write(2, 10, 20)],
        # Writes that overlap may take effect in either order.
        [write(1, 0, 1), write(3, 10, 20), write(2, 11, 21), read("v3", 22, 23)],
        # Where one ends as the other starts, nothing is said of their order.
        [write(1, 0, 1), write(2, 2, 3), read("v1", 3, 4)],
    ],
)
def test_a_history_that_a_register_can_have_is_accepted(history):
    assert violation(history) is None
    assert violation(reversed(history)) is None


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ([write(1, 0, 1), write(2, 2, 3), read("v1", 4, 5)], "stale"),
        ([write(1, 0, 1), read("other", 2, 3)], "never written"),
        ([write(1, 0, 1), read("v2", 2, 3), write(2, 4, 5)], "stale"),
        # A new value, then an old one, in two processes, while the write is still under way.
        ([write(1, 0, 1), write(2, 2, 9), read("v2", 3, 4), read("v1", 5, 6, process=2)], "stale"),
        ([write(1, 0, 1), write(2, 2, 3), write(2, 2, 4, "same version")], "lost update"),
        ([write(1, 0, 1), write(3, 2, 3)], "lost update"),
        # The one that was written first got the later version.
        ([write(1, 0, 1), write(3, 2, 3), write(2, 4, 5)], "stale"),
    ],
)
def test_a_history_that_no_register_can_have_is_refused(history, why):
    assert violation(history).startswith(why)
    assert violation(reversed(history)).startswith(why)


def test_values_that_are_not_unique_are_no_evidence():
    with pytest.raises(ValueError, match="unique"):
        violation([write(1, 0, 1), write(2, 2, 3, "v1")])


def fits_some_order(history: Sequence[Operation]) -> bool:
    """Search all orders for one that respects time, versions, and what a register does."""
    return any(_fits(order) for order in permutations(history))


def _fits(order: Sequence[Operation]) -> bool:
    value, version, latest = None, 0, -1
    for operation in order:
        latest = max(latest, operation.start)
        if operation.end < latest:
            return False
        if operation.version is not None:
            if operation.version != version + 1:
                return False
            value, version = operation.value, operation.version
        elif operation.value != value:
            return False
    return True


@st.composite
def histories(draw) -> list[Operation]:
    """Three writes that overlap or not, and up to three reads."""
    moment = st.integers(0, 12)
    span = st.tuples(moment, moment).map(sorted)
    writes = [write(version, *draw(span)) for version in (1, 2, 3)]
    return (
        writes + draw(st.lists(st.builds(read, st.sampled_from(["v1", "v2", "v3"]), moment, moment).map(_forward)))[:3]
    )


def _forward(operation: Operation) -> Operation:
    return operation._replace(start=min(operation[1:3]), end=max(operation[1:3]))


@settings(max_examples=size(150, 20_000))
@given(histories())
def test_the_checker_says_what_a_search_of_all_orders_says(history):
    assert (violation(history) is None) == fits_some_order(history)


def run(kind, place, start, faults: Sequence[str]) -> dict[str, list[Operation]]:
    """Return the history of each secret, of processes with these faults (`none`, `deaf`, `mute`)."""
    store = f"{kind}:{place}/store"
    histories: defaultdict[str, list[Operation]] = defaultdict(list)
    with strongroom.init(store, audit=f"file:{place}/audit.log") as secrets:
        for name in NAMES:
            begun = time.monotonic_ns()
            version = secrets.set_secret(name, "first").version
            histories[name].append(Operation(-1, begun, time.monotonic_ns(), "first", version))
    workers = [
        start("freshness_worker", store, place, number, len(faults), STEPS, fault)
        for number, fault in enumerate(faults)
    ]
    for worker in workers:
        for name, *operation in result(worker, timeout=DEADLOCK):
            histories[name].append(Operation(*operation))
    return histories


@pytest.mark.parametrize("kind", KINDS)
def test_what_eight_processes_read_and_write_is_linearizable(kind, master_key, place, start):
    histories = run(kind, place, start, ["none"] * PROCESSES)
    for name in NAMES:
        assert len({one.process for one in histories[name] if one.version}) == PROCESSES + 1, "not all were writing"
        assert violation(histories[name]) is None


@pytest.mark.parametrize(("kind", "fault"), [("sqlite", "deaf"), ("sqlite", "mute"), ("file", "deaf")])
def test_one_process_of_four_with_a_planted_fault_is_found_out(kind, fault, master_key, place, start):
    histories = run(kind, place, start, [fault, "none", "none", "none"])
    found = [violation(history) for history in histories.values()]
    assert any(why and why.startswith("stale") for why in found), found
