"""Running processes that hold a secret, and the version that each of them reports.

A process with a live handle writes one entry, `consumer/NAME/ID`, when the secret has a rotator or is being rotated,
again for each rotation and for each version that it has taken up, and removes it when it closes. Other secrets cost
nothing. The entries are no events: taking a value up is on record as GET.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.model import CONSUMER
from strongroom.places import entries
from strongroom.protocols import Reader
from strongroom.records import Records
from strongroom.rotation.owner import Process, here
from strongroom.rotation.state import State


class Consumer(NamedTuple):
    """A process that holds a secret."""

    name: str
    id: str
    service: str
    process: Process
    version: int
    """The version that it has taken up, after its callbacks returned."""
    time: float
    """When it said so, seconds since 1970."""

    @property
    def label(self) -> str:
        """`service (pid N)`, with the host when it is another."""
        where = "" if self.process.host == here().host else f" on {self.process.host}"
        return f"{self.service} (pid {self.process.pid}{where})"

    def lags(self, state: State) -> bool:
        """True for a process that may still be alive, with a version from before the rotation."""
        return self.version < state.after and self.process.is_alive


def consumer_path(name: str, id: str) -> str:
    """Return where a consumer's entry lies."""
    return f"{CONSUMER}{name}/{id}"


def seal_consumer(records: Records, consumer: Consumer) -> bytes:
    """Return the entry."""
    fields = [consumer.service, list(consumer.process), consumer.version, consumer.time]
    return records.seal_entry(consumer_path(consumer.name, consumer.id), json.dumps(fields).encode())


def open_consumer(records: Records, path: str, stored: bytes) -> Consumer:
    """Decrypt an entry; raises like `Records.open_entry`."""
    service, process, version, time = json.loads(records.open_entry(path, stored))
    name, _, id = path.removeprefix(CONSUMER).rpartition("/")
    return Consumer(name, id, service, Process(*process), version, time)


def consumers(reader: Reader, records: Records, name: str) -> Iterator[Consumer]:
    """Read what the processes that hold a secret reported."""
    prefix = consumer_path(name, "")
    for path, stored in entries(reader, prefix):
        if "/" not in path.removeprefix(prefix):
            yield open_consumer(records, path, stored)
