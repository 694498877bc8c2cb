"""Streams of any length, looked through in pieces."""

from __future__ import annotations

import gzip
import io

import pytest

from strongroom.scan import matcher
from strongroom.scan.matcher import Matcher, Place
from strongroom.scan.needles import Label, Needles


def label(name: str) -> Label:
    return Label(name, 1, "raw")


class Slow(io.BytesIO):
    """Gives a few bytes at a time, like a pipe."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size or 7))


@pytest.fixture
def look(monkeypatch):
    monkeypatch.setattr(matcher, "PIECE", 16)
    looked = Matcher(Needles({b"needle": [label("A")], b"a longer needle": [label("B"), label("C")]}, [], 2))

    def look(stream: io.BytesIO) -> tuple[list[tuple[str, int, int]], list[str]]:
        troubles: list[str] = []
        found = looked.search([Place("place", stream)], lambda _, why: troubles.append(why))
        return [(one.label.name, one.line, one.times) for one in found], troubles

    return look


@pytest.mark.parametrize("kind", [io.BytesIO, Slow])
@pytest.mark.parametrize("before", range(40))
def test_a_value_is_found_once_wherever_the_pieces_end(look, kind, before):
    assert look(kind(b"\n" * before + b"needle" + b"." * 30)) == ([("A", before + 1, 1)], [])


@pytest.mark.parametrize("before", range(0, 40, 3))
def test_values_within_values_and_values_that_two_secrets_share_are_all_found(look, before):
    found, _ = look(io.BytesIO(b"\n" * before + b"a longer needle\n\nneedle"))
    assert sorted(found) == [("A", before + 1, 2), ("B", before + 1, 1), ("C", before + 1, 1)]


def test_a_packed_stream_is_unpacked(look):
    assert look(Slow(gzip.compress(b"x\n" * 50 + b"needle"))) == ([("A", 51, 1)], [])


def test_what_cannot_be_unpacked_is_named_and_what_came_before_is_found(look):
    packed = gzip.compress(b"needle\n" + bytes(range(256)) * 40)
    found, troubles = look(io.BytesIO(packed[:-200]))
    assert (found, troubles) == ([("A", 1, 1)], ["it is damaged or cut"])


def test_without_values_nothing_is_found():
    assert Matcher(Needles({}, [], 0)).search([Place("place", io.BytesIO(b"text"))], pytest.fail) == []
