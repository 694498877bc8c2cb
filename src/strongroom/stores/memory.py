"""A store in memory, for tests: it lives as long as the object and is never written anywhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from strongroom.errors import ConfigError, StoreBusyError, StoreError
from strongroom.stores import forking
from strongroom.stores.snapshot import Draft, Snapshot

LOCK_SECONDS = 30.0


class MemoryReports:
    """Implements `strongroom.protocols.Reports` with a dictionary."""

    def __init__(self) -> None:
        self._reports: dict[str, bytes] = {}

    def put(self, key: str, report: bytes) -> None:
        """Keep a report in place of the one before it."""
        self._reports[key] = report

    def remove(self, key: str) -> None:
        """Forget a report."""
        self._reports.pop(key, None)

    def scan(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """Return key and report of each whose key starts with `prefix`, sorted."""
        return sorted((key, report) for key, report in self._reports.copy().items() if key.startswith(prefix))


class MemoryStore:
    """Implements `strongroom.protocols.Store` with a dictionary. A child made by `fork` gets a copy of its own."""

    def __init__(self) -> None:
        self.url = "memory:"
        self._now: Snapshot | None = Snapshot(0, {})
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self.reports = MemoryReports()
        """See `strongroom.protocols.Reporting`."""
        forking.watch(self)

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None. Raises `StoreError` after `close`."""
        return self._current().get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        return self._current().scan(prefix, after, limit)

    def revision(self) -> int:
        """Return the number of commits so far."""
        return self._current().revision

    def wait(self, revision: int, seconds: float) -> int:
        """Wait for a commit; see `strongroom.protocols.ChangeNotices`."""
        changed = self._changed
        with changed:
            if self._current().revision == revision:
                changed.wait(seconds)
        return self._current().revision

    def wake(self) -> None:
        """Let each `wait` return."""
        with self._changed:
            self._changed.notify_all()

    @contextmanager
    def view(self) -> Iterator[Snapshot]:
        """Return the store as it is now; later commits do not change it."""
        yield self._current()

    @contextmanager
    def transaction(self) -> Iterator[Draft]:
        """Hold the write lock; commit at a clean exit. Raises `StoreBusyError` after 30 s of waiting for it."""
        lock = self._writing  # the child of a fork in here gets another one, and must not release that
        if not lock.acquire(timeout=LOCK_SECONDS):
            raise StoreBusyError(f"memory: is locked by another transaction for more than {LOCK_SECONDS:g} s")
        try:
            before = self._current()
            draft = Draft(before)
            try:
                yield draft
            finally:
                draft.end()
            if draft.changes:
                self._now = before.succeeded_by(draft.changes)
                self.wake()
        finally:
            lock.release()

    def scrub(self) -> bool:
        """True: there are no files that could keep what was deleted."""
        self._current()
        return True

    def close(self) -> None:
        """Forget everything; closing twice is no error."""
        self._now = None
        self.wake()

    def before_fork(self) -> None:
        """Nothing to let go of: a child may read a copy of the same snapshot."""

    def after_fork_in_parent(self) -> None:
        """Nothing was let go of."""

    def after_fork_in_child(self) -> None:
        """Take a new lock, because the thread that held the old one does not exist here."""
        if self._writing.locked():
            self._writing = threading.Lock()
        self._changed = threading.Condition()

    def _current(self) -> Snapshot:
        if self._now is None:
            raise StoreError("memory: is closed; open another store")
        return self._now


def connect(rest: str, *, create: bool) -> MemoryStore:
    """Return a new, empty store for the address `memory:`, whatever `create` says."""
    if rest:
        raise ConfigError("memory: takes nothing after the colon")
    return MemoryStore()
