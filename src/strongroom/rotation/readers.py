"""Processes that have read a secret and say nothing more: whoever has read the value holds it.

They are known from the audit log: a process that called `get_secret`, a program that `strongroom run` became, a value
that `strongroom get`, `export` or `render` handed out. A process holds what it read until it has ended or reads a newer
version. What a command handed out is somewhere else once the command has ended: it is held until the grace time ends.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import NamedTuple

from strongroom.access.access import Access
from strongroom.audit.parsing import Event
from strongroom.audit.query import events_of
from strongroom.errors import StrongroomError
from strongroom.rotation.clock import utc
from strongroom.rotation.owner import started_at

LOOK = 2.0
"""Seconds that a look through the log may take; what lies before is unknown then."""
SLACK = 2.0
"""Seconds by which a process may seem to have started after it read: its start is known to a hundredth, and rounded."""


class Holder(NamedTuple):
    """Somebody who has read the previous value."""

    service: str
    pid: int
    host: str
    version: int
    time: float
    """When it was read, seconds since 1970."""
    handed_out: bool
    """The command line that read it has ended: nobody knows who has the value."""

    @property
    def label(self) -> str:
        """What `rotate` says of it."""
        where = "" if self.host == os.uname().nodename else f" on {self.host}"
        if self.handed_out:
            return f"whoever got it from `strongroom` at {utc(self.time)} (pid {self.pid}{where}, ended)"
        return f"{self.service} (pid {self.pid}{where}, read version {self.version} at {utc(self.time)})"


class Readers(NamedTuple):
    """Who has read the previous value, as far as the log tells."""

    holders: tuple[Holder, ...]
    complete: bool
    """False when the log could not be read, or not far enough back."""


def readers(access: Access, name: str, before: int, after: int, since: float) -> Readers:
    """Return who read a version from `before` on and none from `after` on; `since` is when `before` was made."""
    newest: dict[tuple[str, int], Event] = {}
    ends = monotonic() + LOOK
    complete = True
    try:
        for event in events_of(access.audit.sink, name, since):
            if monotonic() > ends:
                complete = False
                break
            if event["action"] == "GET" and event["outcome"] == "ok" and type(event.get("version")) is int:
                newest.setdefault((str(event.get("host")), int(event.get("pid", 0))), event)
    except (StrongroomError, ValueError):
        complete = False
    found = [_holder(event) for event in newest.values() if before <= event["version"] < after]
    own = access.read_here(name)
    if own is not None and before <= own < after:
        host = os.uname().nodename
        found.append(Holder(access.audit.service, os.getpid(), host, own, since, False))
    return Readers(tuple(holder for holder in found if holder is not None), complete)


def _holder(event: Event) -> Holder | None:
    """Return the process of an event, None when it holds nothing any more, or is this one."""
    from strongroom.rotation.clock import seconds_of

    pid, host, when = int(event.get("pid", 0)), str(event.get("host")), seconds_of(str(event["ts"]))
    handed_out = False
    if host == os.uname().nodename:
        if pid == os.getpid():
            return None
        started = started_at(pid)
        if started is None or started > when + SLACK:
            if event.get("source") != "cli":
                return None
            handed_out = True
    return Holder(str(event.get("service")), pid, host, event["version"], when, handed_out)
