"""What a program wrote is shown without values, escape sequences and endless lines."""

from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.rotators.showing import CHARACTERS, LINES, TAIL, shown
from strongroom.secret import STARS

VALUES = {
    "plain": "h2kd83jf9s0dkfjw",
    "odd": "pä\"ss'w$rd/with \\ &<odd> %chars+",
    "short": "s3cret",
    "lines": "first line of it\nsecond line\nab12\nthe last one",
    "long": "".join(chr(65 + (7 * i * i + i // 26) % 26) for i in range(3000)),
}
WRITES = {
    "as it is": lambda value: value,
    "json": json.dumps,
    "json as it reads": lambda value: json.dumps(value, ensure_ascii=False),
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "url": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "lower url": lambda value: quote(value, safe="").replace("%2F", "%2f").replace("%C3%A4", "%c3%a4"),
    "hex": lambda value: value.encode().hex(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "basic": lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
    "base64 in lines": lambda value: base64.encodebytes(value.encode()).decode(),
    "base64 of urls": lambda value: base64.urlsafe_b64encode(b"x" + value.encode()).decode(),
    "shell": shlex.quote,
    "html": html.escape,
    "indented": lambda value: value.replace("\n", "\n    "),
    "coloured": lambda value: "\x1b[1;31m".join(value) + "\x1b[0m",
    "upper case": str.upper,
    "lower case": str.lower,
    "reversed": lambda value: value[::-1],
    "with zeros": "\0".join,
    "wrapped": lambda value: "\n".join(value[i : i + 20] for i in range(0, len(value), 20)),
}


def pieces(value):
    """What must not be readable: the value, and each line of it."""
    return [line for line in value.splitlines() if len(line) > 3]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_starred_however_it_is_written(name, write):
    value = VALUES[name]
    written = WRITES[write](value)
    text = shown(f"refused: {written} :it\n".encode(), [{"user": "x", "value": value}])
    # Base64 also has characters that depend on what surrounds the value.
    known = ("base64 in lines", "basic", "base64 of urls", "base64")
    left = text.replace(STARS, "").replace("|", "").replace(" ", "")
    assert left.endswith(":it")
    assert len(left) < len("refused::it") + (8 if write in known else 7), text
    assert not any(piece in text or piece[::-1] in text for piece in pieces(value))


@pytest.mark.parametrize("value", ["a", "42", "abc", 42, 3.5])
def test_the_shortest_values_are_starred_where_they_are_words(value):
    text = shown(f"what: {value} (a4242abcabc3)".encode(), [{"value": value}])
    assert text == f"what: {STARS} (a4242abcabc3)"


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgresql://app:pw4x@db/app", "pw4x"), ("https://u:p%40ss@api", "p@ss"),
        ("host=db password=s3cr3ts port=1", "s3cr3ts"), ('{"type": "account", "private": "short"}', "short"),
        ("user:t0ken99", "t0ken99"),
    ],
)  # fmt: skip
def test_the_part_of_a_value_that_is_the_secret_is_starred_alone_too(value, part):
    assert shown(f"no: {part} is refused".encode(), [value]) == f"no: {STARS} is refused"


@pytest.mark.parametrize("cut", range(2, 16))
def test_a_value_that_was_not_written_to_its_end_is_starred(cut):
    written = b"using " + VALUES["plain"][:cut].encode()
    assert shown(written, [VALUES["plain"]], whole=False) == f"using {STARS}"


@pytest.mark.parametrize("offset", range(0, 20, 3))
def test_a_value_is_found_wherever_the_part_that_is_read_begins(offset):
    value = VALUES["plain"]
    written = (value * 3000).encode() + b" " * offset + b"end"
    assert "".join(shown(written, [value]).split()) == f"{STARS}end"


def test_the_last_lines_are_shown_and_no_more():
    lines = [f"line {number}" for number in range(100)]
    assert shown("\n\n".join(lines).encode(), []) == " | ".join(lines[-LINES:])
    text = shown(b"x " * 5000, [])
    assert len(text) == CHARACTERS + 1
    assert shown(b" \n\r\n\t", []) == ""


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[31mred\x1b[0m", "red"), ("\x1b]0;title\x07it", "it"),
        ("a\x9b2Jb", "ab"), ("\x1bcreset", "reset"), ("50%\r100%", "50% | 100%"), ("a\x00b\x07c\x7f", "abc"),
        ("\u202eevil\u202c", "evil"), ("zero\u200bwidth", "zerowidth"), ("a\u2028b", "a b"), ("a\tb\u00a0c", "a b c"),
        ("x\x08y", "y"), ("\x1bP1$r\x1b\\z", "z"), ("\x1b]unended", "unended"),
    ],
)  # fmt: skip
def test_nothing_reaches_a_terminal_that_it_would_obey(written, text):
    assert shown(written.encode(), []) == text


@given(st.binary(max_size=2000))
def test_whatever_is_written_is_shown_on_one_line_that_can_be_printed(written):
    text = shown(written, ["value-one", {"a": [1, "b"]}], hide_keys=True)
    assert text.isprintable()
    assert len(text) <= CHARACTERS + 1


@given(st.text(min_size=4, max_size=60).filter(lambda text: text.strip() == text and text.isprintable()))
def test_no_value_is_shown_as_it_is(value):
    if value in STARS or value in "<":
        return
    assert value not in shown(f"<<{value}>> and <{value}>".encode("utf-8", "replace"), [value])


def test_what_looks_like_a_key_is_starred_where_nobody_knows_the_keys():
    written = b"+ made AKIAIOSFODNN7EXAMPLE for billing-application"
    assert shown(written, [], hide_keys=True) == f"+ made {STARS} for billing-application"
    assert shown(written, []) == written.decode()


@pytest.mark.parametrize(
    "value", ["a" * 60_000, "ab1" * 20_000, "\n".join(f"l{i}ne" for i in range(9000)), "[" * 60_000]
)
def test_values_and_texts_that_repeat_themselves_take_no_long_time(value):
    text = shown(value.encode()[-TAIL:], [value], whole=False, hide_keys=True)
    assert value[-40:] not in text
