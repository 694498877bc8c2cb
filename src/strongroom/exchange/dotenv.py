r"""`.env` files, by the rules of python-dotenv 1.2 (https://github.com/theskumar/python-dotenv#file-format).

    # a comment
    NAME=value of the rest of the line   # a comment after white space; no escapes
    export NAME='single quotes, over many lines too: only \\ and \' are escapes'
    NAME="double quotes, over many lines too: \n \r \t \a \b \f \v \\ \' \" and \$ are escapes"
    URL=postgresql://app:${PASSWORD}@db/app

`${NAME}` outside single quotes stands for an earlier name of the same file; `$NAME` without braces stays as it is.

A migrated program should see the values that it saw before. Where that is in doubt the file is refused with the line,
instead of guessing:

- a line without `=`, an unclosed quote, text after a closing quote, a name given twice (python-dotenv skips the line,
  or takes the last);
- `${NAME}` of a name that is not earlier in the file, and `${NAME:-default}` (python-dotenv asks the environment, and
  takes an empty text for an unknown name);
- `${NAME}` between single quotes (text to a shell, replaced by python-dotenv).

One spelling is read differently on purpose: `\$` in double quotes is `$`, as in a shell and in Compose, where
python-dotenv keeps the backslash. Without it a text `${NAME}` could not be written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from strongroom.errors import InvalidNameError, InvalidValueError
from strongroom.exchange.dotenv_value import Line, quote, read_value
from strongroom.exchange.mapping import Value, texts
from strongroom.model import check_name

_blank_or_comment = re.compile(r"(?:\s|#[^\n]*)+")
_name = re.compile(r"(?:export[^\S\n]+|(?!export[^\S\n]))(?:'([^'\n]+)'|([^=#\s'\"]+))[^\S\n]*=")
_writable_name = re.compile(r"[^=#\s'\"]+").fullmatch


def parse(text: str) -> dict[str, Value]:
    """Return the names and texts of a file; raises `InvalidValueError` and `InvalidNameError` with the line."""
    # Python's text files, and so python-dotenv, read every kind of line ending as a line feed.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    found: dict[str, str] = {}
    lines: dict[str, int] = {}
    number, end = 1, 0
    while (start := _skip_blank(text, end)) < len(text):
        number += text.count("\n", end, start)
        line, after_name = _read_name(text, start, number)
        if line.name in found:
            raise line.error(f"was already given in line {lines[line.name]}; keep one of the two")
        value, end = read_value(text, after_name, line, found)
        found[line.name] = value
        lines[line.name] = number
        number += text.count("\n", start, end)
    return dict(found)


def _skip_blank(text: str, start: int) -> int:
    match = _blank_or_comment.match(text, start)
    return match.end() if match else start


def _read_name(text: str, start: int, number: int) -> tuple[Line, int]:
    # What stands where a name should be may be a piece of a value that lost its quotes, so no error shows it.
    match = _name.match(text, start)
    if not match:
        raise InvalidValueError(f"line {number}: this is not NAME=value; a value of several lines needs quotes")
    try:
        return Line(number, check_name(match[1] or match[2])), match.end()
    except InvalidNameError:
        pass
    raise InvalidNameError(f"line {number}: what stands before the '=' cannot be a secret's name")


def render(secrets: Mapping[str, Value]) -> str:
    """Return one line for each secret, in quotes that python-dotenv, Compose and most others read alike.

    Raises `InvalidNameError` for a name with white space, `=`, `#` or a quote, and `InvalidValueError` for fields,
    bytes and NUL.
    """
    return "".join(f"{_check_writable(name)}={quote(text)}\n" for name, text in texts(secrets, "dotenv").items())


def _check_writable(name: str) -> str:
    if not _writable_name(name):
        raise InvalidNameError(
            f"{name!r} has white space, '=', '#' or a quote, which dotenv cannot hold; use json or yaml"
        )
    return name
