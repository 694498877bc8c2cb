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
        times = {_size(row): time for row in rows if (time := section.ratio(row, section.ours)) is not None}
        memory = {_size(row): _memory(section, row) for row in rows if row.wall and times}
        faster, smaller = _verdict(times), _verdict(memory)
        why = WHY_NOT.get((section.key, key), "") if faster != "yes" else ""
        missing = f"not here: {rows[0].missing}" if rows[0].missing else why
        yield [section.title, rows[0].label, _list(times), _list(memory), faster, smaller, missing]


def _memory(section: Section, row: Row) -> float:
    ours = section.find(section.ours, row.size)
    assert ours is not None
    return row.peak / ours.peak


def _verdict(ratios: dict[str, float]) -> str:
    """Return whether strongroom is ahead, by number of secrets where that differs."""
    words = {
        size: "yes" if ratio > _LEVEL else "no" if ratio < 1 / _LEVEL else "level" for size, ratio in ratios.items()
    }
    if len(set(words.values())) <= 1:
        return next(iter(words.values()), "")
    return "; ".join(f"{size}: {word}" for size, word in words.items())


def _size(row: Row) -> str:
    return f"{row.size:,}" if row.size else ""


def _list(ratios: dict[str, float]) -> str:
    return "; ".join(f"{size}: {_short(value)}" if size else _short(value) for size, value in ratios.items())


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 2 else f"{value:.2f}"
