"""The only place that names concrete drivers: scheme → module, imported when used.

There are no entry points: an installed package must not be able to put itself in the key path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from strongroom.errors import ConfigError

if TYPE_CHECKING:
    from strongroom.protocols import AuditSink, KeyProvider, Rotator, Store

STORES = {
    "sqlite": "strongroom.stores.sqlite",
    "file": "strongroom.stores.file",
    "memory": "strongroom.stores.memory",
}
KEY_PROVIDERS = {
    "env": "strongroom.key_providers.env",
    "file": "strongroom.key_providers.file",
    "passphrase": "strongroom.key_providers.passphrase",
}
AUDIT_SINKS = {
    "file": "strongroom.audit_sinks.file",
    "memory": "strongroom.audit_sinks.memory",
}
ROTATORS = {
    "generate": "strongroom.rotators.generate",
    "command": "strongroom.rotators.command",
    "webhook": "strongroom.rotators.webhook",
    "postgresql": "strongroom.rotators.postgresql",
    "mysql": "strongroom.rotators.mysql",
    "redis": "strongroom.rotators.redis",
}
_EXAMPLES = {
    "store": "sqlite:secrets.db",
    "key provider": "file:master.key",
    "audit sink": "file:logs/secrets_audit.log",
    "rotator": "generate:length=32",
}
_ENDINGS = {".db": "sqlite", ".enc": "file"}


def store(url: str, *, create: bool = False) -> Store:
    """Connect to a store; raises `StoreNotFoundError`, or `StoreExistsError` with `create`."""
    scheme, rest = split(url, STORES, "store", _ENDINGS)
    return cast("Store", import_module(STORES[scheme]).connect(rest, create=create))


def store_url(url: str) -> str:
    """Return the URL of a store with its scheme, which a bare path takes from its ending; raises `ConfigError`."""
    return ":".join(split(url, STORES, "store", _ENDINGS))


def key_provider(url: str) -> KeyProvider:
    """Return a key provider; whether it has a key shows when it is used."""
    scheme, rest = split(url, KEY_PROVIDERS, "key provider", {})
    return cast("KeyProvider", import_module(KEY_PROVIDERS[scheme]).connect(rest))


def audit_sink(url: str, **options: Any) -> AuditSink:
    """Open an audit sink; raises `AuditError`."""
    scheme, rest = split(url, AUDIT_SINKS, "audit sink", {".log": "file"})
    return cast("AuditSink", import_module(AUDIT_SINKS[scheme]).connect(rest, **options))


def rotator(url: str, read: Callable[[str], Mapping[str, Any]]) -> Rotator:
    """Return a rotator; `read` returns the fields of another secret that it may need."""
    scheme, rest = split(url, ROTATORS, "rotator", {})
    return cast("Rotator", import_module(ROTATORS[scheme]).connect(rest, read))


def split(url: str, known: dict[str, str], kind: str, endings: dict[str, str]) -> tuple[str, str]:
    """Return scheme and rest of `scheme:rest`; a bare path takes the scheme of its ending."""
    scheme, colon, rest = url.partition(":")
    if colon and scheme in known:
        return scheme, rest
    ending = "." + url.rpartition(".")[2]
    if ending in endings and (not colon or "/" in scheme):
        return endings[ending], url
    # The URL may hold credentials, so that only its scheme is shown.
    there = f"there are: {', '.join(name + ':' for name in known)}"
    if colon:
        raise ConfigError(f"there is no {kind} {scheme}:; {there}")
    also = f", or give a path that ends in {' or '.join(endings)}" if endings else ""
    raise ConfigError(f"write the {kind} as scheme:rest, such as {_EXAMPLES[kind]}{also}; {there}")
