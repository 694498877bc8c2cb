"""Collecting: what other processes have left in their rings, before somebody looks at the log."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from strongroom.audit.draining import drain
from strongroom.audit.ring_file import DAMAGED, RECORD, RingFile, State, Table

if TYPE_CHECKING:
    from strongroom.audit.log import AuditLog


def collect(log: AuditLog, directory: str, *, only_dead: bool) -> None:
    """Drain the rings in `directory` that belong to the log's store; those of processes that are gone are removed.

    Raises `AuditError` when the log cannot be written.
    """
    with suppress(FileNotFoundError, PermissionError):
        for entry in sorted(os.listdir(directory)):
            name, _, ending = entry.partition(".")
            if ending == "names":
                _drain_other(log, os.path.join(directory, name), only_dead=only_dead)
            elif ending == "names.new":
                _remove_unfinished(os.path.join(directory, name))


def left_over(directory: str) -> tuple[int, int]:
    """Return how many rings of processes that are gone nobody has drained, and how many damaged ones were put aside."""
    undrained = damaged = 0
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.listdir(directory):
            name, _, ending = entry.partition(".")
            damaged += ending == "names.damaged"
            if ending == "names":
                with suppress(OSError):
                    file = RingFile.open(os.path.join(directory, name))
                    undrained += file.owner_is_gone()
                    file.close()
    return undrained, damaged


def _drain_other(log: AuditLog, base: str, *, only_dead: bool) -> None:
    try:
        file = RingFile.open(base)
    except OSError:
        # Drained and removed in between, or another user's, which that user's processes drain.
        return
    try:
        gone = file.owner_is_gone()
        if only_dead and not gone:
            return
        with file.locked():
            # The one who had the lock before may have drained and removed it.
            if os.path.exists(base + ".names"):
                _drain_locked(log, file, gone=gone)
    finally:
        file.close()


def _drain_locked(log: AuditLog, file: RingFile, *, gone: bool) -> None:
    lines = file.lines()
    state = file.state()
    try:
        owner = json.loads(lines[0])
        key = log.keys.get(owner["key"])
        if owner["store"] != log.store or key is None:
            # Another store's, or under a key that is newer than what we know: not ours to drain.
            return
        table = Table(key, lines[0])
        good = state.good
    except (ValueError, KeyError, TypeError, IndexError):
        good = False
    if not good:
        # The one who owns it has its own counters and names in memory.
        if gone:
            log.record("AUDIT", None, "failed", reason=DAMAGED)
            file.put_aside()
        return
    for line in lines[1:]:
        with suppress(ValueError, KeyError, TypeError):
            table.add(line)
    written = [_find_end(file, half, state, gone=gone) for half in (0, 1)]
    drain(file, log, table, written, foreign=gone or owner["pid"] != os.getpid())
    if gone:
        file.remove()


def _find_end(file: RingFile, half: int, state: State, *, gone: bool) -> int:
    """Return how many records a half has, as far as its bytes tell."""
    start = state.drained[half]
    stored = file.read(half, state.capacity, start, state.capacity).rstrip(b"\0")
    count = -(-len(stored) // RECORD.size)
    stored = stored.ljust(count * RECORD.size, b"\0")
    if not gone:
        # Its owner is writing: some processors show us a later record before an earlier one.
        return next((n for n, record in enumerate(RECORD.iter_unpack(stored), start) if 0 in record), start + count)
    # A process that is killed as it writes its last record leaves a part of it, and has not answered.
    return start + count - (count > 0 and 0 in RECORD.unpack(stored[-RECORD.size :]))


def _remove_unfinished(base: str) -> None:
    """Remove what a process left that was killed while it made its ring."""
    with suppress(OSError):
        descriptor = os.open(base + ".names.new", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        file = RingFile(base, descriptor, -1)
        try:
            if file.owner_is_gone():
                file.remove_unfinished()
        finally:
            file.close()
