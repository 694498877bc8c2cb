"""What holds for every format of import and export."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import InvalidInputError, InvalidNameError, InvalidValueError, StrongroomError
from strongroom.exchange import FORMATS, guess, parse, render
from strongroom.model import check_name

CANARY = "canary-7f3a-hunter2"
READABLE = ("dotenv", "json", "yaml")

# The characters that some format treats specially come up often.
TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("'\"\\${}#:-|>\n\r\t nt0")))
SIMPLE_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_./-]{0,8}[A-Za-z0-9]", fullmatch=True)


def _is_name(text: str) -> bool:
    try:
        return check_name(text) == text
    except InvalidNameError:
        return False


NAMES = st.one_of(SIMPLE_NAMES, st.text(min_size=1, max_size=20), TEXT).filter(_is_name)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT.filter(bool), inner, max_size=3)),
    max_leaves=5,
)
FIELDS = st.dictionaries(TEXT.filter(bool), JSON, min_size=1, max_size=3)


@settings(deadline=None)
@given(st.dictionaries(SIMPLE_NAMES.filter(_is_name), TEXT.filter(lambda text: "\x00" not in text), max_size=4))
def test_dotenv_reads_back_every_text_that_it_writes(secrets: dict[str, Any]) -> None:
    assert parse(render(secrets, "dotenv").encode(), "dotenv") == secrets


@pytest.mark.parametrize("file_format", ["json", "yaml"])
@settings(deadline=None)
@given(secrets=st.dictionaries(NAMES, st.one_of(TEXT, FIELDS), max_size=4))
def test_json_and_yaml_read_back_every_text_and_mapping_that_they_write(
    file_format: str, secrets: dict[str, Any]
) -> None:
    assert parse(render(secrets, file_format).encode(), file_format) == secrets


@pytest.mark.parametrize("file_format", READABLE)
@settings(deadline=None)
@given(text=st.one_of(st.binary(max_size=60), TEXT.map(str.encode)))
def test_any_bytes_are_read_or_refused_with_one_of_our_errors(file_format: str, text: bytes) -> None:
    try:
        secrets = parse(text, file_format)
    except StrongroomError:
        return
    assert all(_is_name(name) and isinstance(value, (str, dict)) for name, value in secrets.items())


@pytest.mark.parametrize("file_format", READABLE)
def test_nothing_is_written_as_a_file_that_holds_nothing(file_format: str) -> None:
    assert parse(render({}, file_format).encode(), file_format) == {}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("value", [CANARY.encode(), CANARY + "\ud800", {"field": CANARY.encode()}, {}, {"": CANARY}])
def test_what_a_format_cannot_hold_is_refused_by_name_and_not_by_value(file_format: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match="DB_PASSWORD") as caught:
        render({"DB_PASSWORD": value}, file_format)
    _assert_silent(caught.value)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_bad_name_is_not_written(file_format: str) -> None:
    with pytest.raises(InvalidNameError):
        render({"../up": "x"}, file_format)


@pytest.mark.parametrize("file_format", ["dotenv", "env"])
@pytest.mark.parametrize("value", [{"user": "app", "password": CANARY}, f"{CANARY}\x00"])
def test_lines_hold_no_fields_and_no_nul(file_format: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match="use json or yaml") as caught:
        render({"DB_PASSWORD": value}, file_format)
    _assert_silent(caught.value)


@pytest.mark.parametrize("file_format", READABLE)
def test_a_byte_order_mark_is_skipped(file_format: str) -> None:
    text = render({"A": "1 2"}, file_format).encode()
    assert parse(b"\xef\xbb\xbf" + text, file_format) == {"A": "1 2"}


@pytest.mark.parametrize("file_format", READABLE)
def test_bytes_that_are_not_utf_8_are_refused_with_the_line(file_format: str) -> None:
    with pytest.raises(InvalidValueError, match="line 2: this is not UTF-8") as caught:
        parse(f"A=1\nB={CANARY}".encode() + b"\xff\n", file_format)
    _assert_silent(caught.value)


@pytest.mark.parametrize("file_format", READABLE)
def test_a_nul_is_refused_with_the_line(file_format: str) -> None:
    with pytest.raises(InvalidValueError, match="line 2: there is a NUL byte") as caught:
        parse(f"A=1\nB={CANARY}\x00\n".encode(), file_format)
    _assert_silent(caught.value)


@pytest.mark.parametrize(
    ("path", "file_format"),
    [
        (".env", "dotenv"),
        ("/srv/app/.env.production", "dotenv"),
        ("prod.env", "dotenv"),
        ("secrets.json", "json"),
        (".env.json", "json"),
        ("secrets.yaml", "yaml"),
        ("SECRETS.YML", "yaml"),
    ],
)
def test_the_name_of_a_file_shows_its_format(path: str, file_format: str) -> None:
    assert guess(path) == file_format


@pytest.mark.parametrize("path", ["secrets", "-", "env", "env.sample", "secrets.toml", "/x.json/secrets"])
def test_another_name_asks_for_the_format(path: str) -> None:
    with pytest.raises(InvalidInputError, match="--format dotenv, --format json, --format yaml"):
        guess(path)


def test_an_unknown_format_lists_the_known_ones() -> None:
    with pytest.raises(InvalidInputError, match="no format 'toml'; say which with --format dotenv"):
        parse(b"", "toml")


def test_a_format_is_imported_when_it_is_used() -> None:
    program = "import sys, strongroom.exchange; print([name for name in sys.modules if name in ('yaml', 'json')])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert "yaml" not in loaded.stdout


def test_yaml_without_pyyaml_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['yaml'] = None\n"
        "from strongroom.exchange import parse\n"
        "try: parse(b'A: 1', 'yaml')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert run.stdout == "MissingExtraError YAML needs PyYAML: pip install 'strongroom[yaml]'\n"


def _assert_silent(error: BaseException) -> None:
    """The value is neither in the message nor in an exception that hangs on it."""
    seen: BaseException | None = error
    while seen is not None:
        assert CANARY not in f"{seen} {seen.args!r} {vars(seen)!r}"
        seen = seen.__cause__ or seen.__context__
