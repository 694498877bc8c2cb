"""JSON documents of secrets."""

from __future__ import annotations

import pytest

from strongroom.errors import InvalidNameError, InvalidValueError
from strongroom.exchange import parse

CANARY = "canary-7f3a-hunter2"


def test_a_text_is_a_secret_and_an_object_is_its_fields() -> None:
    text = b'{"A": "1", "auth/db": {"user": "app", "port": 5432, "ratio": 1.5, "tls": true, "hosts": ["a"]}}'
    fields = {"user": "app", "port": 5432, "ratio": 1.5, "tls": True, "hosts": ["a"]}
    assert parse(text, "json") == {"A": "1", "auth/db": fields}


@pytest.mark.parametrize("written", ["0", "-1", "1.10", "1e3", "12345678901234567890.10", "true", "false"])
def test_a_number_or_a_boolean_is_the_text_that_stands_in_the_file(written: str) -> None:
    assert parse(b'{"A": %s}' % written.encode(), "json") == {"A": written}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON object"),
        (f'["{CANARY}"]', "not a JSON object"),
        (f'"{CANARY}"', "not a JSON object"),
        (f'{{\n"A": "{CANARY}"\n"B": "x"\n}}', "line 3, column 1: this is not a JSON object"),
        # Python 3.13 and later point at the comma, those before at what follows it.
        (f'{{\n"A": "{CANARY}",\n}}', r"line (2, column 27|3, column 1): this is not a JSON object"),
        (f'{{"A": "{CANARY}"', "line 1, column 28"),
        (f'{{"A": "\\{CANARY}"}}', "line 1"),
        (f'{{"A": "1", "A": "{CANARY}"}}', "'A' is given twice"),
        (f'{{"A": {{"b": "1", "b": "{CANARY}"}}}}', "'b' is given twice"),
        (f'{{"A": ["{CANARY}"]}}', "A is a list; a secret is a text or a mapping"),
        ('{"A": null}', "A is null"),
        ('{"A": {}}', "A has no fields"),
        (f'{{"A": {{"": "{CANARY}"}}}}', "A has no fields, or one whose name is empty"),
        ('{"A": NaN}', "NaN is no JSON value"),
        ('{"A": {"b": 1e999}}', "A holds what UTF-8"),
        (f'{{"A": "{CANARY}\\ud800"}}', "A holds what UTF-8"),
        ("[" * 100_000, "not a JSON object"),
        ('{"A": %s}' % ("1" * 5000), "not a JSON object"),
    ],
    ids=range(18),
)
def test_what_is_no_secret_is_refused_without_its_value(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        parse(text.encode(), "json")
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None, "the decoder's exception would carry the document"


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        parse(b'{"a//b": "x"}', "json")
