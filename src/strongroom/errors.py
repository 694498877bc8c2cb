"""Every error that strongroom raises, in one tree.

    StrongroomError                      exit  HTTP
    ├── InvalidInputError                  2    400   the caller gave something that cannot be right
    │   ├── InvalidNameError
    │   ├── InvalidValueError
    │   ├── InvalidKeyError                           a master key that is not one
    │   ├── ConfigError
    │   └── MissingExtraError
    ├── NotFoundError                      3    404
    │   ├── SecretNotFoundError
    │   ├── VersionNotFoundError
    │   └── StoreNotFoundError
    │       └── StoreGoneError                        a store was there, and is not any more
    ├── WrongKeyError                      4    503   the key opens nothing here
    │   └── NoKeyError                                no key was given
    ├── TamperedError                      5    500   what is stored is not what was written
    │   ├── UnknownKeyIdError
    │   ├── RollbackError
    │   └── WrongStoreError                           another store is in the place of the one that is meant
    ├── DeniedError                        6    403
    ├── ConflictError                      7    400   `cas` did not match; Vault's KV v2 answers 400 too
    ├── StoreError                         8    503   the store cannot be read or written now
    │   ├── StoreExistsError
    │   └── StoreBusyError
    ├── AuditError                         9    500   the event cannot be written, so nothing is answered
    ├── NewerFormatError                  10    500   written by a newer strongroom
    ├── RotationError                     11    502   the source of a secret did not take, prove or refuse a value
    │   └── SourceRefusedError                        it said no, and changed nothing
    └── KeyProviderError                  12    503   who guards the master key does not answer: worth a retry

`code` is the one word for it in audit events and in JSON.

Messages say what was wrong and what to do. They carry names, versions and places, never a value, a key or a
connection string.
"""

from __future__ import annotations


class StrongroomError(Exception):
    """The root of the tree: catch this to catch every error of strongroom."""

    code = "failed"
    exit_code = 1
    http_status = 500

    def __init__(self, message: str, *, name: str | None = None, version: int | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.version = version


class InvalidInputError(StrongroomError):
    """The caller gave something that cannot be right, whatever the store holds."""

    code = "invalid_input"
    exit_code = 2
    http_status = 400


class InvalidNameError(InvalidInputError):
    """A secret's name breaks the rules of `strongroom.model.check_name`."""


class InvalidValueError(InvalidInputError):
    """A secret's data, metadata or an imported file is of the wrong type, shape or size."""


class InvalidKeyError(InvalidInputError):
    """A master key is malformed, or its file can be read by others."""


class ConfigError(InvalidInputError):
    """A setting is unknown, malformed or contradicts another."""


class MissingExtraError(InvalidInputError):
    """A feature needs an optional package; the message holds the pip line to type."""


class NotFoundError(StrongroomError):
    """What was named does not exist."""

    code = "not_found"
    exit_code = 3
    http_status = 404


class SecretNotFoundError(NotFoundError):
    """No secret has this name, or its current version is deleted."""


class VersionNotFoundError(NotFoundError):
    """The secret has no such version, or that version is deleted or destroyed."""


class StoreNotFoundError(NotFoundError):
    """There is no store at the configured place; `strongroom init` makes one."""


class StoreGoneError(StoreNotFoundError):
    """There is no store, but its audit log, its other files or the settings say that there was one."""


class WrongKeyError(StrongroomError):
    """The master key is well-formed but opens nothing in this store."""

    code = "wrong_key"
    exit_code = 4
    http_status = 503


class NoKeyError(WrongKeyError):
    """No master key was given where one is needed."""

    code = "no_key"


class TamperedError(StrongroomError):
    """What is stored fails authentication: damaged, forged, moved, replayed or deleted behind our back."""

    code = "tampered"
    exit_code = 5
    http_status = 500


class UnknownKeyIdError(TamperedError):
    """A record names a data key that the keyset does not hold."""

    code = "unknown_key_id"


class RollbackError(TamperedError):
    """The store is older than the audit log says it was: somebody restored an old copy."""

    code = "rollback"


class WrongStoreError(TamperedError):
    """The store is another one than the settings name, than the audit log knows, or than was opened."""

    code = "wrong_store"


class DeniedError(StrongroomError):
    """The policy does not let this actor do this."""

    code = "denied"
    exit_code = 6
    http_status = 403


class ConflictError(StrongroomError):
    """`cas` did not match the current version, or another writer was faster."""

    code = "conflict"
    exit_code = 7
    http_status = 400


class StoreError(StrongroomError):
    """The store cannot be read or written now: permission, disk, damage below the records."""

    code = "store"
    exit_code = 8
    http_status = 503


class StoreExistsError(StoreError):
    """`init` found a store where it was to make one; it never overwrites."""


class StoreBusyError(StoreError):
    """Another process held the store's lock for longer than the time-out."""


class AuditError(StrongroomError):
    """An event could not be written (or the audit log cannot be read), so the call was refused."""

    code = "audit"
    exit_code = 9
    http_status = 500


class NewerFormatError(StrongroomError):
    """Written in a format that this release does not know; upgrade strongroom."""

    code = "newer_format"
    exit_code = 10
    http_status = 500


class RotationError(StrongroomError):
    """A rotator raised, did not answer in time or returned nonsense; the current value is kept."""

    code = "rotation"
    exit_code = 11
    http_status = 502


class SourceRefusedError(RotationError):
    """The source of a secret refused a step of a rotation, and has changed nothing."""


class KeyProviderError(StrongroomError):
    """Whoever guards the master key does not answer now: unreachable, throttled or refusing. Try again later."""

    code = "key_provider"
    exit_code = 12
    http_status = 503
