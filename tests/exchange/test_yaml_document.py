"""YAML documents of secrets: texts as they are written, and nothing that YAML does behind one's back."""

from __future__ import annotations

import pytest

from strongroom.errors import InvalidNameError, InvalidValueError
from strongroom.exchange import parse, render

CANARY = "canary-7f3a-hunter2"


def test_a_text_is_a_secret_and_a_mapping_is_its_fields() -> None:
    text = (
        b"A: one\nauth/db:\n  user: app\n  port: 5432\n  tls: true\n  hosts: [a, 'b']\n  none: ~\nKEY: |\n  l1\n  l2\n"
    )
    fields = {"user": "app", "port": 5432, "tls": True, "hosts": ["a", "b"], "none": None}
    assert parse(text, "yaml") == {"A": "one", "auth/db": fields, "KEY": "l1\nl2\n"}


@pytest.mark.parametrize(
    "written", ["0123", "1_000", "yes", "NO", "1.10", "2024-01-01", "0x1F", "1:30", ".inf", "1e3", "="]
)
def test_an_unquoted_scalar_is_the_text_that_stands_in_the_file(written: str) -> None:
    assert parse(f"A: {written}".encode(), "yaml") == {"A": written}
    quoted = f"A: '{written}'".encode()
    assert parse(quoted, "yaml") == {"A": written}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5432", 5432),
        ("1.5", 1.5),
        ("true", True),
        ("0123", "0123"),
        ("yes", "yes"),
        ("1_000", "1_000"),
        ("'5'", "5"),
    ],
)
def test_a_field_is_a_number_or_boolean_where_json_agrees(written: str, expected: object) -> None:
    assert parse(f"A: {{b: {written}}}".encode(), "yaml") == {"A": {"b": expected}}


@pytest.mark.parametrize("name", ["yes", "123", "2024-01-01", "null"])
def test_names_that_yaml_takes_for_something_else_are_texts(name: str) -> None:
    assert parse(f"{name}: x".encode(), "yaml") == {name: "x"}
    assert parse(render({name: "x"}, "yaml").encode(), "yaml") == {name: "x"}


def test_an_empty_document_holds_nothing() -> None:
    assert parse(b"# only a comment\n", "yaml") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"A: 1\nA: {CANARY}", "line 2: 'A' was already given in line 1"),
        (f"A:\n  b: 1\n  c: 2\n  b: {CANARY}", "line 4: 'b' was already given in line 2"),
        (f"A: &x {CANARY}\nB: *x", "line 2: aliases"),
        ("A: &x [*x]", "line 1: aliases"),
        (f"A: 1\n<<: {{B: {CANARY}}}", "line 2: a name is a text"),
        (f"A: 1\n? [{CANARY}]\n: x", "line 2: a name is a text"),
        (f"A: !!python/object/apply:os.system [{CANARY}]", r"line 1: tags \(!name\) are not read"),
        (f"A: !Ref {CANARY}", "line 1: tags"),
        ("A: !!binary aGk=", "line 1: tags"),
        (f"- {CANARY}", "line 1: this is not a mapping"),
        (CANARY, "line 1: this is not a mapping"),
        (f"A: [{CANARY}]", "A is a list"),
        ("A:", "A is null"),
        ("A: ~", "A is null"),
        ("A: {}", "A has no fields"),
        (f"A: 1\nB: '{CANARY}", "line 2: this is not one YAML document"),
        (f"A: 1\nB: {CANARY}: x", "line 2: this is not one YAML document"),
        (f'A: "\\q{CANARY}"', "line 1: this is not one YAML document"),
        (f"A: 1\n---\nB: {CANARY}", "this is not one YAML document"),
        (f"A: 1\nB: {CANARY}\x07", "line 2: this is not one YAML document"),
        (f'A: "{CANARY}\\ud800"', "A holds what UTF-8"),
        ("A: " + "[" * 5_000, "this is not one YAML document"),
    ],
    ids=range(22),
)
def test_what_is_no_secret_is_refused_with_the_line_and_without_its_value(text: str, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message) as caught:
        parse(text.encode(), "yaml")
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None, "the parser's exception would carry the document"


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        parse(b"a//b: x", "yaml")


def test_the_same_fields_twice_are_written_twice() -> None:
    fields = {"a": ["x"]}
    assert render({"A": fields, "B": fields}, "yaml") == "A:\n  a:\n  - x\nB:\n  a:\n  - x\n"
