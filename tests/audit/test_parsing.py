import pytest

from strongroom.audit.parsing import pieces

EVENT = b'{"id":"a"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", [(0, b"")]),
        (b"words", [(0, b"words")]),
        (EVENT, [(0, EVENT)]),
        (EVENT + EVENT, [(0, EVENT), (10, EVENT)]),
        (b'{"id":"torn' + EVENT, [(0, b'{"id":"torn'), (11, EVENT)]),
        (b"words" + EVENT + b'{"id":"torn', [(0, b"words"), (5, EVENT), (15, b'{"id":"torn')]),
        (b"X" + EVENT, [(0, b"X"), (1, EVENT)]),
    ],
)
def test_a_line_is_split_where_events_begin_and_no_byte_is_left_out(text, expected):
    assert list(pieces(text)) == expected
    assert b"".join(piece for _, piece in pieces(text)) == text
