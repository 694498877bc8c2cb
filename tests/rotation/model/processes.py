"""Processes that are told apart as real ones are, and time that passes when it is told to."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from strongroom.audit.log import AuditLog
from strongroom.live import watcher as live_watcher
from strongroom.rotation import owner, readers
from strongroom.system import moment
from strongroom.testing.clock import VirtualClock

HERE, ELSEWHERE = "here", "elsewhere"
NAMES = os.uname()


class Process(NamedTuple):
    pid: int
    host: str
    started: float


class Clock(VirtualClock):
    """While an operator waits, the programs go on."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(max(seconds, 0.5))
        self.meanwhile()


class Machine:
    """Runs the processes of a test. Those on the host `elsewhere` cannot be looked at from here."""

    def __init__(self, clock: Clock) -> None:
        self._alive: dict[int, Process] = {}
        self._clock = clock
        self._pids = itertools.count(1_000_000_000)
        self._now = self._observer = self.start(HERE)
        self._patch = patch = pytest.MonkeyPatch()
        patch.setattr(os, "getpid", lambda: self._now.pid)
        patch.setattr(os, "uname", lambda: os.uname_result((NAMES[0], self._now.host, *NAMES[2:])))
        patch.setattr(owner, "_machine", lambda: (self._now.host, f"boot of {self._now.host}"))
        patch.setattr(owner, "_start_time", lambda pid: int(self._alive[pid].started) if pid in self._alive else None)
        patch.setattr(owner, "_state_and_start", lambda pid: (b"S", 0))
        patch.setattr(readers, "started_at", lambda pid: self._alive[pid].started if pid in self._alive else None)
        shim = SimpleNamespace(time=clock.now, strftime=time.strftime, gmtime=time.gmtime)
        patch.setattr(moment, "time", shim)
        patch.setattr(AuditLog, "_clock", staticmethod(lambda: int(clock.now() * 1e9)))
        # The tests look for changes by hand, when it is a program's turn.
        patch.setattr(live_watcher.Watcher, "start", lambda watcher: None)
        patch.setattr(threading, "excepthook", lambda failure: None)

    def start(self, host: str) -> Process:
        process = Process(next(self._pids), host, self._clock.now())
        self._alive[process.pid] = process
        return process

    def end(self, process: Process) -> None:
        self._alive.pop(process.pid, None)

    def is_alive(self, process: Process) -> bool:
        return process.pid in self._alive

    @contextmanager
    def running(self, process: Process) -> Iterator[None]:
        """Everything in here is done by this process."""
        before, self._now = self._now, process
        try:
            yield
        finally:
            self._now = before

    def stop(self) -> None:
        self._patch.undo()
