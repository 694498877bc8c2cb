"""What a manager's writing methods do: check the arguments, then run a step of `versions` in a transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from strongroom import abilities, arguments
from strongroom.access.access import Access
from strongroom.engine import versions
from strongroom.engine.change import Change
from strongroom.errors import InvalidValueError, SecretNotFoundError, StoreError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.manager.attributes import check_attributes
from strongroom.model import ROTATION, check_name
from strongroom.records.data import Data, Value, decode_data, decode_value, encode
from strongroom.system.lazily import importing
from strongroom.system.moment import now


class Writing:
    """The writing methods of `SecretsManager`, where each is described, for one actor.

    `keep` is `max_versions` for secrets that do not say otherwise.
    """

    def __init__(self, access: Access, keep: int) -> None:
        self._access = access
        self._keep = keep

    def set(
        self,
        name: str,
        value: Value | Data,
        cas: int | None,
        expires_in: float | None,
        custom: Mapping[str, str] | None,
        max_versions: int | None,
    ) -> VersionInfo:
        """See `SecretsManager.set_secret`."""
        check_name(name)
        arguments.check_cas(cas)
        data = encode(value)
        attributes = check_attributes(expires_in, custom, max_versions)
        return self._access.change("SET", "write", name, lambda change: self._put(change, name, data, cas, attributes))

    def set_many(self, secrets: Mapping[str, Value | Data], cas: int | None) -> dict[str, VersionInfo]:
        """See `SecretsManager.set_secrets`; `cas` is the same for all of them."""
        if not isinstance(secrets, Mapping):
            raise InvalidValueError("set_secrets takes a mapping of names to values")
        encoded = {check_name(name): encode(value) for name, value in secrets.items()}
        steps = {name: partial(self._put, name=name, data=data, cas=cas) for name, data in encoded.items()}
        return self._access.change_all("SET", "write", steps)

    def rotate(self, name: str, new_value: Value | Data | None, cas: int | None) -> VersionInfo:
        """See `SecretsManager.rotate_secret`; for a secret without a rotator, and checked arguments."""
        data = None if new_value is None else encode(new_value)
        return self._access.change("ROTATE", "update", name, lambda change: self._replace(change, name, data, cas))

    def roll_back(self, name: str, version: int, cas: int | None) -> VersionInfo:
        """See `SecretsManager.rollback`."""
        check_name(name)
        arguments.check_version(version)
        arguments.check_cas(cas)
        return self._access.change(
            "ROLLBACK", "update", name,
            lambda change: self._put(change, name, versions.require_data(change, name, version), cas),
        )  # fmt: skip

    def describe(self, name: str, custom: Mapping[str, str] | None, max_versions: int | None) -> SecretInfo:
        """See `SecretsManager.describe_secret`."""
        check_name(name)
        attributes = check_attributes(None, custom, max_versions)
        return self._access.change(
            "METADATA", "update", name, lambda change: versions.describe(change, name, attributes)
        )

    def delete(self, name: str, numbers: Sequence[int] | None) -> bool:
        """See `SecretsManager.delete_secret`."""
        arguments.check_versions(numbers)
        return self._mark("DELETE", name, lambda change: versions.delete(change, name, numbers, now=now()))

    def undelete(self, name: str, numbers: Sequence[int] | None) -> bool:
        """See `SecretsManager.undelete_secret`."""
        arguments.check_versions(numbers)
        return self._mark("UNDELETE", name, lambda change: versions.undelete(change, name, numbers))

    def destroy(self, name: str, numbers: Sequence[int] | None, *, with_history: bool) -> bool:
        """See `SecretsManager.destroy_secret`."""
        arguments.check_versions(numbers)
        if with_history:
            done = self._mark("DESTROY", name, lambda change: _forget(change, name))
            self._forget_reports(name)
        else:
            done = self._mark("DESTROY", name, lambda change: _destroy(change, name, numbers))
        scrubbing = abilities.scrubbing(self._access.engine.store)
        if scrubbing is not None:
            scrubbing.scrub()
        return done

    def _forget_reports(self, name: str) -> None:
        from strongroom.rotation import consumers

        with suppress(StoreError):  # nobody will ask for them again
            consumers.forget(self._access.engine.store, name)

    def _put(
        self, change: Change, name: str, data: bytes, cas: int | None,
        attributes: versions.Attributes = versions.UNCHANGED,
    ) -> VersionInfo:  # fmt: skip
        """Make `data` the current version, unless a rotation forbids that."""
        if change.get(ROTATION + name) is not None:
            with importing:
                from strongroom.rotation.state import check_write

            check_write(change, change.records, name, data)
        return versions.put(change, name, data, now=now(), cas=cas, attributes=attributes, keep=self._keep)

    def _replace(self, change: Change, name: str, data: bytes | None, cas: int | None) -> VersionInfo:
        """Make `data`, or a generated value, the current version of a secret that has a live one."""
        info, present = versions.require(change, name)
        if info.versions[-1].state != "live":
            raise SecretNotFoundError(f"{name!r} is {info.versions[-1].state}; set it again", name=name)
        if data is not None:
            _check_shape(name, data, present)
        return self._put(change, name, data or _generated(name, present), cas)

    def _mark(self, action: str, name: str, step: Callable[[Change], list[int]]) -> bool:
        check_name(name)
        try:
            return bool(self._access.change(action, "delete", name, step))
        except SecretNotFoundError:
            return False


def _destroy(change: Change, name: str, numbers: Sequence[int] | None) -> list[int]:
    done = versions.destroy(change, name, numbers)
    if change.get(ROTATION + name) is not None:
        with importing:
            from strongroom.rotation.steps import destroyed

        destroyed(change, name, done)
    return done


def _forget(change: Change, name: str) -> list[int]:
    if change.get(ROTATION + name) is not None:
        with importing:
            from strongroom.rotation.steps import forget

        forget(change, name)
    return versions.forget(change, name)


def _check_shape(name: str, data: bytes, present: bytes) -> None:
    """Raise `InvalidValueError` for one value in the place of several fields, which programs read by their names."""
    fields = sorted(decode_data(present))
    if fields != ["value"] and set(decode_data(data)) == {"value"}:
        raise InvalidValueError(
            f"{name!r} has the fields {', '.join(fields)}, and the new value is one text: give all fields (`strongroom "
            f"set {name} --json-data`, a mapping)",
            name=name,
        )


def _generated(name: str, present: bytes) -> bytes:
    with importing:
        from strongroom.generate.generate import generate_value

    if not isinstance(decode_value(present), str):
        raise InvalidValueError(f"{name!r} is not plain text, so no value is generated for it: give one", name=name)
    return encode(generate_value())
