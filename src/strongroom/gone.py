"""What says that a store was there that is not any more: then the environment must not answer in its place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from strongroom import drivers
from strongroom.audit.known import addresses_in
from strongroom.errors import AuditError, StoreGoneError, StoreNotFoundError
from strongroom.settings.config import LOG_FILE, Config, address_of, path_of
from strongroom.settings.discovery import STORE_FILES
from strongroom.system.files import owners_beside

_TRACES = (
    *(name + ending for name in STORE_FILES for ending in drivers.traits(drivers.store_url(name)).beside),
    LOG_FILE,
)


def check_nearer(config: Config) -> None:
    """Raise `StoreGoneError` when a nearer directory than the one with the default store has lost a store."""
    end = os.path.abspath(config.directory)
    for directory in _upwards(os.path.abspath(".")):
        if directory == end:
            return
        _refuse_if_gone(directory)


def error_for(error: StoreNotFoundError, config: Config) -> StoreNotFoundError:
    """Return what to raise for a store that is not there: a `StoreGoneError` when something says that it was."""
    try:
        if config.store_id:
            return _gone(config.store, [f"store_id = {config.store_id} in the settings"])
        path = path_of(config.store)
        if path is not None and (found := _beside(os.path.abspath(path), config.store)):
            return _gone(config.store, found)
        if "store" not in config.chosen:
            for directory in _upwards(os.path.abspath(config.directory)):
                _refuse_if_gone(directory)
        if path is not None and _is_logged(config.audit, config.store, default="audit" not in config.chosen):
            return _gone(config.store, [str(config.audit)])
    except StoreGoneError as gone:
        return gone
    return error


def _refuse_if_gone(directory: str) -> None:
    if not _may_have_had_one(directory):
        return
    for name in STORE_FILES:
        path = os.path.join(directory, name)
        url = drivers.store_url(path)
        if os.path.exists(path):
            continue
        log = f"file:{os.path.join(directory, LOG_FILE)}"
        found = _beside(path, url) + ([log] if _is_logged(log, url) else [])
        if found:
            raise _gone(url, found)


def _may_have_had_one(directory: str) -> bool:
    """False for nearly every directory, of which no more is to be asked."""
    for name in _TRACES:
        try:
            os.lstat(f"{directory}/{name}")
        except OSError:
            continue
        return True
    return False


def _beside(path: str, url: str) -> list[str]:
    """Return the files that lie beside where the store was; those that strangers could have put there do not count."""
    return [path + ending for ending in drivers.traits(url).beside if _is_ours(path + ending)]


def _is_ours(path: str) -> bool:
    with suppress(OSError):
        owner = os.lstat(path).st_uid
        return owner in (0, os.geteuid()) or owner in owners_beside(path)
    return False


def _is_logged(log: str, url: str, *, default: bool = False) -> bool:
    """True when the audit log at the URL `log` says that a store was opened at `url`.

    With `default` the log is for that store alone, and one that does not say at all is enough.
    """
    path = path_of(log)
    if path is None or not _is_ours(path):
        return False
    with suppress(AuditError):
        sink = drivers.audit_sink(log)
        try:
            found = addresses_in(sink)
            return address_of(url) in found or (default and not found)
        finally:
            sink.close()
    return default


def _gone(url: str, found: list[str]) -> StoreGoneError:
    left = " and ".join(found)
    return StoreGoneError(
        f"there is no store at {url}, but there was one, by {left}: it was deleted or moved. Put it back, or restore "
        "it from a backup. If it was removed on purpose, `strongroom init` makes a new one; to do without a store, "
        f"remove {left} too"
    )


def _upwards(directory: str) -> Iterator[str]:
    while True:
        yield directory
        parent = os.path.dirname(directory)
        if parent == directory:
            return
        directory = parent
