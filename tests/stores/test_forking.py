"""What stores are told around `fork`, when one of them fails at it."""

from __future__ import annotations

import gc
import os

import pytest

from strongroom.stores import forking


class Store:
    def __init__(self, fails: bool) -> None:
        self.told: list[str] = []
        self._fails = fails
        forking.watch(self)

    def _hear(self, what: str) -> None:
        self.told.append(what)
        if self._fails:
            raise RuntimeError("a store that fails")

    def before_fork(self) -> None:
        self._hear("before")

    def after_fork_in_parent(self) -> None:
        self._hear("parent")

    def after_fork_in_child(self) -> None:
        self._hear("child")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_store_that_fails_keeps_no_other_from_its_rest():
    stores = [Store(fails=number % 2 == 0) for number in range(6)]
    for attempt in (1, 2):
        child = os.fork()
        if child == 0:
            told = ["before", "parent"] * (attempt - 1) + ["before", "child"]
            os._exit(0 if all(store.told == told for store in stores) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert all(store.told == ["before", "parent"] * attempt for store in stores)


def test_a_fork_that_hangs_does_not_keep_others_from_forking(monkeypatch):
    monkeypatch.setattr(forking, "LONGEST", 0.01)
    gc.collect()  # stores of other tests
    store = Store(fails=False)
    forking._one_fork.acquire()  # by a thread whose fork hangs
    try:
        child = os.fork()
        if child == 0:
            os._exit(0 if store.told == ["child"] and forking._one_fork.acquire(timeout=0) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.told == []
        assert forking._one_fork.locked(), "it is the other thread's to release"
    finally:
        forking._one_fork.release()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert store.told == ["before", "parent"]
