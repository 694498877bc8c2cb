"""From secrets to the environment variables of a program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from strongroom.cli.variables import check_variable, good
from strongroom.errors import InvalidInputError, InvalidNameError, InvalidValueError
from strongroom.settings.config import VARIABLE

KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR", "PWD", "XDG_RUNTIME_DIR",
)  # fmt: skip
"""What `--pristine` keeps, and every `LC_*`."""
_UNDERSCORES = str.maketrans("-/. ", "____")


def variable_of(name: str, prefix: str = "") -> str:
    """Return the variable for the secret `name`, without `prefix`: the name itself where that is a variable's name,
    else in capitals with `_` for `/`, `-` and `.`.

    Raises `InvalidNameError` when that is no variable's name either.
    """
    short = name.removeprefix(prefix)
    if good(short):
        return short
    shaped = short.upper().translate(_UNDERSCORES)
    if short.isascii() and " " not in short and good(shaped):
        return shaped
    raise InvalidNameError(f"{name!r} makes no variable's name; choose one: --env VARIABLE={name}", name=name)


def variables_of(name: str, variable: str, data: Mapping[str, Any], *, asked: bool = False) -> dict[str, str]:
    """Return the variables of one secret: `variable`, or `variable_FIELD` for each of several fields.

    `asked` when a human typed the name, and not the store told it. Raises `InvalidInputError`, `InvalidValueError`.
    """
    if list(data) == ["value"]:
        return {check_variable(variable, name, asked=asked): text_of(name, data["value"])}
    filled: dict[str, str] = {}
    for field, value in data.items():
        # The names of the fields always come from the store.
        target = check_variable(f"{variable}_{field.upper().translate(_UNDERSCORES)}", f"{name}:{field}")
        if target in filled:
            raise InvalidInputError(f"two fields of {name!r} would both set {target}; use --env {target}={name}:FIELD")
        filled[target] = text_of(name, value)
    return filled


def text_of(name: str, value: Any) -> str:
    """Return the value as a variable can hold it; a number, list or such as JSON. Raises `InvalidValueError`."""
    if isinstance(value, bytes):
        value = _decoded(name, value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if "\0" in text:
        raise InvalidValueError(f"the value of {name!r} holds a NUL, so no variable can hold it", name=name)
    # What is UTF-8 everywhere else is not to depend on the locale here.
    return os.fsdecode(text.encode())


def _decoded(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        pass
    # Raised outside the handler: the decoder's exception holds the value.
    raise InvalidValueError(f"the value of {name!r} is not text, so no variable can hold it", name=name)


def merge(sources: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Return the variables of all secrets; raises `InvalidInputError` when two fill the same one."""
    owner: dict[str, str] = {}
    merged: dict[str, str] = {}
    for name, variables in sources:
        for variable, text in variables.items():
            if variable in owner:
                raise InvalidInputError(
                    f"{owner[variable]!r} and {name!r} would both set {variable}; choose with --only, or name "
                    f"another variable: --env VARIABLE={name}"
                )
            owner[variable] = name
            merged[variable] = text
    return merged


def key_variables(key: str) -> set[str]:
    """Return the variables that may hold a master key or passphrase; `key` is the key provider's URL."""
    scheme, _, variable = key.partition(":")
    return {VARIABLE, "STRONGROOM_PASSPHRASE", *([variable] if scheme == "env" else [])}


def base(environ: Mapping[str, str], keys: Iterable[str], *, pristine: bool) -> dict[str, str]:
    """Return the environment that the program would have without secrets: without the variables `keys`."""
    left = {name: text for name, text in environ.items() if name not in keys}
    if pristine:
        left = {name: text for name, text in left.items() if name in KEPT or name.startswith("LC_")}
    return left
