"""The clock of a rotation, which a test replaces."""

from __future__ import annotations

import time
from typing import Protocol

from strongroom.system import moment


class Clock(Protocol):
    """Tells the time, and lets it pass."""

    def now(self) -> float:
        """Return seconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


def utc(seconds: float) -> str:
    """Return seconds since 1970 as a sentence names them."""
    return moment.utc(seconds)


def seconds_of(stamp: str) -> float:
    """Return the seconds since 1970 of an event's `ts`; raises `ValueError`."""
    from datetime import datetime

    return datetime.fromisoformat(stamp).timestamp()


class SystemClock:
    """The real one."""

    def now(self) -> float:
        """Return seconds since 1970."""
        return moment.now()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
