"""Drivers of somebody's own, as `module:callable` names them. Their addresses hold a password."""

from __future__ import annotations

import os
from pathlib import Path

from tests.stores.minimal import MinimalStore

from strongroom.audit_sinks.file import FileSink
from strongroom.errors import KeyProviderError, NoKeyError, StoreError
from strongroom.key_providers.file import FileKeyProvider

PASSWORD = "tiger"
not_callable = 7


def address(name: str) -> str:
    """Return what is typed after `module:callable:`."""
    return f"pg://scott:{PASSWORD}@db/{name}?sslpassword={PASSWORD}"


def _path(rest: str) -> str:
    assert f"scott:{PASSWORD}@" in rest, "the driver gets what was typed"
    return os.path.join(os.environ["OWN_DRIVERS"], Path(rest.partition("?")[0]).name)


class Store(MinimalStore):
    def __init__(self, rest: str, *, create: bool = False) -> None:
        if os.environ.get("OWN_STORE") == "down":
            raise StoreError("pg://db cannot be reached")
        super().__init__(_path(rest), create=create)
        self.url = "pg://db/app"


class Key(FileKeyProvider):
    """A service that guards a key: `OWN_KMS` says what it answers."""

    def __init__(self, rest: str) -> None:
        super().__init__(_path(rest))
        self.url = "kms:alias/app"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        _answer()
        return super().wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        _answer()
        return super().unwrap(wrapped, context)


def _answer() -> None:
    state = os.environ.get("OWN_KMS", "up")
    if state == "throttled":
        raise KeyProviderError("kms:alias/app is throttled: try again later")
    if state == "unreachable":
        raise ConnectionError(f"no route to kms://scott:{PASSWORD}@kms")
    if state == "none":
        raise NoKeyError("kms:alias/app was given no key")


class Sink(FileSink):
    def __init__(self, rest: str, **options) -> None:
        super().__init__(_path(rest), **options)
        self.url = "pg://db/log"


class Rotator:
    def __init__(self, rest: str, read) -> None:
        self.read = read

    def create(self, current):
        return {"value": current["value"] + "+"}

    def set(self, pending, current):
        pass

    def test(self, pending):
        pass

    def retire(self, previous, current):
        pass


def careless(rest: str, *, create: bool = False) -> Store:
    store = Store(rest, create=create)
    store.url = rest
    return store


def breaks(rest: str, **_: object) -> Store:
    raise ValueError(f"cannot connect to {rest}")


def nothing(rest: str, *more: object, **_: object) -> object:
    return object()
