"""SIGKILL of readers and of drainers: every read that was answered is in the log, and in it once."""

from __future__ import annotations

import mmap
import os
import random
import threading
from collections import Counter
from pathlib import Path

import pytest

import strongroom
from strongroom import hot_ring
from strongroom.audit.ring import Ring
from strongroom.audit.ring_file import RingFile

from . import kill, size

NAME = "shop/db"
THREADS = 4
KILLS = size(4, 40)
SYSCALLS = size(30, 600)
DRAINS = size(60, 350)


@pytest.fixture
def store(master_key, place) -> str:
    with strongroom.init(f"sqlite:{place}/store.db", audit=f"file:{place}/audit.log") as secrets:
        secrets.set_secret(NAME, "value")
    return f"sqlite:{place}/store.db"


@pytest.fixture
def answered(place):
    """What a process that is killed has counted of its answers, a number for each thread."""
    with open(place / "answered", "w+b") as file:
        file.truncate(mmap.PAGESIZE)
        yield memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("Q")


def small(capacity: int, tick: float) -> None:
    """Let rings fill up often."""
    hot_ring.TICK = tick
    hot_ring.Ring = lambda log, directory: Ring(log, directory, capacity)


def open_hot(store: str, place: Path) -> strongroom.SecretsManager:
    return strongroom.open(store, audit=f"file:{place}/audit.log", sync="ring", actor="reader")


def read(secrets, answered, thread: int, count: int) -> None:
    for _ in range(count):
        assert secrets.get_secret(NAME) == "value"
        answered[thread] += 1


def check(store: str, place: Path, answered, threads: int) -> None:
    """Look at the log as the next process finds it."""
    with strongroom.open(store, audit=f"file:{place}/audit.log") as secrets:
        events = secrets.get_audit_logs(None, action="GET", actor="reader")
        assert secrets.verify_audit().problems == ()
    assert sum(answered) <= len(events) <= sum(answered) + threads
    assert set(Counter(event["ring"] for event in events if "ring" in event).values()) <= {1}
    assert {event["outcome"] for event in events} <= {"ok"}
    assert os.listdir(f"{place}/audit.log.rings") == []


def amid_a_batch(names: Path) -> bool:
    file = RingFile.open(str(names.with_suffix("")))
    try:
        return file.state().pending > 0
    finally:
        file.close()


@pytest.mark.parametrize("capacity", [64, 4096])
def test_readers_that_are_killed_at_any_moment_leave_every_answer_on_record(capacity, store, place, answered):
    rounds, told = random.Random(capacity), 0

    def work(pipe: int) -> None:
        small(capacity, 0.002)
        secrets = open_hot(store, place)
        threads = [threading.Thread(target=read, args=(secrets, answered, n, 1 << 40)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        os.write(pipe, b"!")
        threads[0].join()

    for _ in range(KILLS):
        assert kill.after(rounds.uniform(0, 0.1), work, first_word=True).killed
        told += 1
    # One answer of each thread may be on record and not have been counted, each time.
    check(store, place, answered, THREADS * told)
    assert sum(answered) > 1000


@pytest.mark.skipif(not kill.can_trace(), reason="this machine lets no process trace another")
def test_a_reader_that_is_killed_at_any_system_call_leaves_every_answer_on_record(store, place, answered):
    def work(pipe: int) -> None:
        small(16, 3600)
        read(open_hot(store, place), answered, 0, 200)

    killed = 0
    for number in random.Random(1).sample(range(200, 1500), SYSCALLS):
        killed += kill.at_syscall(number, work).killed
    check(store, place, answered, killed)
    assert killed > SYSCALLS // 4


@pytest.mark.skipif(not kill.can_trace(), reason="this machine lets no process trace another")
def test_drainers_that_are_killed_at_any_system_call_write_every_read_once(store, place, answered):
    def leave() -> None:
        child = os.fork()
        if child == 0:
            small(300, 3600)
            read(open_hot(store, place), answered, 0, 500)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    def collect(pipe: int) -> None:
        strongroom.open(store, audit=f"file:{place}/audit.log")

    rings, left, killed, cut = Path(f"{place}/audit.log.rings"), 0, 0, 0
    for number in random.Random(2).sample(range(100, 450), min(DRAINS, 350)):
        if not rings.is_dir() or not list(rings.glob("*.names")):
            leave()
            left += 1
        killed += kill.at_syscall(number, collect).killed
        cut += sum(amid_a_batch(path) for path in rings.glob("*.names"))
    check(store, place, answered, 0)
    assert sum(answered) == 500 * left
    assert killed > left
    assert cut > 0, "no kill hit a batch"


def test_a_drainer_thread_and_other_processes_write_every_read_once(store, place, answered):
    small(128, 0.001)
    secrets = open_hot(store, place)
    try:
        reader = threading.Thread(target=read, args=(secrets, answered, 0, size(20_000, 500_000)))
        reader.start()
        while reader.is_alive():
            with strongroom.open(store, audit=f"file:{place}/audit.log", actor="looker") as other:
                other.get_audit_logs(5)
        reader.join()
    finally:
        secrets.close()
        hot_ring.TICK, hot_ring.Ring = 0.05, Ring
    with strongroom.open(store, audit=f"file:{place}/audit.log") as other:
        events = other.get_audit_logs(None, action="GET", actor="reader")
        assert other.verify_audit().problems == ()
    assert len(events) == answered[0]
