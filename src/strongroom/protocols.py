"""The seams: what a driver must do. A driver imports this module, `errors` and `model`, and nothing above them.

Drivers translate the exceptions of their library into `StrongroomError`s, and never print.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from strongroom.model import LogLine, Position


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

    Usable from many threads, from many processes on the same place, and in the child after `fork`. A reading method
    returns what was last committed by anyone, never an older state.

    Raises (all methods): `StoreError` when the store cannot be read or written (permission, full disk, damage),
    `StoreBusyError` when the lock was not free in time. Errors name the place, never what is stored.
    """

    url: str
    """`scheme:rest`, as a user writes it; shown in messages, so without credentials."""

    def revision(self) -> int:
        """Return the number of commits so far: 0 for an empty store; it grows by one with each commit."""
        ...

    def commits(self) -> Sequence[int] | None:
        """Return two numbers that stay up to date by themselves: commits begun, and the last of them that ended.

        What was read after both were equal is what the store holds for as long as the first has not moved. To read
        them costs nanoseconds. Ask again every second or so: the numbers may go on at another place. None when there
        is no such counter; then `revision` tells.
        """
        ...

    def mark(self, path: str) -> Sequence[int] | None:
        """Return one number that stays up to date by itself: it moves before a commit that changes `path` can be seen.

        It may move for other paths too. What was read from `path` after it, and after both numbers of `commits` were
        equal, is what the store holds there for as long as it has not moved. When `commits` returns another object
        than before, ask for it again. None when there is no such number; then `commits` tells.
        """
        ...

    def view(self) -> AbstractContextManager[Reader]:
        """Return a consistent snapshot: every read in it sees the same revision."""
        ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Hold the store's write lock; commit durably at a clean exit, roll back when the block raises.

        When the `with` statement has ended without an exception the changes survive power loss. When it raised,
        nothing changed. A transaction that wrote nothing does not grow the revision.
        """
        ...

    def scrub(self) -> bool:
        """Remove what is left of deleted entries from the store's files; True when all is gone.

        False is no error: another process is reading an older state, and a later call or commit does it.
        """
        ...

    def close(self) -> None:
        """Release files and locks; closing twice is no error."""
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
    """What a `Store` may have besides: without it, rotations know of no process that holds a secret."""

    @property
    def reports(self) -> Reports:
        """The reports of this store."""
        ...


class KeyProvider(Protocol):
    """Guards keys with a master key. It sees keys only, never secrets."""

    url: str
    """`scheme:rest` as a user writes it; a label, never key material."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt `key` (32 bytes) so that only this master key and the same `context` bring it back.

        Raises `NoKeyError` (no key given) and `InvalidKeyError` (not a key).
        """
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key that `wrap` was given.

        Raises `WrongKeyError` when `wrapped` was made by another master key ("not mine"), `TamperedError` when it was
        made by this one and is damaged, `NewerFormatError`, `NoKeyError` and `InvalidKeyError`.
        """
        ...


class AuditSink(Protocol):
    """An append-only log of lines. Many processes append to the same one.

    Raises `AuditError` when a line cannot be written or read, naming the place and the reason.
    """

    url: str

    def segment(self) -> int:
        """Return the number of the segment that the next line goes to, after moving to a new one when that is due.

        The writer calls it before each line, and starts a new stream when the number has changed. 0, once, says that
        the next line goes to another log, whose segment may have the same number. A sink without segments returns 1.
        """
        ...

    def append(self, line: bytes) -> None:
        """Hand the whole line (it ends in a line feed) to the kernel or raise; never write a part silently."""
        ...

    def position(self) -> Position:
        """Return where the last line of this process begins (before the first one: where the log ends now)."""
        ...

    def lines(self) -> Iterator[LogLine]:
        """Read every line of every segment, oldest first."""
        ...

    def lines_backwards(self) -> Iterator[LogLine]:
        """Read every line of every segment, newest first."""
        ...

    def close(self) -> None:
        """Release the file; closing twice is no error."""
        ...


class Policy(Protocol):
    """Says who may do what."""

    def allows(self, actor: str, capability: str, name: str) -> bool:
        """True when `actor` may exercise `capability` (`create read update delete list`) on the secret `name`."""
        ...


class Sessions(NamedTuple):
    """Open sessions of one account that were not opened with its current value."""

    account: str
    open: int
    """How many there are."""
    oldest: float
    """Seconds since the oldest of them was opened."""


class Rotator(Protocol):
    """Gives a secret a new value at its source: a database, an account at a provider, a generator.

    Data is the mapping of a secret's fields; a plain secret is the field `value`. Each method may be called again after
    a crash with the same arguments, and then does what is left to do, or nothing. It may raise anything; the text of
    a `StrongroomError` is shown, of another exception its class alone. It is called in a thread of its own, and given
    up when it does not return in time.

    A rotator that knows that its source said no and changed nothing raises `SourceRefusedError`. A previous value (or
    account) that is gone already is retired: `retire` then returns.

    What a rotator may have besides:

    - `grace`: seconds for which the previous value stays valid for processes that have not switched, when the secret
      does not say it.
    - `keeps_previous`: False when the source refuses the previous value from `set` on, so that there is no grace time.
    - `timeout`: seconds for each step, in place of 30.
    - `accounts`: what it rotates at its source, as a collection of texts. No two secrets may share one.
    - `check(current)`: raises unless the source accepts `current` and lets the rotator do what it will have to;
      changes nothing. May return texts to show. Without it `test(current)` is asked.
    - `adopt(value, current)`: returns `current` with an operator's own value, a text or a mapping of fields.
    - `tests_nearly`: True when `test` may be asked, before promotion, with a value that differs from the pending one in
      one letter. A source that accepts it cuts or normalises values. That is a failed log-in at the source, so without
      it nobody asks.
    - `stop()`: ends a step that is under way in another thread, and all that it has started.
    - `withhold(variables)`: is told which environment variables hold keys of the store; a rotator that starts programs
      keeps these from them.
    - `about(name, rotation)`: is told the secret's name and the id of the rotation before the first step, the same id
      when that is repeated or resumed, and "" when no rotation is under way (`check`). The id is durable before
      `create` is asked, and asked with again until what was made is used or discarded.
    - `discard(created, current)`: removes what `create` has made at the source, because no rotation is going to use it:
      it is of another shape, the secret was written meanwhile, or `set` was refused. (An `abort` calls `retire`.)
    - `sessions(current, age)`: returns a `Sessions` for each account with sessions that were not opened with `current`:
      those of its other account, and those of its own that are older than `age` seconds at the time of the call.
    - `terminates`: True when these shall end once the previous value is retired; `end_sessions(current, age)` ends them
      and returns how many they were.
    - `second_account(current, other)`: returns the statements that give the source a second account `other` with the
      rights of the current one, and the URL of a rotator of both; `make_second_account(current, other)` runs them.
    """

    def create(self, current: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return new data for the secret that holds `current`, and touch nothing."""
        ...

    def set(self, pending: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the source accept `pending`. Called the other way round to undo it."""
        ...

    def test(self, pending: Mapping[str, Any]) -> None:
        """Raise unless the source accepts `pending`."""
        ...

    def retire(self, previous: Mapping[str, Any], current: Mapping[str, Any]) -> None:
        """Let the source refuse `previous`, and go on accepting `current`."""
        ...
