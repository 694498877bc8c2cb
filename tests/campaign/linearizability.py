"""Decides whether what many processes read and wrote of one secret is linearizable (Herlihy and Wing, 1990).

A history is linearizable when each operation can be given one moment between its start and its end, so that in the
order of these moments every read returns what was written last. Wing and Gong (1993) search all orders for that,
which takes exponential time. Here no search is needed, because two things are known that a history in general does
not tell: written values are unique, so each read names its write; and each write returned its version, so the order of
the writes is given. That leaves one order only: write 1, its reads, write 2, its reads, and so on, reads of the same
write by their start. It is a correct history of a register by construction. It is a linearization exactly when it puts
no operation before another that had ended before the first one started.

Complete: an order that fits must have its writes in the order of their versions, and each read between its write and
the next. So it differs from ours in nothing but how it sorts the reads of one write, and sorting those by their start
never breaks the rule. When ours does not fit, none does; the tests compare it with a search of all orders.

Secrets are judged one by one: a history is linearizable if that of each object is (Herlihy and Wing, theorem 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple


class Operation(NamedTuple):
    """One call on one secret, by one process. Times are in nanoseconds of CLOCK_MONOTONIC, which processes share."""

    process: int
    start: int
    end: int
    value: str
    """What was written or returned."""
    version: int | None = None
    """Of a write: the version that it returned. None marks a read."""


def violation(history: Iterable[Operation]) -> str | None:
    """Return why the history of one secret is not linearizable, or None when it is.

    The history starts with the write of version 1, and has every write that was made. O(n log n) for n operations.
    """
    operations = list(history)
    writes = sorted((one for one in operations if one.version is not None), key=lambda one: one.version or 0)
    wrong = _numbering(writes)
    if wrong:
        return wrong
    reads: dict[str, list[Operation]] = {write.value: [] for write in writes}
    if len(reads) < len(writes):
        raise ValueError("the values of writes must be unique, or nothing can be said")
    for read in operations:
        if read.version is None:
            if read.value not in reads:
                return f"never written: {read}"
            reads[read.value].append(read)
    return _late(chain.from_iterable((write, *sorted(reads[write.value], key=_by_start)) for write in writes))


def _by_start(operation: Operation) -> int:
    return operation.start


def _numbering(writes: list[Operation]) -> str | None:
    """Return which write is lost: two that got the same version, or a version that nobody wrote."""
    for number, write in enumerate(writes, start=1):
        if write.version != number:
            return f"lost update: version {number} was to be written once, next is {write}"
    return None


def _late(order: Iterable[Operation]) -> str | None:
    """Return the first operation that had ended before another one started that the order puts before it."""
    latest: Operation | None = None
    for operation in order:
        if latest is not None and operation.end < latest.start:
            return f"stale: {operation} had ended before {latest} started"
        if latest is None or operation.start > latest.start:
            latest = operation
    return None
