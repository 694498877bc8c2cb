"""Lines for a POSIX shell: `export NAME='...'`, to be read with `eval` or `.`; only written.

Between single quotes a shell reads everything as it is, line feeds included; a single quote becomes `'\\''`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NoReturn

from strongroom.errors import InvalidInputError, InvalidNameError
from strongroom.exchange.mapping import Value, texts

_variable = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").fullmatch


def parse(text: str) -> NoReturn:
    """Raise `InvalidInputError`: only a shell can read what a shell may write."""
    raise InvalidInputError("the format 'env' is only written; read simple `export NAME=value` lines as dotenv")


def render(secrets: Mapping[str, Value]) -> str:
    """Return one `export` line for each secret; raises `InvalidNameError` for a name that no variable can have."""
    return "".join(f"export {_check_variable(name)}={_quoted(text)}\n" for name, text in texts(secrets, "env").items())


def _check_variable(name: str) -> str:
    if not _variable(name):
        raise InvalidNameError(f"{name!r} cannot be a shell variable (letters, digits, _); use json, yaml or dotenv")
    return name


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
