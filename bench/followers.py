"""Processes that follow secrets by live handles, and say when they have seen a change."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from time import monotonic, process_time, sleep
from typing import NamedTuple

import strongroom
from bench.processes import environment
from bench.samples import sample
from bench.strongroom_library import KEY, where

POLLED, CALLED = "polled", "called"
_POLL_SECONDS = 0.001


class Sighting(NamedTuple):
    """A version that a process has seen: when, and how much of the processor it had used by then, in seconds."""

    name: str
    version: int
    at: float
    cpu: float


class Follower:
    """A process that follows the first `watched` of the `stored` secrets at `place`, and this end of its pipes."""

    def __init__(self, how: str, place: str, kind: str, stored: int, watched: int) -> None:
        argv = [sys.executable, "-m", "bench.followers", how, place, kind, str(stored), str(watched)]
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with open(os.path.join(place, "key")) as file:
            env = environment(place, PYTHONPATH=root, **{KEY: file.read()})
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, env=env, stdin=pipe, stdout=pipe, text=True)

    def wait_until_ready(self) -> None:
        """Return when the process follows its secrets."""
        self.sighting()

    def go(self) -> None:
        """Let one that polls begin to."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def sighting(self) -> Sighting:
        """Wait for the next change that the process sees."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a process that follows secrets has ended")
        name, version, at, cpu = line.split()
        return Sighting(name, int(version), float(at), float(cpu))

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=60)


def _say(name: str, version: int) -> None:
    sys.stdout.write(f"{name} {version} {monotonic()} {process_time()}\n")
    sys.stdout.flush()


def _poll(handle: strongroom.LiveSecret, version: int) -> int:
    """Read the handle each millisecond until its version is another; return that."""
    while True:
        handle.value  # noqa: B018 (reading it is the point)
        if handle.version != version:
            return handle.version
        sleep(_POLL_SECONDS)


def main(how: str, place: str, kind: str, stored: str, watched: str) -> None:
    """Follow secrets until the standard input ends."""
    secrets = strongroom.open(*where(place, kind))
    handles = [secrets.secret(name) for name in islice(sample(int(stored)), int(watched))]
    if how == CALLED:
        tell: Callable[[strongroom.LiveSecret], None] = lambda handle: _say(handle.name, handle.seen)  # noqa: E731
        for handle in handles:
            handle.on_change(tell)
    _say(handles[0].name, handles[0].version)
    for _ in sys.stdin:
        if how == POLLED:
            _say(handles[0].name, _poll(handles[0], handles[0].version))


if __name__ == "__main__":
    main(*sys.argv[1:])
