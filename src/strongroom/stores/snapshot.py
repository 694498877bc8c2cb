"""One moment of a store held in memory, and the draft of the next one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import islice, takewhile

from strongroom.errors import StoreError


class Snapshot:
    """What a store held at one revision. Never changed once made, so threads share it without a lock."""

    __slots__ = ("_paths", "_values", "revision")

    def __init__(self, revision: int, values: dict[str, bytes]) -> None:
        self.revision = revision
        self._values = values
        self._paths: list[str] | None = None

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None."""
        return self._values.get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        pairs = ((path, self.get(path)) for path in page(self.paths(), prefix, after, limit))
        return [(path, value) for path, value in pairs if value is not None]

    def paths(self) -> list[str]:
        """Return all paths, sorted."""
        if self._paths is None:
            self._paths = in_order(self._values)
        return self._paths

    def succeeded_by(self, changes: Mapping[str, bytes | None]) -> Snapshot:
        """Return the snapshot that follows once `changes` (None removes) are committed."""
        values = {path: value for path, value in {**self._values, **changes}.items() if value is not None}
        return Snapshot(self.revision + 1, values)


class Draft:
    """A `Transaction` over a snapshot: remembers what was written and leaves the snapshot alone."""

    __slots__ = ("_before", "_changes", "_open", "_paths", "revision")

    def __init__(self, before: Snapshot) -> None:
        self.revision = before.revision + 1
        self._before = before
        self._changes: dict[str, bytes | None] = {}
        self._paths: list[str] | None = None
        self._open = True

    @property
    def changes(self) -> dict[str, bytes | None]:
        """What was written: the new bytes for each path, None where they were removed."""
        return self._changes

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path` as this transaction sees them, or None."""
        self._check_open()
        return self._changes[path] if path in self._changes else self._before.get(path)

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs, sorted; see `strongroom.protocols.Reader.scan`."""
        pairs = ((path, self.get(path)) for path in page(self._all_paths(), prefix, after, limit))
        return [(path, value) for path, value in pairs if value is not None]

    def put(self, path: str, value: bytes) -> None:
        """Write `value` at `path`, replacing what was there."""
        self._check_open()
        self._changes[path] = bytes(value)
        self._paths = None

    def delete(self, path: str) -> None:
        """Remove `path`; no error when there is nothing."""
        if self.get(path) is not None:
            self._changes[path] = None
            self._paths = None

    def end(self) -> None:
        """Refuse everything from now on: a draft kept beyond its `with` would write into nothing."""
        self._open = False

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("this transaction has ended; begin another one")

    def _all_paths(self) -> list[str]:
        self._check_open()
        if self._paths is None:
            gone = {path for path, value in self._changes.items() if value is None}
            self._paths = in_order({*self._before.paths(), *self._changes} - gone)
        return self._paths


def in_order(paths: Iterable[str]) -> list[str]:
    """Return `paths` sorted by their UTF-8 bytes; UTF-8 was designed so that this is the order of code points."""
    return sorted(paths)


def page(paths: list[str], prefix: str, after: str, limit: int) -> list[str]:
    """Return the first `limit` of the sorted `paths` that start with `prefix` and sort after `after`."""
    start = max(bisect_left(paths, prefix), bisect_right(paths, after))
    matching = takewhile(lambda path: path.startswith(prefix), islice(paths, start, None))
    return list(islice(matching, max(limit, 0)))
