"""`SecretsManager`: a caller's view of an opened store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

from strongroom import arguments
from strongroom.access.access import Access, missing_because
from strongroom.engine.unlock import Unlocked
from strongroom.errors import SecretNotFoundError
from strongroom.model import AUDIT, ROTATION, SECRET, check_name, check_prefix
from strongroom.records.context import entries
from strongroom.records.data import TEXT, Data, Value, bytes_of, decode_data, field_of, text_of
from strongroom.records.keyset import AUDIT_KEY
from strongroom.records.records import may_be_listed
from strongroom.system.frames import empty_frames, methods_leave_no_values
from strongroom.system.lazily import importing

if TYPE_CHECKING:
    from datetime import datetime

    from strongroom.audit.report import AuditReport
    from strongroom.caller import Caller
    from strongroom.engine.integrity import EncryptionReport, Progress, StoreReport
    from strongroom.info import SecretInfo, VersionInfo
    from strongroom.live.secret import LiveSecret
    from strongroom.manager.custody import Custody
    from strongroom.manager.shared import Shared
    from strongroom.manager.writing import Writing
    from strongroom.protocols import Policy, Reader
    from strongroom.reading import Reading
    from strongroom.rotation.rotation import Rotation

T = TypeVar("T")


@methods_leave_no_values
class SecretsManager:
    """Reads and writes the secrets of an opened store on behalf of one caller.

    `strongroom.open()` returns one that owns the store too (`OpenedStore`); `bind` makes one for another caller.
    Usable from many threads and after `fork`.

    Every method raises `DeniedError`, `AuditError` (the event could not be written, so nothing is answered),
    `TamperedError`, `NewerFormatError` and `StoreError`; what a method raises besides is said there.
    """

    def __init__(self, shared: Shared, access: Access) -> None:
        """Made by `strongroom.open` and `bind`."""
        self._shared = shared
        self._access = access
        self._rotation: Rotation | None = None
        self._writer: Writing | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._access.engine.store.url}, actor={self._access.actor!r})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} objects cannot be pickled: open the store in the other process")

    @property
    def store_id(self) -> str:
        """The store's id, 32 hex digits: as the setting `store_id` it lets no other store take its place."""
        return self._access.engine.unlocked.header.store

    @property
    def caller(self) -> Caller:
        """On whose behalf this manager acts."""
        return self._access.caller

    def bind(self, caller: str | Caller, policy: Policy | None = None) -> SecretsManager:
        """Return a manager of the same opened store for another caller, an actor or a `Caller`.

        `policy` is asked in place of the one of this manager. The new manager costs little: a server may make one for
        each request. It ends with the store, and has nothing to close.

        Raises `InvalidInputError`.
        """
        return SecretsManager(self._shared, self._access.bind(arguments.check_caller(caller), policy))

    # Reading

    @overload
    def get_secret(self, name: str, *, version: int | None = None) -> str | None: ...
    @overload
    def get_secret(self, name: str, default: T, *, version: int | None = None) -> str | T: ...
    def get_secret(self, name: str, default: Any = None, *, version: int | None = None) -> Any:
        """Return the text of a secret, `default` when it is missing.

        Missing are: a name never set, and a version that is deleted, destroyed, expired or retired. Bytes are read with
        `get_bytes`, one of several fields with `get_field`, all of them with `get_data`.

        Raises `InvalidNameError`; `InvalidInputError` when `version` is of a wrong type; `InvalidValueError` when the
        secret is no text.
        """
        try:
            if version is not None:
                arguments.check_version(version)
            found = self._access.read(name, version)
            if found is None:
                return default
            return str(found[1:], "utf-8") if found[:1] == TEXT else text_of(name, found)
        except BaseException as error:
            # Here and not by the decorator, whose call would be a fiftieth of a read.
            default = version = found = None
            try:
                empty_frames(error)
            except (RecursionError, MemoryError):
                error.__traceback__ = error.__context__ = None
            raise

    def require_secret(self, name: str, *, version: int | None = None) -> str:
        """Return the text of a secret; raises `SecretNotFoundError` when it is missing, else as `get_secret`."""
        found = self.get_secret(name, version=version)
        if found is None:
            raise SecretNotFoundError(f"there is no secret {name!r}, or it is deleted or has expired", name=name)
        return found

    @overload
    def get_bytes(self, name: str, *, version: int | None = None) -> bytes | None: ...
    @overload
    def get_bytes(self, name: str, default: T, *, version: int | None = None) -> bytes | T: ...
    def get_bytes(self, name: str, default: Any = None, *, version: int | None = None) -> Any:
        """Return the bytes of a secret, or its text in UTF-8; `default` when it is missing. Raises as `get_secret`."""
        found = self._data(name, version)
        return default if found is None else bytes_of(name, found)

    @overload
    def get_field(self, name: str, field: str, *, version: int | None = None) -> str | None: ...
    @overload
    def get_field(self, name: str, field: str, default: T, *, version: int | None = None) -> str | T: ...
    def get_field(self, name: str, field: str, default: Any = None, *, version: int | None = None) -> Any:
        """Return the text of one field, `default` when the secret or the field is missing.

        A plain value is the field `value`. Raises `InvalidValueError` when the field holds something else than text,
        which `get_data` returns; else as `get_secret`.
        """
        arguments.check_field(field)
        found = self._data(name, version)
        return default if found is None or field not in found else field_of(name, field, found)

    def get_data(self, name: str, *, version: int | None = None) -> dict[str, Any] | None:
        """Return all fields of a secret, or None when it is missing; a plain value is the field `value`."""
        return self._data(name, version)

    def _data(self, name: str, version: int | None) -> dict[str, Any] | None:
        if version is not None:
            arguments.check_version(version)
        found = self._access.read(name, version)
        return None if found is None else decode_data(found)

    def read_secret(self, name: str, *, version: int | None = None) -> Reading:
        """Return the fields of a version, its times and the custom metadata, or why it is missing: one event.

        Raises `InvalidNameError`, `InvalidInputError`.
        """
        with importing:
            from strongroom.reading import Reading

        if version is not None:
            arguments.check_version(version)
        info, known, found = self._access.read_whole(name, version)
        custom = {} if info is None else info.custom
        if found is None:
            return Reading(name, known, custom, None, missing_because(known))
        return Reading(name, known, custom, decode_data(found), None)

    def list_secrets(self, prefix: str = "") -> list[str]:
        """Return the sorted names that start with `prefix`, without those whose current version is deleted.

        No value is decrypted. A store that hides or invents names is found out by `verify`.
        """
        check_prefix(prefix)
        found = self._access.heads("LIST", "list", prefix)
        names = [path.removeprefix(SECRET) for path, stored in found if may_be_listed(stored)]
        # The prefix `shop` is allowed to one who may list `shop*`, yet names such as `shop-admin/x` may be refused.
        listed = [name for name in names if self._access.allows("list", name)]
        self._access.ok("LIST", prefix or None, count=len(listed))
        return listed

    def metadata(self, name: str) -> SecretInfo | None:
        """Return what is known of a secret without its value, or None when it never was."""
        check_name(name)

        def info(view: Reader, unlocked: Unlocked) -> SecretInfo | None:
            stored = view.get(SECRET + name)
            return None if stored is None else unlocked.records.open_info(name, stored)

        known = self._access.view("HISTORY", "read", name, info)
        self._access.ok("HISTORY", name, count=len(known.versions) if known else 0)
        return known

    def history(self, name: str) -> list[VersionInfo]:
        """Return the versions of a secret, oldest first; [] when it never was."""
        known = self.metadata(name)
        return list(known.versions) if known else []

    def get_audit_logs(
        self,
        limit: int | None = 100,
        *,
        name: str | None = None,
        action: str | None = None,
        outcome: str | None = None,
        actor: str | None = None,
        since: datetime | float | str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the newest events first, at most `limit` authentic ones, that match every filter given.

        Among them are at most as many lines that are not authentic, as anybody who can write to the log can add them:
        they have the field `authentic`, False (None when they are another store's). The refusal of a wrong master key
        is one of them, since without a key there is nothing to authenticate it with.

        `name` may end in `*`; `since` is a time (aware `datetime`, seconds since 1970, ISO 8601 text) or an age such as
        "24h" or "7d". Reading the log is an event too. Raises `InvalidInputError` for a filter that cannot be.
        """
        with importing:
            from strongroom.audit.query import query

        arguments.check_filters(limit, since, name=name, action=action, outcome=outcome, actor=actor)
        self._access.authorize("AUDIT", "audit", "")
        unlocked = self._access.engine.unlocked
        found = query(
            self._access.audit.sink, unlocked.keyset.secrets(AUDIT_KEY), unlocked.header.store, limit=limit, name=name,
            action=action, outcome=outcome, actor=actor, since=since,
        )  # fmt: skip
        self._access.ok("AUDIT", None, count=len(found))
        return found

    def secret(self, name: str) -> LiveSecret:
        """Return the live handle of a secret: its `.value` is always the current one.

        Raises `InvalidNameError`, `SecretNotFoundError`.
        """
        check_name(name)
        return self._shared.live(self._access).handle(name)

    # Checking

    def verify_encryption(self, name: str) -> EncryptionReport:
        """Say how a secret lies in the store: algorithm, key, authenticity, and that its value is not in the clear.

        Raises `SecretNotFoundError`; `TamperedError` when it does not decrypt.
        """
        with importing:
            from strongroom.engine.integrity import check_secret

        check_name(name)
        url = self._access.engine.store.url
        report = self._access.view("VERIFY", "read", name, lambda view, keys: check_secret(view, keys, name, url))
        self._access.ok("VERIFY", name)
        return report

    def verify(self, progress: Progress | None = None) -> StoreReport:
        """Decrypt every record and compare all entries with the manifest; the report lists every problem."""
        with importing:
            from strongroom.engine.integrity import check_store

        report = self._access.view("VERIFY", "audit", "", lambda view, keys: check_store(view, keys, progress))
        if report.ok:
            self._access.ok("VERIFY", None, count=report.entries)
        else:
            self._access.refused("VERIFY", None, "tampered", count=len(report.problems))
        return report

    def accept(self) -> int:
        """Take the entries as they are for right, after a restore or merge of your own; returns the new revision.

        Raises `TamperedError` when a record is not authentic: that is never accepted.
        """
        with importing:
            from strongroom.access.accepting import accept

        return accept(self._access)

    def verify_audit(self, progress: Callable[[int], None] | None = None) -> AuditReport:
        """Verify the chain of the audit log against the store's checkpoints; the report names the first bad line."""
        with importing:
            from strongroom.audit.verify import verify

        def check(view: Reader, unlocked: Unlocked) -> AuditReport:
            checkpoints = {path.removeprefix(AUDIT): stored for path, stored in entries(view, AUDIT)}
            sink, keys = self._access.audit.sink, unlocked.keyset.secrets(AUDIT_KEY)
            return verify(sink, keys, checkpoints, store=unlocked.header.store, progress=progress)

        report = self._access.view("AUDIT", "audit", "", check)
        if report.ok:
            self._access.ok("AUDIT", None, reason="verify")
        else:
            self._access.refused("AUDIT", None, "tampered", count=len(report.problems))
        return report

    @property
    def custody(self) -> Custody:
        """The keys of the store: recipients and `rekey`."""
        with importing:
            from strongroom.manager.custody import Custody

        return Custody(self._access, self._shared.connect_key_provider)

    @property
    def rotation(self) -> Rotation:
        """Staged rotation: rotators, and the rotations that are under way."""
        if self._rotation is None:
            with importing:
                from strongroom.rotation.events import ObservedRotation

            shared = self._shared
            made = ObservedRotation(self._access, shared.connect_rotator, shared.max_versions)
            self._rotation = made.observed(shared.observer, shared.rotation_hook)
        return self._rotation

    # Writing

    def has_rotation(self, name: str) -> bool:
        """True when a secret has a rotator, or is being rotated."""
        return self._access.engine.store.get(ROTATION + check_name(name)) is not None

    def has_history(self, name: str) -> bool:
        """True for a name that has versions, deleted or not; this is no access, so it is not logged."""
        return self._access.engine.store.get(SECRET + check_name(name)) is not None

    def commit_mark(self) -> object:
        """Return what is equal for as long as nobody commits to the store, and no other file takes its place."""
        with importing:
            from strongroom.live.watcher import state_of

        return state_of(self._access.engine.store)

    @property
    def _writing(self) -> Writing:
        # A process that only reads, such as `strongroom get`, does not load what writes.
        if self._writer is None:
            with importing:
                from strongroom.manager.writing import Writing

            self._writer = Writing(self._access, self._shared.max_versions)
        return self._writer

    def set_secret(
        self,
        name: str,
        value: Value | Data,
        cas: int | None = None,
        *,
        expires_in: float | None = None,
        custom: Mapping[str, str] | None = None,
        max_versions: int | None = None,
    ) -> VersionInfo:
        """Store a new current version, durably, and return its metadata.

        `value` is text, bytes, or a mapping of fields to JSON values. `cas` is the number that the current version
        must have (0: the secret must not exist). `expires_in` is in seconds. `custom` metadata and `max_versions`
        stay as they are unless given.

        The source of a secret with a rotator is not told (see `rotate_secret`), except of the previous value of a
        rotation, which is rotated back to.

        Raises `InvalidNameError`, `InvalidValueError`, `ConflictError`.
        """
        plain = expires_in is None and custom is None and max_versions is None
        rotated = plain and self._access.allows("update", name) and self.has_rotation(name)
        if rotated and self.rotation.would_end(name, value):
            return self.rotation.rotate(name, new_value=value, cas=cas)
        return self._writing.set(name, value, cas, expires_in, custom, max_versions)

    def set_secrets(self, secrets: Mapping[str, Value | Data], *, overwrite: bool = True) -> dict[str, VersionInfo]:
        """Store many secrets in one transaction: all of them or none.

        Raises like `set_secret`; `ConflictError` when one exists and `overwrite` is False.
        """
        return self._writing.set_many(secrets, None if overwrite else 0)

    def rotate_secret(self, name: str, new_value: Value | Data | None = None, cas: int | None = None) -> VersionInfo:
        """Replace the value of an existing secret and return the new version's metadata.

        Without `new_value` a plain secret gets a generated one: 32 letters and digits. The value before stays
        readable as the previous version. A secret with a rotator is rotated at its source too, see `rotation`.

        Raises `SecretNotFoundError`, `ConflictError`; `InvalidValueError` when the secret has several fields and no
        `new_value` is given.
        """
        check_name(name)
        arguments.check_cas(cas)
        self._access.authorize("ROTATE", "update", name)
        if self.has_rotation(name) and self.rotation.has_rotator(name):
            return self.rotation.rotate(name, new_value=new_value, cas=cas)
        return self._writing.rotate(name, new_value, cas)

    def rollback(self, name: str, version: int, cas: int | None = None) -> VersionInfo:
        """Make the data of an older version the new current version, and return its metadata.

        A secret with a rotator is rotated to it, at its source too; that raises `RotationError` besides.

        Raises `SecretNotFoundError`, `VersionNotFoundError`, `ConflictError`.
        """
        check_name(name)
        arguments.check_version(version)
        arguments.check_cas(cas)
        self._access.authorize("ROLLBACK", "update", name)
        if self.has_rotation(name) and self.rotation.has_rotator(name):
            return self.rotation.roll_back(name, version, cas=cas)
        return self._writing.roll_back(name, version, cas)

    def describe_secret(
        self, name: str, *, custom: Mapping[str, str] | None = None, max_versions: int | None = None
    ) -> SecretInfo:
        """Change custom metadata and retention, and no value; raises `SecretNotFoundError`, `InvalidValueError`."""
        return self._writing.describe(name, custom, max_versions)

    def delete_secret(self, name: str, numbers: Sequence[int] | None = None) -> bool:
        """Hide the current version, or those with these numbers; True when one was hidden that was not before.

        A secret that never was is False. `undelete_secret` shows the versions again.
        """
        return self._writing.delete(name, numbers)

    def undelete_secret(self, name: str, numbers: Sequence[int] | None = None) -> bool:
        """Show the current version, or those with these numbers, again; True when one was hidden."""
        return self._writing.undelete(name, numbers)

    def destroy_secret(self, name: str, numbers: Sequence[int] | None = None, *, with_history: bool = False) -> bool:
        """Remove the ciphertext of all versions, or of those with these numbers, for good; True when there was any.

        `with_history` removes the metadata too, as if the secret had never been.
        """
        return self._writing.destroy(name, numbers, with_history=with_history)
