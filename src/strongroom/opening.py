"""From settings to an `OpenedStore`: the wiring."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from strongroom import abilities, drivers
from strongroom.arguments import clean_who
from strongroom.audit.known import other_store_at
from strongroom.audit.log import CHECKPOINT_EVERY, AuditLog
from strongroom.audit.tail import SMALL_WINDOW, WINDOW, Tail, newest_revision
from strongroom.caller import Caller
from strongroom.engine.engine import Engine
from strongroom.engine.unlock import initialise
from strongroom.errors import (
    AuditError,
    ConfigError,
    InvalidKeyError,
    KeyProviderError,
    NewerFormatError,
    RollbackError,
    StoreExistsError,
    StoreGoneError,
    StoreNotFoundError,
    TamperedError,
    WrongKeyError,
    WrongStoreError,
)
from strongroom.manager.opened import OpenedStore
from strongroom.model import AUDIT, HEADER
from strongroom.records.header import Header, wrap
from strongroom.records.keyset import ALGORITHMS, AUDIT_KEY
from strongroom.settings import config as configuration
from strongroom.settings import discovery
from strongroom.settings.config import Config
from strongroom.system.frames import leaves_no_values
from strongroom.system.moment import now
from strongroom.system.warning import StrongroomWarning as StrongroomWarning

if TYPE_CHECKING:
    from strongroom.model import Position
    from strongroom.protocols import AuditSink, KeyProvider, Store
    from strongroom.rotation.events import Observer


@leaves_no_values
def open(
    store: str | Store | None = None,
    key: str | KeyProvider | None = None,
    audit: str | AuditSink | None = None,
    *,
    actor: str | None = None,
    service: str | None = None,
    source: str = "library",
    settings: Config | None = None,
    on_rotation_event: Observer | None = None,
    **more: Any,
) -> OpenedStore:
    """Unlock a store and return its manager.

    `store`, `key` and `audit` are written `scheme:rest`, such as `sqlite:shared/secrets.db`,
    `env:SECRETS_MASTER_KEY`, `file:logs/secrets_audit.log`, or are drivers themselves; what is not given comes from
    `STRONGROOM_*` variables, from `strongroom.toml`, or is the default. `more` are further settings of
    `strongroom.settings.config.Config`, and `config`, which names the file of settings.

    `on_rotation_event` is called with a `strongroom.rotation.events.RotationEvent` when a rotation of this manager
    failed, stopped half-way, or ended although processes hold the previous value; what it raises is a warning.

    Raises `ConfigError`, `StoreNotFoundError`, `NoKeyError`, `InvalidKeyError`, `WrongKeyError`,
    `KeyProviderError` (who guards the key does not answer now: never taken for a missing key), `TamperedError`,
    `RollbackError` (the store is older than the audit log says), `WrongStoreError` (it is another one than the settings
    name or the audit log knows), `StoreGoneError` (something says that there was one), `NewerFormatError`,
    `StoreError`, `AuditError`.
    """
    config = settings or load(store, key, audit, actor=actor, service=service, **more)
    if "store" not in config.chosen and os.path.abspath(config.directory) != os.path.abspath("."):
        from strongroom.gone import check_nearer

        check_nearer(config)
    try:
        opened = drivers.store(config.store) if store is None or isinstance(store, str) else store
        try:
            provider = drivers.key_provider(config.key) if key is None or isinstance(key, str) else key
            sink = sink_of(config) if audit is None or isinstance(audit, str) else audit
            return _unlock(opened, provider, sink, config, source, on_rotation_event=on_rotation_event)
        except BaseException:
            opened.close()
            raise
    except StoreNotFoundError as error:
        from strongroom.gone import error_for

        missing = error_for(error, config)
    if isinstance(missing, StoreGoneError):
        _record_gone(config, source)
    raise missing


@leaves_no_values
def init(
    store: str | None = None,
    key: str | KeyProvider | None = None,
    audit: str | AuditSink | None = None,
    *,
    algorithm: str | None = None,
    source: str = "library",
    settings: Config | None = None,
    **more: Any,
) -> OpenedStore:
    """Make a new store, and return its manager. Arguments are those of `open`; nothing is ever overwritten.

    `algorithm` is `aes-256-gcm` or `fernet`; the default is the store's own: `fernet` for the file store, which
    anyone's Fernet library can then read, else `aes-256-gcm`.

    Raises `StoreExistsError`, and what `open` raises.
    """
    if algorithm is not None and not (isinstance(algorithm, str) and algorithm in ALGORITHMS):
        raise ConfigError("algorithm is one of: " + ", ".join(ALGORITHMS))
    config = settings or load(store, key, audit, **more)
    if settings is None and "store" not in config.chosen:
        discovery.check_new(config.directory)
    provider = drivers.key_provider(config.key) if key is None or isinstance(key, str) else key
    if config.store_id:
        raise ConfigError(
            f"the settings name the store {config.store_id} (store_id), and a new one would be another: put that store "
            "back, or remove store_id from the settings"
        )
    # Asked before anything is made: a store without a usable key would be of no use.
    wrap(provider, bytes(32), b"")
    try:
        made = drivers.store(config.store, create=True)
    except StoreExistsError:
        # A process that died between making the file and its first commit leaves an empty store.
        made = drivers.store(config.store)
    try:
        initialise(
            made, provider, algorithm or ("fernet" if abilities.moves_with_git(made) else "aes-256-gcm"), now=now()
        )
        sink = sink_of(config) if audit is None or isinstance(audit, str) else audit
        _accept_key(config)
        return _unlock(made, provider, sink, config, source, new=True)
    except BaseException:
        made.close()
        raise


def _accept_key(config: Config) -> None:
    """Let the key file of a new store be found later, where it lies so that it would be."""
    path = configuration.path_of(config.key)
    if path is None or os.path.basename(path) != configuration.KEY_FILE:
        return
    beside = os.path.dirname(configuration.path_of(config.store) or "")
    if os.path.realpath(os.path.dirname(path)) in map(os.path.realpath, (beside, config.directory)):
        from strongroom.settings import bounds

        # Where it cannot be remembered it must be named, as it has been now.
        with suppress(ConfigError, OSError):
            bounds.accept_key(path)


def load(
    store: str | Store | None, key: str | KeyProvider | None, audit: str | AuditSink | None, **more: Any
) -> Config:
    """Return the settings with these arguments; a driver given as an object has a URL only for show."""

    def url(given: Any) -> Any:
        if given is None or isinstance(given, str):
            return given
        if not isinstance(getattr(given, "url", None), str):
            raise ConfigError(
                f"a driver is text such as sqlite:secrets.db, or an object with a url, not {type(given).__name__}"
            )
        return given.url

    return configuration.load(store=url(store), key=url(key), audit=url(audit), **more)


def sink_of(config: Config) -> AuditSink:
    """Open the audit sink that the settings name."""
    return drivers.audit_sink(
        config.audit, sync=config.sync, max_bytes=config.audit_max_bytes or None, keep=config.audit_keep or None,
        owners=_owners(config),
    )  # fmt: skip


def _owners(config: Config) -> tuple[int, ...]:
    """Return who besides root and this user may own the log: the owner of the store, when root looks at a service's."""
    path = configuration.path_of(config.store)
    try:
        return (os.stat(path).st_uid,) if path else ()
    except OSError:
        return ()


