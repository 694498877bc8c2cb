"""One value of a `.env` file, from its spelling to the text and back, by the rules that the module `dotenv` gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from strongroom.errors import InvalidValueError

_comment_after_equals = re.compile(r"[^\S\n]+#[^\n]*")
_single = re.compile(r"[^\S\n]*'((?:\\.|[^'\\])*)'", re.DOTALL)
_double = re.compile(r'[^\S\n]*"((?:\\.|[^"\\])*)"', re.DOTALL)
_opening_quote = re.compile(r"[^\S\n]*['\"]")
_end_of_line = re.compile(r"[^\S\n]*(?:#[^\n]*)?(?:\n|\Z)")
_inline_comment = re.compile(r"\s#.*")
_reference = re.compile(r"\$\{([^}]*)\}")
_escape = re.compile(r"\\([\\'\"abfnrtv$])()")
_escape_or_reference = re.compile(rf"\\([\\'\"abfnrtv$])|{_reference.pattern}")
_single_escape = re.compile(r"\\([\\'])")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_needs_no_quotes = re.compile(r"[A-Za-z0-9_./:@%+,=^-]+").fullmatch
_needs_double_quotes = re.compile(r"['\\\n\r]|\$\{").search


class Line(NamedTuple):
    """Where a statement begins, and whose it is."""

    number: int
    name: str

    def error(self, problem: str) -> InvalidValueError:
        """Return the error that says so, for the caller to raise."""
        return InvalidValueError(f"line {self.number}: {self.name} {problem}", name=self.name)


def read_value(text: str, start: int, line: Line, earlier: Mapping[str, str]) -> tuple[str, int]:
    """Return the value, and where the next line begins."""
    if match := _double.match(text, start):
        return _unescape_double(match[1], line, earlier), _skip_comment(text, match.end(), line)
    if match := _single.match(text, start):
        return _unescape_single(match[1], line), _skip_comment(text, match.end(), line)
    if _opening_quote.match(text, start):
        raise line.error("has an opening quote that is never closed")
    if match := _comment_after_equals.match(text, start):
        return "", match.end()
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    unquoted = _inline_comment.sub("", text[start:end]).strip()
    end_of_last = unquoted.rfind("}") + 1
    replaced = _reference.sub(lambda found: _look_up(found[1], line, earlier), unquoted[:end_of_last])
    return replaced + unquoted[end_of_last:], end


def _skip_comment(text: str, start: int, line: Line) -> int:
    match = _end_of_line.match(text, start)
    if not match:
        raise line.error("has text after its closing quote; a quote inside the value needs a backslash before it")
    return match.end()


def _unescape_single(quoted: str, line: Line) -> str:
    if _reference.search(quoted, 0, quoted.rfind("}") + 1):
        raise line.error(
            "has ${...} in single quotes, which a shell keeps and python-dotenv replaces; use double quotes, and "
            "write \\${...} to keep it or ${...} to have it replaced"
        )
    return _single_escape.sub(r"\1", quoted)


def _unescape_double(quoted: str, line: Line, earlier: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1] is None:
            return _look_up(found[2], line, earlier)
        return _ESCAPES.get(found[1], found[1])

    # Each "${" without an end would be looked through to the end of the text.
    end_of_last = quoted.rfind("}") + 1
    return _escape_or_reference.sub(replace, quoted[:end_of_last]) + _escape.sub(replace, quoted[end_of_last:])


def _look_up(name: str, line: Line, earlier: Mapping[str, str]) -> str:
    if name not in earlier:
        raise line.error(
            "has a ${...} that is not the name of an earlier line (the environment is not asked): write out what it "
            'stands for, or "\\${...}" in double quotes to keep it as text'
        )
    return earlier[name]


def quote(text: str) -> str:
    """Return a spelling of `text` on one line, with no more quotes than it needs."""
    if _needs_no_quotes(text):
        return text
    if not _needs_double_quotes(text):
        return f"'{text}'"
    for plain, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("${", "\\${")):
        text = text.replace(plain, escaped)
    return f'"{text}"'
