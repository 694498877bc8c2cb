"""A secrets manager for Python services: encrypted at rest, read at runtime, every access on record.

import strongroom

secrets = strongroom.open()
secrets.get_secret("POSTGRES_PASSWORD")

strongroom.get_secret_or_env("POSTGRES_PASSWORD", "POSTGRES_PASSWORD", "postgres")
"""

from __future__ import annotations

from strongroom.errors import (
    AuditError,
    ConfigError,
    ConflictError,
    DeniedError,
    InvalidInputError,
    InvalidKeyError,
    InvalidNameError,
    InvalidValueError,
    MissingExtraError,
    NewerFormatError,
    NoKeyError,
    NotFoundError,
    RollbackError,
    SecretNotFoundError,
    StoreBusyError,
    StoreError,
    StoreExistsError,
    StoreNotFoundError,
    StrongroomError,
    TamperedError,
    UnknownKeyIdError,
    VersionNotFoundError,
    WrongKeyError,
)
from strongroom.fallback import get_secret_or_env
from strongroom.manager import SecretsManager
from strongroom.model import SecretInfo, VersionInfo
from strongroom.opening import StrongroomWarning, init, open
from strongroom.secret import Secret

__version__ = "0.1.0"


def generate_master_key() -> str:
    """Return a new master key: a Fernet key, 44 characters of URL-safe base64."""
    from strongroom.crypto.fernet import generate_key

    return generate_key()


__all__ = [
    "AuditError",
    "ConfigError",
    "ConflictError",
    "DeniedError",
    "InvalidInputError",
    "InvalidKeyError",
    "InvalidNameError",
    "InvalidValueError",
    "MissingExtraError",
    "NewerFormatError",
    "NoKeyError",
    "NotFoundError",
    "RollbackError",
    "Secret",
    "SecretInfo",
    "SecretNotFoundError",
    "SecretsManager",
    "StoreBusyError",
    "StoreError",
    "StoreExistsError",
    "StoreNotFoundError",
    "StrongroomError",
    "StrongroomWarning",
    "TamperedError",
    "UnknownKeyIdError",
    "VersionInfo",
    "VersionNotFoundError",
    "WrongKeyError",
    "generate_master_key",
    "get_secret_or_env",
    "init",
    "open",
]