def _unlock(
    store: Store, provider: KeyProvider, sink: AuditSink, config: Config, source: str, *, new: bool = False,
    on_rotation_event: Observer | None = None,
) -> OpenedStore:  # fmt: skip
    try:
        return _manager(store, provider, sink, config, source, new, on_rotation_event)
    except BaseException:
        # Recording the refusal has opened its file; a service that tries again and again would run out of them.
        sink.close()
        raise


def _manager(
    store: Store, provider: KeyProvider, sink: AuditSink, config: Config, source: str, new: bool,
    on_rotation_event: Observer | None,
) -> OpenedStore:  # fmt: skip
    actor, address = actor_of(config), configuration.address_of(store.url)

    # A reader must not change a file that is under git.
    every = sys.maxsize if abilities.moves_with_git(store) else CHECKPOINT_EVERY

    def log(
        keys: Mapping[int, bytes] | None, store: str, revision: int | None = None, searched: Position | None = None
    ) -> AuditLog:
        return AuditLog(
            sink, keys, store=store, actor=actor, service=service_of(config), source=source, checkpoint_every=every,
            revision=revision, searched=searched, address=address, instance=config.instance,
        )  # fmt: skip

    try:
        engine = Engine(store, provider)
    except (WrongKeyError, KeyProviderError, TamperedError, NewerFormatError, InvalidKeyError) as error:
        log(None, store_id(store) or "").record("OPEN", None, "failed", reason=error.code)
        raise
    meant, keys = engine.unlocked.header.store, engine.unlocked.keyset.secrets(AUDIT_KEY)
    tail = Tail(sink)
    if not new:
        try:
            _check_is_meant(engine, tail, address, config)
        except WrongStoreError as error:
            # Not under the keys of that store: the log would know it from then on.
            log(None, meant).record("OPEN", None, "failed", reason=error.code)
            raise
    # Readers of a store under git leave no mark in the log of how far they looked, so each looks at a little only.
    window = SMALL_WINDOW if abilities.moves_with_git(store) else WINDOW
    recorded = newest_revision(tail, keys, meant, abilities.revision(store), lambda log: store.get(AUDIT + log), window)
    newest = recorded.revision
    # Looked at again: a commit in between can only make the store the newer one.
    is_old = abilities.revision(store) < newest
    # What git moves back and forth is not held against a reader of another branch.
    audit = log(keys, meant, None if abilities.moves_with_git(store) else newest, recorded.end)
    if is_old:
        _refuse_rollback(store, audit, abilities.revision(store), newest, config)
    elif not recorded.complete and window == WINDOW:
        warnings.warn(
            f"what is searched of the audit log (at most {WINDOW // 2**20} MiB from its end, or a million lines) does "
            f"not say which revision {store.url} was at, so nobody noticed if it was restored from an old copy; look "
            "with `strongroom audit verify`",
            StrongroomWarning,
            stacklevel=5,
        )
    policy = None
    if config.policy or "policy" in config.chosen:
        from strongroom.access.policy import parse

        policy = parse(config.policy)
    return OpenedStore(
        engine, audit, Caller(actor), max_versions=config.max_versions, policy=policy,
        connect_rotator=drivers.rotator, connect_key_provider=drivers.key_provider,
        on_rotation_event=on_rotation_event, rotation_hook=config.rotation_hook,
    )  # fmt: skip


