"""Where strongroom is ahead of what people use instead, and where not."""

from __future__ import annotations

from collections.abc import Iterator

from bench.notes import WHY_NOT
from bench.results import Row, Section

_LEVEL = 1.05
"""Closer than this is a draw."""


def comparisons(section: Section) -> Iterator[list[str]]:
    """Yield a line for each peer of a job: job, peer, ratios of time and memory, and what they mean."""
    for key in dict.fromkeys(row.key for row in section.rows if row.key != section.ours):
        rows = [row for row in section.rows if row.key == key]
        compared = [(row, section.ratio(row, section.ours)) for row in rows]
        times = {_size(row): time for row, time in compared if time is not None}
        if times:
            memory = {_size(row): _memory(section, row) for row, _ in compared}
            yield [section.title, rows[0].label, _list(times), _list(memory), *_verdict(section.key, key, times)]
        else:
            yield [section.title, rows[0].label, "", "", "", rows[0].missing and f"not here: {rows[0].missing}"]


def _memory(section: Section, row: Row) -> float:
    ours = section.find(section.ours, row.size)
    assert ours is not None
    return row.peak / ours.peak


def _verdict(section: str, key: str, times: dict[str, float]) -> list[str]:
    behind = [size for size, time in times.items() if time < 1 / _LEVEL]
    level = [size for size, time in times.items() if 1 / _LEVEL <= time <= _LEVEL]
    why = WHY_NOT.get((section, key), "")
    if not behind and not level:
        return ["yes", ""]
    words = "no" if behind else "level"
    where = " and ".join(size for size in behind + level if size)
    return [words if len(behind + level) == len(times) else f"{words} with {where}, else yes", why]


def _size(row: Row) -> str:
    return f"{row.size:,}" if row.size else ""


def _list(ratios: dict[str, float]) -> str:
    return "; ".join(f"{size}: {_short(value)}" if size else _short(value) for size, value in ratios.items())


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"
