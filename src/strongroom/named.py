"""Drivers that are named in full: `module:callable`, or `module:callable:address`.

The callable is called as `connect` of a driver of ours is, with the address (or "") first: a store's with `create=`,
a sink's with `sync=`, `max_bytes=`, `keep=` and `owners=`, a rotator's with what reads other secrets. What it returns
must have the members that every driver of its kind has.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from strongroom.errors import ConfigError, StrongroomError
from strongroom.urls import shows_credentials

MEMBERS = {
    "store": ("url", "get", "scan", "view", "transaction", "close"),
    "key provider": ("url", "wrap", "unwrap"),
    "audit sink": ("url", "segment", "append", "position", "lines", "lines_backwards", "close"),
    "rotator": ("create", "set", "test", "retire"),
}
"""What every driver of a kind has, as `strongroom.protocols` says."""


def connect(kind: str, url: str, unknown: str, *more: Any, **options: Any) -> Any:
    """Return the driver of `kind` that `url` names; `unknown` says what there is besides.

    Raises `ConfigError` saying what is wrong: no such module, nothing callable there, a result of another shape. What
    the module itself raises is a `ConfigError` too, unless it is a `StrongroomError`; its words may hold a password, so
    its class and line are shown instead.
    """
    module, _, rest = url.partition(":")
    name, _, address = rest.partition(":")
    make = _callable(kind, module, name, unknown)
    try:
        made = make(address, *more, **options)
    except StrongroomError:
        raise
    except Exception as error:
        raise ConfigError(f"the {kind} {module}:{name} cannot be made: {_described(error)}") from None
    if problem := _wrong_shape(kind, made):
        raise ConfigError(f"{module}:{name} is no {kind}: {problem}; strongroom.protocols documents what one must have")
    return made


def _callable(kind: str, module: str, name: str, unknown: str) -> Any:
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if f"{module}.".startswith(f"{missing}."):
            raise ConfigError(f"{unknown}. If {module} is a module: it is not installed, nor on PYTHONPATH") from None
        raise ConfigError(f"the module {module} of the {kind} needs {missing}, which is not installed") from None
    except Exception as error:
        raise ConfigError(f"the module {module} of the {kind} cannot be imported: {_described(error)}") from None
    found = getattr(loaded, name, None)
    if found is None:
        # Not shown, as it could be a password behind the name of a library.
        raise ConfigError(f"the module {module} has no such name, so it is no {kind}; write it as module:callable")
    if not callable(found):
        found_type = type(found).__name__
        raise ConfigError(f"{module}:{name} is a {found_type}, which cannot be called, so it is no {kind}")
    return found


def _wrong_shape(kind: str, made: object) -> str:
    lacking = [name for name in MEMBERS[kind] if getattr(made, name, None) is None]
    if lacking:
        return f"it returns a {type(made).__name__}, which has no {', '.join(lacking)}"
    url = getattr(made, "url", "")
    if "url" in MEMBERS[kind] and not (isinstance(url, str) and ":" in url):
        return "its url is not text of the form scheme:rest"
    if shows_credentials(url):
        return "its url, which messages and logs show, has a user, a password or a query in it"
    uncallable = [name for name in MEMBERS[kind] if name != "url" and not callable(getattr(made, name))]
    return f"{', '.join(uncallable)} cannot be called" if uncallable else ""


def _described(error: Exception) -> str:
    """Return the class of an error and where it was raised, without its words."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    where = "" if traceback is None else f" at {traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"
    return type(error).__name__ + where
