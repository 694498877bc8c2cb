from itertools import combinations

import pytest

from strongroom.errors import TamperedError
from strongroom.records.context import context, entries

STORE, OTHER = "0123456789abcdef" * 2, "f" * 32


def test_it_is_as_the_docstring_says():
    assert context(STORE, "secret/ä", b"x") == b"strongroom/1\0" + bytes.fromhex(STORE) + b"secret/\xc3\xa4\0x"


def test_different_places_have_different_contexts():
    places = [
        (STORE, "secret/a", b""),
        (OTHER, "secret/a", b""),
        (STORE, "secret/A", b""),
        (STORE, "secret/ab", b""),
        (STORE, "secret/a", b"b"),
        (STORE, "secret/", b"a"),
        (STORE, "version/a/0000000001", b""),
    ]
    for one, other in combinations(places, 2):
        assert context(*one) != context(*other)


class Pages:
    """A reader that notes how much is asked for; `rows` may be in any order."""

    def __init__(self, *rows):
        self.rows = rows
        self.asked = []

    def scan(self, prefix="", after="", limit=1000):
        self.asked.append((prefix, after, limit))
        return [row for row in self.rows if row[0].startswith(prefix) and row[0] > after][:limit]


def test_every_entry_below_a_prefix_is_read_a_page_at_a_time():
    reader = Pages(("A", b"1"), ("a", b"2"), ("ab", b"3"), ("ac", b"4"), ("b", b"5"))
    assert list(entries(reader)) == list(reader.rows)
    assert list(entries(reader, "a", 2)) == list(reader.rows[1:4])
    assert reader.asked[1:] == [("a", "", 2), ("a", "ab", 2)]


@pytest.mark.parametrize("paths", ["ba", "aa", ("",), "a"])
def test_a_store_that_lists_in_circles_or_out_of_order_is_damaged(paths):
    reader = Pages()
    reader.scan = lambda *_: [(path, b"") for path in paths]
    with pytest.raises(TamperedError, match="out of order"):
        list(entries(reader, page=len(paths)))
