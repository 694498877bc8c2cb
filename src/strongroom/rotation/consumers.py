"""Running processes that hold a secret, and the version that each of them reports.

A process with a live handle reports when the secret has a rotator or is being rotated, again for each rotation and for
each version that it has taken up, and takes its report back when it closes. Other secrets cost nothing. Reports lie
beside the store (`strongroom.protocols.Reports`), sealed and bound to their keys as records are to their paths. They
are no events: taking a value up is on record as GET.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import NamedTuple

from strongroom.crypto.kdf import sha256
from strongroom.engine.engine import Engine
from strongroom.errors import NewerFormatError, StrongroomError, TamperedError
from strongroom.model import CONSUMER
from strongroom.protocols import Reports, Store
from strongroom.records.records import Records
from strongroom.rotation.clock import utc
from strongroom.rotation.owner import Process, here
from strongroom.rotation.state import State

Reported = list[tuple[str, bytes]]
"""Key and sealed report of each."""


class Consumer(NamedTuple):
    """A process that holds a secret. Times are seconds since 1970."""

    name: str
    id: str
    service: str
    process: Process
    version: int
    """The version that it has taken up, after its callbacks returned."""
    since: float
    """When it took that up, as far as is known."""
    time: float
    """When it said so."""

    @property
    def label(self) -> str:
        """`service (pid N, version V since TIME)`, with the host when it is another, and whether it is stopped."""
        where = "" if self.process.host == here().host else f" on {self.process.host}"
        how = ", stopped" if self.process.is_stopped else ""
        return f"{self.service} (pid {self.process.pid}{where}{how}, version {self.version} since {utc(self.since)})"

    def lags(self, state: State) -> bool:
        """True for a process that may still be alive, with a version from before the rotation."""
        return self.version < state.after and self.process.is_alive


def reports_of(store: Store) -> Reports | None:
    """Return the reports of a store, None for one that has none."""
    return getattr(store, "reports", None)


def consumer_key(name: str, consumer_id: str) -> str:
    """Return the key of a report: nothing of it but the number of secrets can be told without the store."""
    return f"{sha256(name.encode()).hex()[:32]}-{consumer_id}"


def seal_consumer(records: Records, consumer: Consumer) -> bytes:
    """Return the report."""
    name, consumer_id, service, process, version, since, time = consumer
    fields = [name, service, list(process), version, since, time]
    return records.seal_entry(CONSUMER + consumer_key(name, consumer_id), json.dumps(fields).encode())


def open_consumer(records: Records, key: str, report: bytes) -> Consumer:
    """Decrypt a report; raises like `Records.open_entry`."""
    name, service, process, version, since, time = json.loads(records.open_entry(CONSUMER + key, report))
    return Consumer(name, key.rpartition("-")[2], service, Process(*process), version, since, time)


def reported(store: Store, name: str | None = None) -> Reported:
    """Return the reports on one secret or on all. Raises `StoreError`.

    To be read before the keys that open them: a process may report under a new key just now.
    """
    reports = reports_of(store)
    if reports is None:
        return []
    return reports.scan("" if name is None else consumer_key(name, ""))


def consumers(records: Records, reported: Reported, name: str) -> list[Consumer]:
    """Return the processes that hold a secret, and may still be alive."""
    prefix, found = consumer_key(name, ""), []
    for key, report in reported:
        # One that is not authentic is as good as none: who could write it could as well have removed another.
        with suppress(TamperedError, NewerFormatError):
            if key.startswith(prefix):
                found.append(open_consumer(records, key, report))
    return [consumer for consumer in found if consumer.process.is_alive]


def sweep(engine: Engine, state: State) -> None:
    """Remove what processes have left that are gone, after the rotation `state` has ended.

    That it cannot be done is no error: what is left says nothing of a living process.
    """
    reports = reports_of(engine.store)
    if reports is None:
        return
    with suppress(StrongroomError):
        rows = reports.scan()
        with engine.view() as (_, unlocked):
            records = unlocked.records
        for key, report in rows:
            # Looked at once more: a process of another machine may have come back just now.
            if _is_left(records, key, report, state) and reports.scan(key) == [(key, report)]:
                reports.remove(key)


def _is_left(records: Records, key: str, report: bytes, state: State) -> bool:
    try:
        consumer = open_consumer(records, key, report)
    except NewerFormatError:
        return False
    except TamperedError:
        return True
    if consumer.name == state.name and not consumer.process.is_here:
        # One of another machine that did not report in this rotation is gone, or will report in the next.
        return consumer.time < (state.started or 0)
    # A living one reports for the next rotation in place of what it has said, and takes it back when it closes.
    return not consumer.process.is_alive


def forget(store: Store, name: str) -> None:
    """Remove the reports on a secret that is forgotten. Raises `StoreError`."""
    reports = reports_of(store)
    if reports is not None:
        for key, _ in reports.scan(consumer_key(name, "")):
            reports.remove(key)
