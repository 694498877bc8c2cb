import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import InvalidValueError, NewerFormatError
from strongroom.records import data
from strongroom.records.data import decode_data, decode_value, encode

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(texts | st.binary())
def test_text_and_bytes_come_back_as_they_were(value):
    assert decode_value(encode(value)) == value
    assert decode_data(encode(value)) == {"value": value}


@settings(max_examples=40)
@given(st.dictionaries(texts.filter(bool), json_values, min_size=1, max_size=4))
def test_fields_come_back_as_they_were(value):
    assert decode_data(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("", b"s"),
        ("ä", b"s\xc3\xa4"),
        (b"\0\xff", b"b\0\xff"),
        (bytearray(b"x"), b"bx"),
        (memoryview(b"x"), b"bx"),
        ({"value": "x"}, b"sx"),
        ({"user": "ä", "n": 1}, '{"user":"ä","n":1}'.encode()),
        ({"value": 1}, b'm{"value":1}'),
        ({"value": "x", "user": "y"}, b'm{"value":"x","user":"y"}'),
    ],
)
def test_the_bytes_are_as_the_docstring_says(value, encoded):
    assert encode(value) == (b"m" + encoded if encoded[:1] == b"{" else encoded)


@pytest.mark.parametrize("encoded", [b"", b"x", b"t...", b"\0"])
def test_an_unknown_kind_is_of_a_newer_strongroom(encoded):
    for decode in (decode_value, decode_data):
        with pytest.raises(NewerFormatError, match="upgrade"):
            decode(encoded)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "not NoneType"), (5, "not int"), (True, "not bool"), (1.5, "not float"), (["hunter2"], "not list"),
        ({}, "no fields"), ({"": "hunter2"}, "not empty"), ({1: "hunter2"}, "names of fields"),
        ({"a": b"hunter2"}, "JSON cannot"), ({"a": float("nan")}, "JSON cannot"), ({"a": float("inf")}, "JSON cannot"),
        ({"a": {"hunter2"}}, "JSON cannot"), ({"a": 10**5000}, "JSON cannot"),
        ({"a": nested(200_000)}, "nested more than 100 deep"),
        ("hunter2\ud800", "surrogate at character 7; pass bytes"), ({"a": "hunter2\udfff"}, "surrogate"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_value_is_refused_by_its_type_only(value, problem):
    with pytest.raises(InvalidValueError, match=problem) as caught:
        encode(value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or "hunter2" not in repr(caught.value.__context__)


def test_a_mapping_that_holds_itself_is_refused():
    value = {}
    value["a"] = value
    with pytest.raises(InvalidValueError, match="nested more than 100 deep"):
        encode(value)


def test_the_largest_value_is_kept_and_one_byte_more_is_not(monkeypatch):
    monkeypatch.setattr(data, "MAX_VALUE_BYTES", 1024)
    assert decode_value(encode("x" * 1023)) == "x" * 1023
    for value in ("x" * 1024, b"x" * 1024, {"a": "x" * 1020}, "é" * 512):
        with pytest.raises(InvalidValueError, match="at most 1,023 are kept"):
            encode(value)


def test_the_deepest_value_comes_back_and_one_level_more_is_refused():
    deepest = {"a": nested(data.MAX_DEPTH - 1)}
    assert decode_data(encode(deepest)) == deepest
    for value in ({"a": nested(data.MAX_DEPTH)}, {"a": 1, "b": {"c": (nested(data.MAX_DEPTH),)}}):
        with pytest.raises(InvalidValueError, match="nested more than 100 deep"):
            encode(value)
