"""A secrets manager for Python services: encrypted at rest, read at runtime, every access on record.

import strongroom

secrets = strongroom.open()
secrets.get_secret("POSTGRES_PASSWORD")

strongroom.get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strongroom.audit.report import AuditReport
    from strongroom.caller import Caller
    from strongroom.crypto.master_key import generate_master_key
    from strongroom.engine.integrity import EncryptionReport, StoreReport
    from strongroom.errors import (
        AuditError,
        ConfigError,
        ConflictError,
        DeniedError,
        InvalidInputError,
        InvalidKeyError,
        InvalidNameError,
        InvalidValueError,
        KeyProviderError,
        MissingExtraError,
        NewerFormatError,
        NoKeyError,
        NotFoundError,
        RollbackError,
        RotationError,
        SecretNotFoundError,
        SourceRefusedError,
        StoreBusyError,
        StoreError,
        StoreExistsError,
        StoreGoneError,
        StoreNotFoundError,
        StrongroomError,
        TamperedError,
        UnknownKeyIdError,
        VersionNotFoundError,
        WrongKeyError,
        WrongStoreError,
    )
    from strongroom.fallback import get_secret_or_env
    from strongroom.info import SecretInfo, VersionInfo
    from strongroom.live.secret import LiveSecret
    from strongroom.manager.custody import Custody
    from strongroom.manager.manager import SecretsManager
    from strongroom.manager.opened import OpenedStore
    from strongroom.opening import StrongroomWarning, init, open
    from strongroom.reading import Reading
    from strongroom.rotation.rotation import Rotation
    from strongroom.rotation.status import RotationStatus
    from strongroom.secret import Secret

__version__ = "0.1.0"

_HOMES = {
    "AuditReport": "audit.report",
    "Caller": "caller",
    "Custody": "manager.custody",
    "EncryptionReport": "engine.integrity",
    "LiveSecret": "live.secret",
    "OpenedStore": "manager.opened",
    "Reading": "reading",
    "Rotation": "rotation.rotation",
    "RotationStatus": "rotation.status",
    "Secret": "secret",
    "SecretInfo": "info",
    "SecretsManager": "manager.manager",
    "StoreReport": "engine.integrity",
    "StrongroomWarning": "opening",
    "VersionInfo": "info",
    "generate_master_key": "crypto.master_key",
    "get_secret_or_env": "fallback",
    "init": "opening",
    "open": "opening",
}
"""Where the public names live that are not errors. They are loaded when first used: the import costs nothing."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'strongroom' has no attribute {name!r}")
    home = import_module(f"strongroom.{_HOMES.get(name, 'errors')}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


__all__ = [
    "AuditError",
    "AuditReport",
    "Caller",
    "ConfigError",
    "ConflictError",
    "Custody",
    "DeniedError",
    "EncryptionReport",
    "InvalidInputError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidValueError",
    "KeyProviderError",
    "LiveSecret",
    "MissingExtraError",
    "NewerFormatError",
    "NoKeyError",
    "NotFoundError",
    "OpenedStore",
    "Reading",
    "RollbackError",
    "Rotation",
    "RotationError",
    "RotationStatus",
    "Secret",
    "SecretInfo",
    "SecretNotFoundError",
    "SecretsManager",
    "SourceRefusedError",
    "StoreBusyError",
    "StoreError",
    "StoreExistsError",
    "StoreGoneError",
    "StoreNotFoundError",
    "StoreReport",
    "StrongroomError",
    "StrongroomWarning",
    "TamperedError",
    "UnknownKeyIdError",
    "VersionInfo",
    "VersionNotFoundError",
    "WrongKeyError",
    "WrongStoreError",
    "generate_master_key",
    "get_secret_or_env",
    "init",
    "open",
]
