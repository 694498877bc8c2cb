"""The ring of this process: a read that was done before is on record by one copy of 16 bytes into shared memory.

Once the bytes are in the mapped file, the kernel keeps them, whatever happens to the process.

Each half of the ring is a mapping of its own with its own position. `mmap.write` copies the record and moves the
position in one call that no other thread can interrupt: there are no gaps, no two threads get one place, and what is
full says so (`ValueError`). A half begins anew only when it is full and every record of it is in the log, so a thread
that was interrupted just before its write still finds a place that will be drained, or an error.
"""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from strongroom.audit.draining import drain
from strongroom.audit.log import AuditLog
from strongroom.audit.ring_file import (
    DAMAGED,
    DRAINED,
    FIRST,
    MAGIC,
    MAGIC_CELL,
    RECORD,
    RingFile,
    State,
    Table,
    counted,
    place_of,
)

RECORDS: Final = 1 << 16
"""Records of each half: 1 MiB, or some 25 milliseconds of nothing but reads."""


class Ring:
    """Usable from many threads; a child of `fork` makes its own."""

    def __init__(self, log: AuditLog, directory: str, capacity: int = RECORDS) -> None:
        """Make a ring in `directory`; raises `OSError` when there is no room for it or no right to."""
        self._log = log
        self._capacity = capacity
        self._drained = [0, 0]
        self._first = [1, 1 + capacity]
        key, audit_key = max(log.keys.items())
        self._file = file = _create(directory, capacity, {"key": key, **log.process()})
        self._names_end = os.fstat(file.names).st_size
        self._naming = threading.Lock()
        self._tokens: dict[tuple[str, str, int], int] = {}
        self._table = Table(audit_key, file.lines()[0])
        size = capacity * RECORD.size
        self._halves = [mmap.mmap(file.records, size, offset=place_of(half, capacity)) for half in (0, 1)]
        self.write: Callable[[bytes], int] = self._halves[0].write
        """Puts a record on record. Raises `ValueError` when there is no room (`make_room`) or the ring is closed."""

    def token(self, actor: str, name: str, version: int) -> int:
        """Return what stands for this read in a record, XOR the time; raises `OSError`, then there is none."""
        key = actor, name, version
        found = self._tokens.get(key)
        if found is None:
            line = json.dumps({"actor": actor, "name": name, "version": version}, separators=(",", ":")).encode()
            with self._naming:
                # In the file first: a record whose meaning is not there would be lost with this process.
                if os.pwrite(self._file.names, line + b"\n", self._names_end) != len(line) + 1:
                    raise OSError(errno.ENOSPC, "no room for a name")
                self._names_end += len(line) + 1
                found = self._tokens[key] = self._table.add(line)
        return found

    @property
    def id(self) -> str:
        """What the ring is called in events."""
        return self._file.id

    @property
    def names(self) -> int:
        """How many tokens there are."""
        return len(self._tokens)

    def make_room(self) -> None:
        """Let `write` go on in a half that has room, after draining the older one when there is none.

        Raises `AuditError` when the log cannot be written, and at once when somebody is draining; and `OSError`.
        """
        if not self._choose():
            self.drain(halves=1, timeout=0)

    def drain(self, *, halves: int = 2, timeout: float | None = None) -> None:
        """Write every event to the log, or those of the older half; raises `AuditError` and `OSError`.

        Then nothing is lost. For `timeout` see `RingFile.locked`.
        """
        written = self._written()
        if written == self._drained and not self._is_full():
            return
        with self._file.locked(timeout):
            # Taken again: what was written while we waited is drained too.
            written = self._written()
            self._check(written)
            if halves == 1:
                younger = max((0, 1), key=self._first.__getitem__)
                written[younger] = self._drained[younger]
            state = drain(self._file, self._log, self._table, written)
            self._drained = state.drained
            self._begin_anew(state)
        self._choose()

    def close(self) -> None:
        """Take no more records, drain, and remove the files; raises like `drain`, and then they stay to be drained."""
        written = self._written()
        for half in self._halves:
            half.close()
        # A thread may have written after that was taken, before the closing.
        tail = [self._file.read(h, self._capacity, n, self._capacity).rstrip(b"\0") for h, n in enumerate(written)]
        written = [n + -(-len(more) // RECORD.size) for n, more in zip(written, tail, strict=True)]
        # When somebody is draining for too long, the files stay open: that thread has their descriptors in hand.
        with self._file.locked():
            try:
                self._check(written)
                drain(self._file, self._log, self._table, written)
                self._file.remove()
            finally:
                with self._naming:
                    self._file.close()

    def abandon(self) -> None:
        """Let go of a ring that is the parent's; its records are the parent's to drain."""
        for half in self._halves:
            half.close()
        self._file.close()

    def _written(self) -> list[int]:
        return [half.tell() // RECORD.size for half in self._halves]

    def _is_full(self) -> bool:
        return max(self._written()) == self._capacity

    def _choose(self) -> bool:
        """Let `write` be that of the half with room that begins first."""
        room = [half for half in (0, 1) if self._written()[half] < self._capacity]
        if room:
            self.write = self._halves[min(room, key=self._first.__getitem__)].write
        return bool(room)

    def _begin_anew(self, state: State) -> None:
        """Empty the halves that are full and drained; nobody can write to them until the position is set back."""
        for half in sorted((0, 1), key=self._first.__getitem__):
            if self._halves[half].tell() == self._capacity * RECORD.size and state.drained[half] == self._capacity:
                self._file.clear(half, self._capacity)
                # In this order a process that is killed in between leaves a half that counts as drained.
                self._first[half] = self._first[1 - half] + self._capacity
                self._file.put(FIRST + 2 * half, self._first[half])
                self._file.put(DRAINED + 2 * half, counted(0))
                self._drained[half] = 0
                self._halves[half].seek(0)

    def _check(self, written: list[int]) -> None:
        """Restore the counters when somebody has changed them; what is drained twice has the same number twice."""
        state = self._file.state()
        possible = all(
            before <= now <= end for before, now, end in zip(self._drained, state.drained, written, strict=True)
        )
        if not (state.good and possible and state.first == self._first):
            self._log.record("AUDIT", None, "failed", reason=DAMAGED)
            _write_counters(self._file, self._capacity, self._first, self._drained)


def _write_counters(file: RingFile, capacity: int, first: list[int], drained: list[int]) -> None:
    file.put(MAGIC_CELL, MAGIC, capacity, first[0], counted(drained[0]), first[1], counted(drained[1]), 0, 0, 0)


def _create(directory: str, capacity: int, owner: dict[str, object]) -> RingFile:
    """Make the files of the ring of `owner`; others see it complete or not at all."""
    with suppress(FileExistsError):
        os.mkdir(directory, 0o700)
        # When root is the first to come, whoever owns the log's directory must be able to make rings too.
        above = os.stat(os.path.dirname(directory))
        with suppress(PermissionError):
            os.chown(directory, above.st_uid, above.st_gid)
    base = os.path.join(directory, os.urandom(8).hex())
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = RingFile(base, os.open(base + ".names.new", flags, 0o600), -1)
    try:
        # Held for as long as this process lives; what is unfinished and not held is removed by whoever finds it.
        fcntl.flock(file.names, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.records = os.open(base + ".ring", flags, 0o600)
        # A full disk must be an error here, for it would be a signal (SIGBUS) later.
        os.posix_fallocate(file.records, 0, place_of(2, capacity))
        _write_counters(file, capacity, [1, 1 + capacity], [0, 0])
        line = json.dumps({"strongroom_ring": 1, "ring": file.id, **owner}, separators=(",", ":")).encode() + b"\n"
        if os.write(file.names, line) != len(line):
            raise OSError(errno.ENOSPC, "no room for a ring")
        os.rename(base + ".names.new", base + ".names")
    except BaseException:
        file.remove_unfinished()
        file.close()
        raise
    return file
