"""Which last lines a new stream and a checkpoint vouch for."""

import pytest

from strongroom.audit.heads import LINES, UNSEALED_LINES, Head, recent_heads
from strongroom.protocols import Position

STORE = "5" * 32


def line(id: bytes, more: bytes = b"") -> bytes:
    return b'{"id":"%b"%b,"store":"%b","mac":"00"}' % (id, more, STORE.encode())


def stream(number: int) -> str:
    return f"{number:016x}"


def test_the_newest_line_of_each_stream_is_its_head(memory):
    memory.texts = [line(b"00000000000000aa-1"), line(b"00000000000000bb-1"), line(b"00000000000000aa-2")]
    at = len(memory.texts[0]) + 1
    assert recent_heads(memory, STORE) == {
        "00000000000000aa": Head(2, Position(memory.log, 1, 2 * at)),
        "00000000000000bb": Head(1, Position(memory.log, 1, at)),
    }


def test_so_many_lines_are_looked_at_and_no_more(memory):
    memory.texts = [line(stream(n).encode() + b"-1") for n in range(LINES + 5)]
    assert list(recent_heads(memory, STORE)) == [stream(n) for n in range(LINES + 4, 4, -1)]


def test_lines_of_other_stores_count_as_looked_at(memory):
    others = [line(b"00000000000000bb-1").replace(STORE.encode(), b"6" * 32)] * (LINES - 1)
    memory.texts = [line(b"00000000000000aa-1"), line(b"00000000000000cc-1"), *others]
    assert list(recent_heads(memory, STORE)) == ["00000000000000cc"]


def test_lines_without_mac_do_not_push_the_others_out_of_sight(memory):
    unsealed = line(b"00000000000000bb-1").replace(b'"mac":"00"', b'"mac":null')
    memory.texts = [line(b"00000000000000aa-1")] + [unsealed] * (UNSEALED_LINES - 1)
    assert list(recent_heads(memory, STORE)) == ["00000000000000aa"]


def test_the_search_ends_where_anybody_could_have_made_it_long(memory):
    unsealed = line(b"00000000000000bb-1").replace(b'"mac":"00"', b'"mac":null')
    memory.texts = [line(b"00000000000000aa-1")] + [unsealed] * UNSEALED_LINES
    assert recent_heads(memory, STORE) == {}


@pytest.mark.parametrize("torn", [b"\0\0\0", line(b"00000000000000bb-7")[:-30], line(b"00000000000000aa-1", b"," * 99)])
def test_the_event_behind_a_torn_one_is_the_head(memory, torn):
    before = line(b"00000000000000cc-1")
    memory.texts = [before, torn + line(b"00000000000000aa-2")]
    heads = recent_heads(memory, STORE)
    assert heads["00000000000000aa"] == Head(2, Position(memory.log, 1, len(before) + 1 + len(torn)))
    assert set(heads) == {"00000000000000aa", "00000000000000cc"}


@pytest.mark.parametrize(
    "id",
    [
        b"", b"-", b"-1", b"00000000000000aa", b"00000000000000aa-", b"00000000000000aa-x", b"00000000000000aa--1",
        b"00000000000000aa-1-2", b"0000000000000aa-1", b"000000000000000aa-1", b"00000000000000AA-1",
        b"00000000000000ag-1", b"00000000000000aa-1.0", b"00000000000000aa-\xd9\xa1",
        b"00000000000000aa-1000000000000000000",
        pytest.param(b"00000000000000aa-" + b"1" * 5000, id="five thousand digits"),
    ],
)  # fmt: skip
def test_an_id_that_no_writer_gives_is_no_head_and_no_error(memory, id):
    memory.texts = [line(id)]
    assert recent_heads(memory, STORE) == {}


def test_text_that_only_resembles_an_event_is_no_head(memory):
    memory.texts = [line(b"00000000000000aa-1").removeprefix(b'{"id":"')]
    assert recent_heads(memory, STORE) == {}


def test_the_longest_number_is_one_of_eighteen_digits(memory):
    memory.texts = [line(b"00000000000000aa-" + b"9" * 18)]
    assert recent_heads(memory, STORE)["00000000000000aa"].seq == 10**18 - 1
