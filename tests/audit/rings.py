"""What tests of rings share: reads that are put in, and what came of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

from strongroom.audit.ring_file import RECORD
from strongroom.audit.verify import verify

from .conftest import KEYS, STORE


def put(ring, count: int, name: str = "name", version: int = 1) -> None:
    token = ring.token("alice", name, version)
    for _ in range(count):
        now = time.time_ns()
        try:
            ring.write(RECORD.pack(now, now ^ token))
        except ValueError:
            ring.make_room()
            ring.write(RECORD.pack(now, now ^ token))


def events(sink) -> list[dict]:
    return [
        event for line in sink.lines() if "action" in (event := json.loads(line.text)) and event["action"] != "OPEN"
    ]


def numbers(sink) -> list[int]:
    return [int(event["ring"].partition("-")[2]) for event in events(sink)]


def problems(sink) -> list[str]:
    return [problem.message for problem in verify(sink, KEYS, {}, store=STORE).problems]


def files(sink) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in Path(sink.rings).iterdir())


def file_of(sink, ending: str) -> Path:
    (path,) = Path(sink.rings).glob(f"*.{ending}")
    return path


def other_process(start, sink):
    """What opens the log after the owner of its rings is gone."""
    return start(type(sink)(sink.url.removeprefix("file:")))
