"""`get_secret_or_env`: the call that lets a team move over one secret at a time."""

from __future__ import annotations

import os
import threading
import warnings
from typing import Any, TypeVar, overload

from strongroom import opening
from strongroom.arguments import check_field
from strongroom.errors import InvalidInputError, NoKeyError, StoreGoneError, StoreNotFoundError, StrongroomError
from strongroom.manager.manager import SecretsManager
from strongroom.manager.opened import OpenedStore
from strongroom.model import check_name
from strongroom.opening import StrongroomWarning
from strongroom.settings import config as configuration
from strongroom.settings.config import Config
from strongroom.system.frames import leaves_no_values

T = TypeVar("T")
_lock = threading.Lock()
_default: OpenedStore | None = None
_on_error = "raise"
_warned: set[str] = set()


@overload
def get_secret_or_env(name: str, env_var: str | None = None, *, field: str | None = None) -> str | None: ...
@overload
def get_secret_or_env(name: str, env_var: str | None, default: T, *, field: str | None = None) -> str | T: ...
@overload
def get_secret_or_env(name: str, *, default: T, field: str | None = None) -> str | T: ...
@leaves_no_values
def get_secret_or_env(
    name: str, env_var: str | None = None, default: Any = None, *, field: str | None = None
) -> Any:  # fmt: skip
    """Return the secret `name`, else the variable `env_var` (by default the one called `name`), else `default`.

    `field` names one of several fields; its variable is by default the one that `strongroom run` fills, `NAME_FIELD`.

    The store is the one of the settings, opened once in each process. Where none was made and none is configured, or no
    master key is, the environment answers, with one warning.

    A store that is there but refuses (wrong key, damaged record, audit log that cannot be written, a key provider that
    does not answer) raises, because silence would hide an attack. So does one that is gone, while its audit log, its
    other files or the settings say that it was there. With `on_error = "fallback"` (STRONGROOM_ON_ERROR=fallback) both
    warn and fall back.
    """
    check_name(name)
    if env_var is not None and not isinstance(env_var, str):
        raise InvalidInputError(f"the name of a variable is text, not {type(env_var).__name__}")
    if field is not None:
        check_field(field)
    try:
        manager = _manager()
        found = None if manager is None else _found(manager, name, field)
    except StrongroomError as error:
        if _on_error != "fallback":
            raise
        _warn(f"strongroom cannot answer and falls back to the environment, as on_error says: {error}", 4)
        found = None
    if found is not None:
        return found
    try:
        return os.environ.get(env_var or (name if field is None else f"{name}_{field.upper()}"), default)
    except UnicodeEncodeError:  # no variable can have such a name
        return default


def _found(manager: SecretsManager, name: str, field: str | None) -> str | None:
    return manager.get_secret(name) if field is None else manager.get_field(name, field)


def reset() -> None:
    """Close the default store and forget it, so that the next call reads the settings anew."""
    global _default, _on_error
    with _lock:
        if _default is not None:
            _default.close()
        _default = None
        _on_error = "raise"
        _warned.clear()


def _manager() -> OpenedStore | None:
    """Return the manager of the default store, None where there is no store or no key."""
    global _default, _on_error
    if _default is not None:
        return _default
    with _lock:
        if _default is None:
            try:
                config = configuration.load()
            except StoreNotFoundError as error:
                _warn(f"{error}; until then secrets come from the environment", 4)
                return None
            _on_error = config.on_error
            _default = _open(config)
        return _default


def _open(config: Config) -> OpenedStore | None:
    try:
        return opening.open(settings=config)
    except StoreGoneError:
        raise
    except StoreNotFoundError:
        if "store" in config.chosen:
            raise
        _warn(f"there is no strongroom store ({config.store}), so secrets come from the environment", 6)
    except NoKeyError as error:
        # A key file that is there and cannot be read is no reason to do without.
        if "key" in config.chosen or not config.key.startswith("env:"):
            raise
        _warn(f"{error}; until then secrets come from the environment", 6)
    return None


def _warn(message: str, stacklevel: int) -> None:
    """Warn once; `stacklevel` leads to whoever called `get_secret_or_env`."""
    if message not in _warned:
        _warned.add(message)
        warnings.warn(message, StrongroomWarning, stacklevel=stacklevel)


def _in_child() -> None:
    # The thread that held it does not exist in the child.
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_in_child)
