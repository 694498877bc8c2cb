"""Plain settings are read as the standard library reads them."""

from __future__ import annotations

import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.settings import toml

LINES = st.sampled_from(
    ['a = "x"', 'store_id="0f"', '  b = "x"', 'c\t= "é # x" # more', "# comment \t é", "", " ", "\t", 'a = "again"',
     'd = "\\n"', "e = 'x'", "f = 1", "[table]", 'g = """x"""', 'h.i = "x"', '"j" = "x"', 'k = "x" l = "y"', "\r",
     'm = "x\x7f"', "# \x01", "n = ", '= "x"', 'o = "x"\r', 'p-q = "x"', 'R = "x"', "#"]
)  # fmt: skip


@given(st.lists(LINES, max_size=5).map("\n".join))
def test_what_is_read_is_what_the_parser_reads(text):
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(tomllib.TOMLDecodeError):
            toml.loads(text)
    else:
        assert toml.loads(text) == expected


def test_plain_settings_need_no_parser(monkeypatch):
    monkeypatch.setitem(sys.modules, "tomllib", None)
    assert toml.loads('# written by init\r\nstore_id = "0f"\n\nactor = "é"  # me\n') == {"store_id": "0f", "actor": "é"}
    with pytest.raises(ImportError):
        toml.loads("a = 1\n")
