"""Which last lines a new stream and a checkpoint vouch for."""

import json

import pytest

from strongroom.audit.chain import line_mac, tail
from strongroom.audit.heads import LINES, MORE_LINES, Head, recent_heads
from strongroom.protocols import Position

KEYS = {1: b"k" * 32}
STORE = "5" * 32


def chain(stream: str, number: int, key: bytes = KEYS[1], store: str = STORE, before: bytes = bytes(16)) -> list[bytes]:
    """Return the lines of a stream."""
    lines = []
    for seq in range(1, number + 1):
        body = b'{"id":"%b-%d","store":"%b"' % (stream.encode(), seq, store.encode())
        before = line_mac(key, stream).digest(before, body)
        lines.append(body + tail(before))
    return lines


def stream(number: int) -> str:
    return f"{number:016x}"


AA, BB, CC = (f"00000000000000{two}" for two in ("aa", "bb", "cc"))


def test_the_newest_line_of_each_stream_is_its_head(memory):
    (first, second), (other,) = chain(AA, 2), chain(BB, 1)
    memory.texts = [first, other, second]
    at = len(first) + 1
    heads = recent_heads(memory, KEYS, STORE)
    assert heads == {AA: Head(2, Position(memory.log, 1, 2 * at)), BB: Head(1, Position(memory.log, 1, at))}
    assert list(heads) == [AA, BB]


def test_so_many_lines_are_looked_at_and_no_more(memory):
    memory.texts = [line for n in range(LINES + 5) for line in chain(stream(n), 1)]
    assert list(recent_heads(memory, KEYS, STORE)) == [stream(n) for n in range(LINES + 4, 4, -1)]


def test_the_line_before_a_head_is_looked_for_further_back(memory):
    first, second = chain(AA, 2)
    memory.texts = [first, *(line for n in range(LINES + 5) for line in chain(stream(n), 1)), second]
    assert recent_heads(memory, KEYS, STORE)[AA].seq == 2


def test_lines_of_other_stores_do_not_count_but_are_looked_at(memory):
    others = chain(BB, MORE_LINES - 1, store="6" * 32)
    memory.texts = chain(CC, 1) + others
    assert list(recent_heads(memory, KEYS, STORE)) == [CC]
    memory.texts = chain(CC, 1) + others + [b""]
    assert recent_heads(memory, KEYS, STORE) == {}


def forged(number: int) -> list[bytes]:
    return [line for n in range(number) for line in chain(stream(n + 1000), 1, key=b"w" * 32)]


def unsealed(number: int) -> list[bytes]:
    return [
        b'{"id":"%b-1","store":"%b","mac":null}' % (stream(n + 1000).encode(), STORE.encode()) for n in range(number)
    ]


@pytest.mark.parametrize("junk", [forged, unsealed])
def test_lines_that_are_not_authentic_do_not_push_the_others_out_of_sight(memory, junk):
    memory.texts = chain(AA, 1) + junk(MORE_LINES - 1)
    assert list(recent_heads(memory, KEYS, STORE)) == [AA]


def test_a_forged_line_of_a_stream_is_not_its_head(memory):
    memory.texts = [*chain(AA, 3), chain(AA, 9, key=b"w" * 32)[-1], chain(AA, 2, key=b"w" * 32)[-1]]
    assert recent_heads(memory, KEYS, STORE)[AA].seq == 3


@pytest.mark.parametrize("torn", [b"\0\0\0", chain(BB, 7)[-1][:-30], chain(AA, 1)[0][:-2] + b"," * 99])
def test_the_event_behind_a_torn_one_is_the_head(memory, torn):
    (before,), (first, second) = chain(CC, 1), chain(AA, 2)
    memory.texts = [before, first, torn + second]
    heads = recent_heads(memory, KEYS, STORE)
    assert heads[AA] == Head(2, Position(memory.log, 1, len(before) + len(first) + 2 + len(torn)))
    assert set(heads) == {AA, CC}


@pytest.mark.parametrize(
    "event_id",
    [
        b"", b"-", b"-1", b"00000000000000aa", b"00000000000000aa-", b"00000000000000aa-x", b"00000000000000aa--1",
        b"00000000000000aa-1-2", b"0000000000000aa-1", b"000000000000000aa-1", b"00000000000000AA-1",
        b"00000000000000ag-1", b"00000000000000aa-1.0", b"00000000000000aa-\xd9\xa1", b"00000000000000aa-01",
        b"00000000000000aa-1000000000000000000",
        pytest.param(b"00000000000000aa-" + b"1" * 5000, id="five thousand digits"),
    ],
)  # fmt: skip
def test_an_id_that_no_writer_gives_is_no_head_and_no_error(memory, event_id):
    memory.texts = [b'{"id":"%b","store":"%b","mac":"%b"}' % (event_id, STORE.encode(), b"0" * 32)]
    assert recent_heads(memory, KEYS, STORE) == {}


def test_text_that_only_resembles_an_event_is_no_head(memory):
    memory.texts = [chain(AA, 1)[0].removeprefix(b'{"id":"')]
    assert recent_heads(memory, KEYS, STORE) == {}


def test_a_line_of_an_older_key_is_authentic_too(memory, start):
    start(memory).record("GET", "A", "ok")
    assert list(recent_heads(memory, {2: b"n" * 32, **KEYS}, STORE)) == [json.loads(memory.texts[0])["stream"]]