def store_id(store: Store) -> str | None:
    """Return the id that the store claims, None when its header cannot be read: unlocking will say why."""
    stored = store.get(HEADER)
    try:
        return Header.decode(stored).store if stored is not None else None
    except (TamperedError, NewerFormatError):
        return None


def _record_gone(config: Config, source: str) -> None:
    """Put it on record that a store is gone, in a log that is there."""
    path = configuration.path_of(config.audit)
    if path is not None and os.path.exists(path):
        sink = sink_of(config)
        with suppress(AuditError):
            log = AuditLog(
                sink, None, store="", actor=actor_of(config), service=service_of(config), source=source,
                instance=config.instance,
            )  # fmt: skip
            log.record("OPEN", None, "failed", reason="store_gone")
        sink.close()


def _check_is_meant(engine: Engine, tail: Tail, address: str, config: Config) -> None:
    """Raise `WrongStoreError` when the settings name another store, or the audit log knows another one here."""
    store, url = engine.unlocked.header.store, engine.store.url
    if config.store_id:
        engine.unlocked.header.check_is(config.store_id, url)
    elif address:
        keys = engine.unlocked.keyset.secrets(AUDIT_KEY)
        other = other_store_at(address, tail, keys, store, engine.store)
        if other is not None:
            raise WrongStoreError(
                f"{url} is the store {store}, but by its audit log the store {other} belongs there: another store was "
                "put in its place. Put the right one back; if this is on purpose, `strongroom verify --accept`"
            )


def _refuse_rollback(store: Store, audit: AuditLog, revision: int, recorded: int, config: Config) -> None:
    """Say that the store is older than the newest revision on record, and raise unless the settings only warn."""
    audit.record("OPEN", None, "failed", reason="rollback", revision=None)
    problem = (
        f"{store.url} is at revision {revision}, but the audit log has recorded revision {recorded}: an old "
        "copy of the store was restored, and later changes are missing. If that was on purpose, run "
        "`strongroom verify --accept`"
    )
    if (config.on_rollback or _default_on_rollback(store)) == "refuse":
        raise RollbackError(problem)
    warnings.warn(problem, StrongroomWarning, stacklevel=6)


def _default_on_rollback(store: Store) -> str:
    return "warn" if abilities.moves_with_git(store) else "refuse"


def actor_of(config: Config) -> str:
    """Return who acts."""
    return config.actor or clean_who(os_user())


def service_of(config: Config) -> str:
    """Return which program acts."""
    return config.service or clean_who(os.path.basename(sys.argv[0] if sys.argv else "")) or "python"


def os_user() -> str:
    """Return the name of the operating system's user, or `uid:N` when it has none."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid:{os.geteuid()}"
