"""One of many processes that read and write a few secrets, and note when each call started and ended.

A fault can be planted, to see that the campaign finds it: `deaf` never hears that others commit, `mute` commits
without telling.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from pathlib import Path
from typing import Any

import strongroom
from strongroom.stores import file, sqlite
from strongroom.stores.generation import Generation

NAMES = [f"register/{n}" for n in range(3)]
MOST_READS = 20


class Worker:
    """Reads in bursts between writes, so that most reads find what they look for in memory."""

    def __init__(self, store: str, audit: str, number: int) -> None:
        self.secrets = strongroom.open(store, audit=f"file:{audit}", actor=f"worker-{number}")
        self.handles = {name: self.secrets.secret(name) for name in NAMES}
        # Half of the handles are read by the thread of callbacks too.
        if number % 2:
            for handle in self.handles.values():
                handle.on_change(lambda handle: None)
        self.random = random.Random(number)
        self.number = number
        self.history: list[list[Any]] = []

    def run(self, steps: int, writes: float) -> None:
        for step in range(steps):
            name = self.random.choice(NAMES)
            if self.random.random() < writes:
                self.write(name, f"{self.number}-{step}")
            for _ in range(self.random.randrange(MOST_READS)):
                self.read(self.random.choice(NAMES))
            if not writes:
                time.sleep(0.005)  # or it would be done before the others have written anything

    def read(self, name: str) -> None:
        live = self.random.random() < 0.5
        start = time.monotonic_ns()
        value = self.handles[name].value if live else self.secrets.get_secret(name)
        self.history.append([name, self.number, start, time.monotonic_ns(), value, None])

    def write(self, name: str, value: str) -> None:
        method = self.random.choice((self.secrets.set_secret, self.secrets.rotate_secret))
        start = time.monotonic_ns()
        version = method(name, value).version
        self.history.append([name, self.number, start, time.monotonic_ns(), value, version])


def plant(fault: str, store: Any) -> None:
    if isinstance(store, file.FileStore):
        assert fault == "deaf"
        loaded = store._current()
        store._current = lambda: loaded  # type: ignore[method-assign]
    elif fault == "deaf":
        Generation.look = lambda self, *_: setattr(self, "look_at", math.inf)  # type: ignore[assignment]
        store._generation.cells = memoryview(bytes(store._generation.cells)).cast("Q")
    else:
        assert fault == "mute"
        sqlite.SqliteStore._commit = lambda self, session: session.commit()  # type: ignore[method-assign]


def meet(place: Path, number: int, processes: int) -> None:
    """Wait until all are ready, so that they run at the same time."""
    (place / f"ready-{number}").touch()
    while len(list(place.glob("ready-*"))) < processes:
        time.sleep(0.002)


def main(store: str, place: str, number: str, processes: str, steps: str, fault: str) -> None:
    worker = Worker(store, f"{place}/audit.log", int(number))
    if fault != "none":
        plant(fault, worker.secrets._access.engine.store)
    meet(Path(place), int(number), int(processes))
    # What writes on the ground of what it does not see is another fault: it loses updates.
    worker.run(int(steps), writes=0 if fault == "deaf" else 0.25)
    worker.secrets.close()
    print(json.dumps(worker.history))


if __name__ == "__main__":
    main(*sys.argv[1:])
