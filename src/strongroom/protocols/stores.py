"""What a store must do, and what it may do besides.

`Store` is the whole of what every store has. Each of the other Protocols of a store is optional, and complete in
itself: a store that has all its members has it. `strongroom.abilities` is the only place that asks.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol


class Reader(Protocol):
    """Reads paths as of one moment (a view, a transaction) or as of now (a store)."""

    def get(self, path: str) -> bytes | None:
        """Return the bytes at `path`, or None."""
        ...

    def scan(self, prefix: str = "", after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Return up to `limit` pairs of path and bytes: paths that start with `prefix` and sort after `after`.

        Sorted by path in order of its UTF-8 bytes; fewer than `limit` only when there are no more. Page by passing the
        last path as `after`.
        """
        ...


class View(Reader, Protocol):
    """A consistent snapshot: every read sees the same commits."""

    @property
    def revision(self) -> int:
        """The number of commits that it sees: 0 for an empty store; it grows by one with each commit."""
        ...


class Transaction(Reader, Protocol):
    """Reads its own writes; nobody else sees them before the commit."""

    revision: int
    """The revision that the store will have once this commits."""

    def put(self, path: str, value: bytes) -> None:
        """Write `value` at `path`, replacing what was there."""
        ...

    def delete(self, path: str) -> None:
        """Remove `path` and its bytes for good; no error when there is nothing."""
        ...


class Store(Reader, Protocol):
    """Maps paths to opaque bytes. It is assumed hostile: everything it returns is authenticated above it.

    Usable from many threads, from many processes at the same address, and in the child after `fork`. A reading method
    returns what was last committed by anyone, never an older state.

    Raises (all methods): `StoreError` when the store cannot be read or written (permission, full disk, damage),
    `StoreBusyError` when the lock was not free in time. Errors name the store by its `url`, never what is stored.
    """

    @property
    def url(self) -> str:
        """`scheme:rest` as messages show it: without user, password and query values."""
        ...

    def view(self) -> AbstractContextManager[View]:
        """Return a consistent snapshot of the store as it is now."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Hold the store's write lock; commit durably at a clean exit, roll back when the block raises.

        When the `with` statement has ended without an exception the changes survive power loss. When it raised,
        nothing changed. A transaction that wrote nothing does not grow the revision.
        """
        ...

    def close(self) -> None:
        """Release files, connections and locks; closing twice is no error."""
        ...


class RevisionCounter(Protocol):
    """Optional: the revision without a view. Without it, a view is opened for it."""

    def revision(self) -> int:
        """Return the number of commits so far, as `View.revision` does."""
        ...


class SharedCounters(Protocol):
    """Optional: freshness without a call. Without it, a live handle asks the store at each use."""

    def commits(self) -> Sequence[int] | None:
        """Return two numbers that stay up to date by themselves: commits begun, and the last of them that ended.

        What was read after both were equal is what the store holds for as long as the first has not moved. To read
        them costs nanoseconds. Ask again every second or so: the numbers may go on at another address. None while
        there is no such counter; then the revision tells.
        """
        ...

    def mark(self, path: str) -> Sequence[int] | None:
        """Return one number that stays up to date by itself: it moves before a commit that changes `path` can be seen.

        It may move for other paths too. What was read from `path` after it, and after both numbers of `commits` were
        equal, is what the store holds there for as long as it has not moved. When `commits` returns another object
        than before, ask for it again. None while there is no such number; then `commits` tells.
        """
        ...


class ChangeNotices(Protocol):
    """Optional: waiting for a change, as with a database that notifies. Without it, the revision is asked for often."""

    def wait(self, revision: int, seconds: float) -> int:
        """Return the store's revision as soon as it is not `revision`, or after so many seconds.

        Several threads may wait at once. May return early.
        """
        ...

    def wake(self) -> None:
        """Let each `wait` of this object that is under way return."""
        ...


class Scrubbing(Protocol):
    """Optional: removing what is left of deleted entries. Without it, that is the database's own business."""

    def scrub(self) -> bool:
        """Remove what is left of deleted entries from the store's files; True when all is gone.

        False is no error: another process is reading an older state, and a later call or commit does it.
        """
        ...


class TimedTransactions(Protocol):
    """Optional: a transaction that waits less long. Without it, a reader's checkpoint waits as long as a writer."""

    def transaction_within(self, seconds: float) -> AbstractContextManager[Transaction]:
        """Like `Store.transaction`; raises `StoreBusyError` when the lock is not free within so many seconds."""
        ...


class GitFriendly(Protocol):
    """Optional: the store is one file of text that is made to be committed.

    Git moves it back and forth, so an older revision is no attack, and a reader must not change the file. Other
    programs read it too, so its records are under Fernet unless `init` is told otherwise.
    """

    @property
    def moves_with_git(self) -> bool:
        """True for such a store."""
        ...


class Reports(Protocol):
    """What running processes say of the version of a secret that they hold: small blobs beside a store.

    They are no part of it: no lock, no revision, no manifest, and nobody waits for a process that is stopped while it
    reports. Assumed hostile, as the store is: reports are authenticated above. Usable from threads, from processes
    and in the child after `fork`, as the store is; what one process has put, the others see.

    A key is 1 to 80 lower-case hexadecimal digits and hyphens; a report has up to 4 KiB. Raises `StoreError`.
    """

    def put(self, key: str, report: bytes) -> None:
        """Write a report, whole, in place of the one before it."""
        ...

    def remove(self, key: str) -> None:
        """Remove a report; no error when there is none."""
        ...

    def scan(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """Return key and report of all whose key starts with `prefix`, sorted by key."""
        ...


class Reporting(Protocol):
    """Optional: reports. Without it, rotations know of no process that holds a secret."""

    @property
    def reports(self) -> Reports:
        """The reports of this store."""
        ...
