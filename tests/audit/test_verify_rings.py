"""Numbers of reads in a log: each once, whatever the order in which the halves of a ring were drained."""

from __future__ import annotations

import pytest

from strongroom.audit.verify_rings import Rings


def look(numbers, ring: str = "aa", rings: Rings | None = None) -> tuple[list[int], list[str]]:
    """Take reads in, single or (first, last) of a damaged run; return those that came twice, and what is missing."""
    rings = rings or Rings()
    twice = []
    for number in numbers:
        first, last = number if isinstance(number, tuple) else (number, number)
        event = {"ring": f"{ring}-{last}"} | ({"count": last - first + 1} if last > first else {})
        if rings.add(event):
            twice.append(last)
    return twice, list(rings.missing())


def gaps(*pairs: tuple[int, int], ring: str = "aa") -> list[str]:
    return [f"the reads {ring}-{a} to {ring}-{b} are missing: removed before they came into the log" for a, b in pairs]


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3], []),
        ([7, 8, 9], []),
        ([1, 5, 2, 3, 4, 6], []),
        ([1, 5, 4, 3, 2], []),
        ([1, 5, 3, 2, 4], []),
        ([1, 5], [(2, 4)]),
        ([1, 5, 2], [(3, 4)]),
        ([1, 5, 4], [(2, 3)]),
        ([1, 5, 3], [(2, 2), (4, 4)]),
        ([1, 5, 9], [(2, 4), (6, 8)]),
        ([1, 5, 9, 7], [(2, 4), (6, 6), (8, 8)]),
        ([1, 5, 9, 3], [(6, 8), (2, 2), (4, 4)]),
        ([1, (2, 4), 5], []),
        ([1, 8, (3, 5)], [(2, 2), (6, 7)]),
        ([1, 8, (2, 7)], []),
        ([1, (3, 5)], [(2, 2)]),
    ],
)
def test_what_comes_late_fills_its_gap_and_what_never_comes_is_missing(numbers, missing):
    assert look(numbers) == ([], gaps(*missing))


@pytest.mark.parametrize(
    ("numbers", "twice"),
    [
        ([1, 1], [1]),
        ([1, 2, 3, 2, 4], [2]),
        ([1, 5, 3, 3], [3]),
        ([1, 5, 5], [5]),
        ([1, 5, 1], [1]),
        ([5, 4], [4]),
        ([1, 5, (1, 2)], [2]),
        ([1, 5, (4, 5)], [5]),
        ([1, 5, (1, 5)], [5]),
        ([1, 5, 9, (3, 7)], [7]),
    ],
)
def test_what_is_there_already_is_there_twice(numbers, twice):
    assert look(numbers)[0] == twice


def test_each_ring_has_numbers_of_its_own():
    rings = Rings()
    look([1, 4], "aa", rings)
    assert look([1, 5, 2], "bb", rings) == ([], gaps((2, 3)) + gaps((3, 4), ring="bb"))
    assert look([2, 3], "aa", rings) == ([], gaps((3, 4), ring="bb"))


def test_damaged_reads_are_told_with_their_number():
    rings = Rings()
    told = rings.add({"ring": "aa-4", "reason": "ring_damaged", "count": 3})
    assert told == "3 reads up to aa-4 were damaged before they came into the log"
    assert rings.add({"ring": "aa-4", "count": 1}) == "the read aa-4 is in the log twice"
    assert rings.add({"ring": "aa-5", "reason": "ring_damaged"}).startswith("1 reads up to aa-5 ")
