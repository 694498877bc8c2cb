"""Times and spans as people write them."""

from __future__ import annotations

from strongroom.errors import InvalidInputError
from strongroom.system.moment import utc

LONGEST = 1e10
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def iso(moment: float | None) -> str | None:
    """Return seconds since 1970 as UTC text."""
    return None if moment is None else utc(moment, "%Y-%m-%dT%H:%M:%SZ")


def short(seconds: float) -> str:
    """Return a span as people say it: `40s`, `12m`, `5h`, `3d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def ago(moment: float, now: float) -> str:
    """Return `3d ago`, or `in 3d` for a moment that is to come."""
    return f"in {short(moment - now)}" if moment > now else f"{short(now - moment)} ago"


def span(text: str, option: str) -> float:
    """Return the seconds of a span such as `90s`, `15m`, `24h`, `30d` or `2w`; raises `InvalidInputError`."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 9 and unit in UNITS):
        raise InvalidInputError(f"{option} takes a span such as 90s, 15m, 24h, 30d or 2w")
    seconds = int(number) * UNITS[unit]
    if seconds >= LONGEST:
        raise InvalidInputError(f"{option} takes a span of less than 300 years")
    return seconds
