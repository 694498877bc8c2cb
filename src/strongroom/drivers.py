"""The only place that names concrete drivers: scheme → module, imported when used.

A driver of somebody's own is named in full: `module:callable` or `module:callable:address`. There are no entry points:
an installed package must not be able to put itself in the key path, so nothing is looked for that was not named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from strongroom.errors import ConfigError
from strongroom.system.frozen import Frozen
from strongroom.urls import is_name, is_word, names_a_user

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


class Traits(Frozen):
    """What is known of a kind of store before one is opened, or when it is gone."""

    __slots__ = ("moves_with_git", "beside", "needs_local_disk")  # noqa: RUF023

    def __init__(self, moves_with_git: bool, beside: tuple[str, ...], needs_local_disk: bool) -> None:
        self.moves_with_git = moves_with_git
        """See `strongroom.protocols.GitFriendly`."""
        self.beside = beside
        """What the files beside a store are called, after its own name."""
        self.needs_local_disk = needs_local_disk
        """Its locks are not safe on a network file system."""


_TRAITS = {
    "sqlite": Traits(False, ("-gen", "-wal", "-shm", "-journal"), True),
    "file": Traits(True, (".lock",), False),
}
_NO_TRAITS = Traits(False, (), False)


def traits(url: str) -> Traits:
    """Return what is known of the kind of store that this URL names, there or not."""
    return _TRAITS.get(url.partition(":")[0], _NO_TRAITS)


def store(url: str, *, create: bool = False) -> Store:
    """Connect to a store; raises `StoreNotFoundError`, or `StoreExistsError` with `create`."""
    return cast("Store", _connect(url, STORES, "store", _ENDINGS, create=create))


def store_url(url: str) -> str:
    """Return the URL of a store with its scheme, which a bare path takes from its ending; raises `ConfigError`."""
    return ":".join(split(url, STORES, "store", _ENDINGS))


def key_provider(url: str) -> KeyProvider:
    """Return a key provider; whether it has a key shows when it is used."""
    return cast("KeyProvider", _connect(url, KEY_PROVIDERS, "key provider", {}))


def audit_sink(url: str, **options: Any) -> AuditSink:
    """Open an audit sink; raises `AuditError`."""
    return cast("AuditSink", _connect(url, AUDIT_SINKS, "audit sink", {".log": "file"}, **options))


def rotator(url: str, read: Callable[[str], Mapping[str, Any]]) -> Rotator:
    """Return a rotator; `read` returns the fields of another secret that it may need."""
    return cast("Rotator", _connect(url, ROTATORS, "rotator", {}, read))


def _connect(url: str, known: dict[str, str], kind: str, endings: dict[str, str], *more: Any, **options: Any) -> Any:
    scheme, rest = split(url, known, kind, endings)
    if scheme in known:
        return import_module(known[scheme]).connect(rest, *more, **options)
    from strongroom.named import connect

    return connect(kind, f"{scheme}:{rest}", _unknown(kind, scheme, known), *more, **options)


def split(url: str, known: dict[str, str], kind: str, endings: dict[str, str]) -> tuple[str, str]:
    """Return scheme and rest of `scheme:rest`; a bare path takes the scheme of its ending.

    The scheme of a driver that is named in full is its module. Raises `ConfigError`.
    """
    scheme, colon, rest = url.partition(":")
    if colon and scheme in known:
        if known is not ROTATORS and names_a_user(rest):
            raise ConfigError(f"{scheme}: takes no server and no user; write the {kind} as {_EXAMPLES[kind]}")
        return scheme, rest
    ending = "." + url.rpartition(".")[2]
    if ending in endings and (not colon or "/" in scheme):
        return endings[ending], url
    if colon and is_name(scheme) and is_name(rest.partition(":")[0]) and "." not in rest.partition(":")[0]:
        return scheme, rest
    # The URL may hold credentials, so that only its scheme is shown.
    if colon:
        raise ConfigError(_unknown(kind, scheme, known))
    also = f", or give a path that ends in {' or '.join(endings)}" if endings else ""
    raise ConfigError(f"write the {kind} as scheme:rest, such as {_EXAMPLES[kind]}{also}; {_known(known)}")


def _unknown(kind: str, scheme: str, known: dict[str, str]) -> str:
    return f"there is no {kind} {scheme + ':' if is_word(scheme) else 'of that kind'}; {_known(known)}"


def _known(known: dict[str, str]) -> str:
    return f"there are: {', '.join(name + ':' for name in known)}, or module:callable for one of your own"
