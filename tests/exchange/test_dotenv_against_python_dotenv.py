"""What our reader accepts, python-dotenv reads the same; runs where python-dotenv is installed."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import StrongroomError
from strongroom.exchange.dotenv import parse, render

python_dotenv = pytest.importorskip("dotenv")

PIECES = [
    "A",
    "B",
    "=",
    "=",
    "'",
    '"',
    "\\",
    "\\n",
    "\\'",
    '\\"',
    "\\\\",
    "$",
    "${A}",
    "${B}",
    "{",
    "}",
    "#",
    "\t",
    "x",
    "yz",
    "é",
    "\n",
    "\r\n",
    "\u2028",
    "\x0b",
]
STATEMENTS = st.lists(st.sampled_from([*PIECES, " ", "export "]), max_size=9).map("".join)


def read_by_python_dotenv(text: str) -> dict[str, str | None]:
    logging.getLogger("dotenv").setLevel(logging.CRITICAL)
    return dict(python_dotenv.dotenv_values(stream=io.StringIO(text, newline=None)))


@settings(deadline=None, max_examples=300)
@given(st.one_of(STATEMENTS, STATEMENTS.map(lambda rest: "A=1\nB=a b\nC=" + rest.replace("\n", ""))))
def test_what_is_accepted_is_read_as_python_dotenv_reads_it(text: str) -> None:
    # The one difference that the module's docstring names.
    text = text.replace("\\$", "$")
    try:
        secrets = parse(text)
    except StrongroomError:
        return
    assert secrets == read_by_python_dotenv(text)


@settings(deadline=None)
@given(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), st.sampled_from("'\"\\$#\n")))
)
def test_what_is_written_is_read_back_by_python_dotenv(value: str) -> None:
    value = value.replace("${", "$")
    assert read_by_python_dotenv(render({"A": value})) == {"A": value}
