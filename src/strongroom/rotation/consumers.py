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

from strongroom import abilities
from strongroom.crypto.kdf import sha256
from strongroom.engine.engine import Engine
from strongroom.errors import NewerFormatError, StrongroomError, TamperedError
from strongroom.model import CONSUMER
from strongroom.protocols import Store
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
    instance: str = ""
    """What it calls its container or machine; empty for the host name."""

    @property
    def label(self) -> str:
        """`service (pid N, version V since TIME)`, with the host when it is another, and whether it is stopped."""
        where = located(self.process.host, self.instance)
        how = ", stopped" if self.process.is_stopped else ""
        return f"{self.service} (pid {self.process.pid}{where}{how}, version {self.version} since {utc(self.since)})"

    def lags(self, kept: int) -> bool:
        """True for a process that may still be alive, with a version before the oldest that is `kept`."""
        return self.version < kept and self.process.is_alive


def located(host: str, instance: str) -> str:
    """Return ` on INSTANCE`, or ` on HOST` for a process of another host that has no instance name."""
    where = instance or ("" if host == here().host else host)
    return f" on {where}" if where else ""


def consumer_key(name: str, consumer_id: str) -> str:
    """Return the key of a report: nothing of it but the number of secrets can be told without the store."""
    return f"{sha256(name.encode()).hex()[:32]}-{consumer_id}"


def seal_consumer(records: Records, consumer: Consumer) -> bytes:
    """Return the report."""
    name, consumer_id, service, process, version, since, time, instance = consumer
    fields = [name, service, list(process), version, since, time, *([instance] if instance else [])]
    return records.seal_entry(CONSUMER + consumer_key(name, consumer_id), json.dumps(fields).encode())


def open_consumer(records: Records, key: str, report: bytes) -> Consumer:
    """Decrypt a report; raises like `Records.open_entry`."""
    fields = json.loads(records.open_entry(CONSUMER + key, report))
    name, service, process, version, since, time, *more = fields
    return Consumer(name, key.rpartition("-")[2], service, Process(*process), version, since, time, *more[:1])


def reported(store: Store, name: str | None = None) -> Reported:
    """Return the reports on one secret or on all. Raises `StoreError`.

    To be read before the keys that open them: a process may report under a new key just now.
    """
    reports = abilities.reports(store)
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
    reports = abilities.reports(engine.store)
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
    reports = abilities.reports(store)
    if reports is not None:
        for key, _ in reports.scan(consumer_key(name, "")):
            reports.remove(key)
