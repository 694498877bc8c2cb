"""What time it is, by a clock that may be wrong."""

from __future__ import annotations

import time

LATEST = 253_402_300_799.0
"""The last second of the year 9999, in seconds since 1970."""


def now() -> float:
    """Return seconds since 1970: from 0 to `LATEST`, whatever the clock says, as formats and calendars hold no more."""
    return min(max(time.time(), 0.0), LATEST)


def utc(moment: float, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """Return seconds since 1970 as text, by a form of `time.strftime`."""
    return time.strftime(form, time.gmtime(min(max(moment, 0.0), LATEST)))
