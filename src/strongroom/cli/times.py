"""Times and spans as people write them."""

from __future__ import annotations

from strongroom.errors import InvalidInputError
from strongroom.system.moment import utc

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def iso(moment: float | None) -> str | None:
    """Return seconds since 1970 as UTC text."""
    return None if moment is None else utc(moment, "%Y-%m-%dT%H:%M:%SZ")


def span(text: str, option: str) -> float:
    """Return the seconds of a span such as `90s`, `15m`, `24h`, `30d` or `2w`; raises `InvalidInputError`."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and len(number) < 9 and unit in UNITS):
        raise InvalidInputError(f"{option} takes a span such as 90s, 15m, 24h, 30d or 2w")
    return int(number) * UNITS[unit]
