"""What a type checker says of the calls that services make. Checked by mypy and pyright from an installed wheel."""

from typing import Any, assert_type

import strongroom
from strongroom import (
    AuditReport,
    Caller,
    Custody,
    EncryptionReport,
    LiveSecret,
    OpenedStore,
    Reading,
    Rotation,
    RotationStatus,
    SecretInfo,
    SecretsManager,
    StoreReport,
    VersionInfo,
)
from strongroom.aio import changes
from strongroom.protocols import AuditSink, KeyProvider, Rotator, Store

store = strongroom.open()
assert_type(store, OpenedStore)
assert_type(store.bind("billing"), SecretsManager)
assert_type(store.bind(Caller("billing", "http", "10.0.0.1", "f00")).caller, Caller)

assert_type(store.get_secret("A"), str | None)
assert_type(store.get_secret("A", version=1), str | None)
assert_type(store.get_secret("A", "default"), str)
assert_type(store.get_secret("A", None), str | None)
assert_type(store.get_secret("A", 0), str | int)
assert_type(store.require_secret("A"), str)

assert_type(store.get_bytes("A"), bytes | None)
assert_type(store.get_bytes("A", b""), bytes)
assert_type(store.get_field("A", "user"), str | None)
assert_type(store.get_field("A", "user", "app"), str)
assert_type(store.get_data("A"), dict[str, Any] | None)

reading = store.read_secret("A")
assert_type(reading, Reading)
assert_type(reading.data, dict[str, Any] | None)
assert_type(reading.missing, str | None)

assert_type(strongroom.get_secret_or_env("A"), str | None)
assert_type(strongroom.get_secret_or_env("A", "A"), str | None)
assert_type(strongroom.get_secret_or_env("A", "A", "default"), str)
assert_type(strongroom.get_secret_or_env("A", default="default"), str)
assert_type(strongroom.get_secret_or_env("A", "A", None), str | None)
assert_type(strongroom.get_secret_or_env("A", field="user"), str | None)
assert_type(strongroom.get_secret_or_env("A", "A", "app", field="user"), str)

handle = store.secret("A")
assert_type(handle, LiveSecret)
assert_type(handle.value, str)
assert_type(handle(), str)
assert_type(handle.data, dict[str, Any])
assert_type(handle.accepted(), list[str])
assert_type(handle.version, int)
assert_type(handle.refresh(), int)

info = store.set_secret("A", "value")
assert_type(info.version, int)
assert_type(info.expires, float | None)
assert_type(info, VersionInfo)
assert_type(store.metadata("A"), SecretInfo | None)
assert_type(store.list_secrets(), list[str])

assert_type(store.verify(), StoreReport)
assert_type(store.verify_encryption("A"), EncryptionReport)
assert_type(store.verify_audit(), AuditReport)
assert_type(store.custody, Custody)
assert_type(store.rotation, Rotation)
assert_type(store.rotation.status(), list[RotationStatus])


def open_with(store: Store, key: KeyProvider, audit: AuditSink, rotator: Rotator) -> VersionInfo:
    """Take drivers of a service's own."""
    return strongroom.open(store, key, audit).rotation.rotate("A", rotator)


async def follow(handle: LiveSecret) -> None:
    """Take up each change."""
    async for changed in changes(handle):
        assert_type(changed, LiveSecret)
