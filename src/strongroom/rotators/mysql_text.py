"""Reads what MariaDB and MySQL say of accounts (`SHOW CREATE USER`, `SHOW GRANTS`): words, names and texts."""

from __future__ import annotations

import re
from typing import NamedTuple

_WORD = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|[\w.$*%]+|\S", re.DOTALL)
_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


class Word(NamedTuple):
    """A word, a quoted name or text, or a sign, and where it stands."""

    text: str
    start: int
    end: int

    def means(self, keyword: str) -> bool:
        """True for a keyword; a quoted name is none."""
        return self.text.upper() == keyword

    @property
    def value(self) -> str:
        """What a quoted name or text says."""
        quote = self.text[0]
        if quote not in "`'\"":
            return self.text
        inner = self.text[1:-1].replace(quote * 2, quote)
        if quote == "`":
            return inner
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), inner, flags=re.DOTALL)


def words(text: str) -> list[Word]:
    """Return the words of a statement."""
    return [Word(found[0], found.start(), found.end()) for found in _WORD.finditer(text)]


def name(text: str) -> str:
    """Quote a name."""
    return "`" + text.replace("`", "``") + "`"


def account(user: str, host: str) -> str:
    """Quote an account."""
    return f"{name(user)}@{name(host)}"


def literal(text: str) -> str:
    """Quote a text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
