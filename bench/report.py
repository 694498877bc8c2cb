"""The report as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from statistics import median

from bench.notes import MEMORY
from bench.peers import comparisons
from bench.results import FLOOR, Row, Section

_HEAD = """\
# Benchmarks

Written by `make bench` (`python -m bench --output docs/benchmarks.md`); run it on your own machine.

{machine}

All contenders of a table were measured in one run and in turns: each gets a short turn in each of many rounds.
Compare the ratios: they are medians of the ratios within a round, so what slows the whole machine down falls out of
them. "Fastest" is the best round. Each contender has first shown that it gives the right value, and has read all of
its secrets once or for two seconds, or changed them for two seconds. Peak memory is the largest resident size of a
fresh process that does as much; less than about 9 MB cannot be told apart.
"""

_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def write(sections: Sequence[Section], machine: Sequence[str]) -> str:
    """Return the whole report."""
    sections = [section for section in sections if section.rows]
    lines = [f"- {line}" for line in (*machine, f"{datetime.now(UTC):%Y-%m-%d}")]
    parts = [_HEAD.format(machine="\n".join(lines)), *_targets(sections), *_peers(sections)]
    for section in sections:
        parts.append(f"## {section.title}\n\n{section.text}\n")
        parts.append(_rows(section))
    return "\n".join(parts)


def _targets(sections: Sequence[Section]) -> Iterator[str]:
    targets = [target for section in sections for target in section.targets]
    if targets:
        yield "## Targets\n"
        yield _table(
            ["time of", "at most", "measured", "verdict", ""],
            [[each.claim, f"{each.limit:.2f}", f"{each.measured:.2f}", each.verdict, each.detail] for each in targets],
        )


def _peers(sections: Sequence[Section]) -> Iterator[str]:
    found = [line for section in sections if section.peers for line in comparisons(section)]
    if found:
        yield "## strongroom beside its peers\n"
        yield (
            "Times and peak memory of the peer, divided by those of strongroom: above 1, strongroom is ahead; within"
            f" 5 % it is a draw. {MEMORY}\n"
        )
        yield _table(["job", "beside", "time", "memory", "faster", "smaller", "where not faster, why"], found)


def _rows(section: Section) -> str:
    """Return the table of a section, without columns that would be empty."""
    columns: dict[str, Callable[[Row], str]] = {
        "contender": lambda row: row.label,
        "secrets": lambda row: f"{row.size:,}" if row.size else "",
        "median": lambda row: duration(median(row.wall)) if row.wall else f"not here: {row.missing}",
        "fastest": lambda row: duration(min(row.wall)) if row.wall else "",
        "slowest": lambda row: duration(max(row.wall)) if row.wall and section.slowest else "",
        "processor": lambda row: duration(median(row.cpu)) if row.cpu else "",
        "peak memory": lambda row: f"{row.peak / 1e6:.0f} MB" if row.peak else "",
        "÷ floor": lambda row: number(section.ratio(row, FLOOR)),
        "÷ strongroom": lambda row: number(section.ratio(row, section.ours)),
        "it keeps secrets": lambda row: row.keeps,
    }
    filled = {title: [column(row) for row in section.rows] for title, column in columns.items()}
    kept = {title: cells for title, cells in filled.items() if any(cells)}
    return _table(list(kept), list(zip(*kept.values(), strict=True)))


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def duration(seconds: float) -> str:
    """Return a time with three digits."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{number(seconds / size)} {unit}"


def number(value: float | None) -> str:
    """Return a number with three digits, or nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
