"""What the tests of the conformance suite for stores share: the two methods to override, and common steps."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from strongroom.protocols import Reader, Store, Transaction


class StoreCase:
    """Override `create` and `open`; set `shared_between_processes` as it applies."""

    shared_between_processes = True
    """False for a store that lives in one object: tests with a second handle or process are skipped."""

    def create(self, place: Path) -> Store:
        """Make a new, empty store at `place`."""
        raise NotImplementedError

    def open(self, place: Path) -> Store:
        """Open the store that `create` made at `place`."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        """Give a new, empty store, closed after the test."""
        store = self.create(tmp_path)
        yield store
        store.close()

    @pytest.fixture
    def other(self, store: Store, tmp_path: Path) -> Iterator[Store]:
        """Give a second handle on the place of `store`."""
        if not self.shared_between_processes:
            pytest.skip("this store lives in one object")
        other = self.open(tmp_path)
        yield other
        other.close()


def put(store: Store, path: str, value: bytes) -> None:
    """Commit one entry."""
    with store.transaction() as transaction:
        transaction.put(path, value)


def fill(store: Store, names: Iterable[str]) -> None:
    """Commit one entry for each path, with the path as its value."""
    with store.transaction() as transaction:
        for path in names:
            transaction.put(path, path.encode())


def paths(pairs: list[tuple[str, bytes]]) -> list[str]:
    """Return the paths of what a scan returned."""
    return [path for path, _ in pairs]


def pages(reader: Reader, prefix: str, limit: int) -> Iterator[list[str]]:
    """Scan page by page."""
    after = ""
    while page := paths(reader.scan(prefix, after, limit)):
        yield page
        after = page[-1]


def increment(store: Store, times: int) -> None:
    """Add 1 to the entry `counter`, each time in a transaction of its own."""
    for _ in range(times):
        with store.transaction() as transaction:
            _add_one(transaction)


def _add_one(transaction: Transaction) -> None:
    transaction.put("counter", b"%d" % (int(transaction.get("counter") or b"0") + 1))


def in_threads(number: int, *targets: Callable[[], None]) -> None:
    """Run each target in a thread, the first one in `number` threads; raise what any of them raised."""
    raised: list[BaseException] = []

    def run(target: Callable[[], None]) -> None:
        try:
            target()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(target,)) for target in (*targets[:1] * number, *targets[1:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def in_child(target: Callable[[], None]) -> int:
    """Fork, run `target` in the child, and return 0 if it raised nothing."""
    return wait_for(start_child(target))


def start_child(target: Callable[[], None]) -> int:
    """Fork, run `target` in the child, and return its process id at once."""
    child = os.fork()
    if child:
        return child
    try:
        target()
    except BaseException as error:
        print(f"in the forked child: {error!r}", file=sys.stderr)  # noqa: T201
        os._exit(1)
    os._exit(0)


def wait_for(child: int) -> int:
    """Return the exit code of a forked child, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
