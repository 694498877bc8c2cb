"""What a value is looked for as."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.scan.forms import forms_of, needle_of


def encodings(value: str) -> dict[str, list[bytes]]:
    raw = value.encode()
    around = [b"", b"u", b"us", b"user:"]
    return {
        "raw": [raw],
        "url": [quote(value, safe="").encode(), quote(value).encode(), quote_plus(value).encode()],
        "json": [json.dumps(value).encode(), json.dumps({"a": [value]}, ensure_ascii=False).encode()],
        "hex": [raw.hex().encode(), raw.hex().upper().encode()],
        "base64": [
            encode(before + raw + after)
            for before in around
            for after in around
            for encode in (base64.b64encode, base64.urlsafe_b64encode)
        ],
    }


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=6, max_size=60))
def test_a_value_is_known_again_in_every_encoding(value):
    needle = needle_of(value.encode())
    if needle is None:
        return
    patterns = [pattern for _, pattern in forms_of(needle)]
    for form, texts in encodings(value).items():
        for text in texts:
            assert any(pattern in text for pattern in patterns), form


def test_percent_escapes_in_small_letters_and_escaped_slashes_are_known_too():
    patterns = [pattern for _, pattern in forms_of(b"pass/word?")]
    assert b"pass%2fword%3f" in patterns
    assert b"pass\\/word?" in patterns


@pytest.mark.parametrize("value", [b"", b"short", b"12345678", b"Password", b"localhost", b"********", b"a\nb\nc"])
def test_what_is_found_by_chance_is_not_looked_for(value):
    assert needle_of(value) is None


def test_of_several_lines_the_longest_is_looked_for():
    assert (
        needle_of(b"-----BEGIN-----\nMIIEvQIBADANBgkqhkiG9w\nlast of the longest ln\r\n==\n")
        == b"last of the longest ln"
    )


def test_base64_of_a_whole_document_holds_the_base64_of_its_longest_line():
    document = b"head\n" + b"the longest line of all\n" + b"tail\n"
    patterns = [pattern for form, pattern in forms_of(needle_of(document)) if form == "base64"]
    assert any(pattern in base64.b64encode(document) for pattern in patterns)
