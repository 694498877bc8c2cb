"""What a write does to a secret's versions, with the semantics of Vault's KV version 2.

Each function works inside one `Change`, so it happens whole or not at all. Versions are numbered from 1 and never
reused; the current one lies in the head, the others beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from strongroom.errors import ConflictError, InvalidInputError, SecretNotFoundError, TamperedError, VersionNotFoundError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.model import HIGHEST_VERSION, SECRET, version_path
from strongroom.records.history import History
from strongroom.records.records import Records

if TYPE_CHECKING:
    from strongroom.engine.change import Change
    from strongroom.protocols import Reader


class Attributes:
    """What a writer says of a version and its secret besides the data; None keeps what was."""

    __slots__ = ("custom", "expires", "max_versions")

    def __init__(
        self,
        expires: float | None = None,
        custom: Mapping[str, str] | None = None,
        max_versions: int | None = None,
    ) -> None:
        self.expires = expires
        """When the new version stops being returned, seconds since 1970; None for never."""
        self.custom = custom
        self.max_versions = max_versions


UNCHANGED = Attributes()


def load(change: Change, name: str) -> tuple[SecretInfo, bytes] | None:
    """Return a secret's metadata and current data, or None."""
    stored = change.get(SECRET + name)
    if stored is None:
        return None
    return change.records.open_info(name, stored), change.records.open_data(name, stored)


def require(change: Change, name: str) -> tuple[SecretInfo, bytes]:
    """Return a secret's metadata and current data; raises `SecretNotFoundError`."""
    loaded = load(change, name)
    if loaded is None:
        raise SecretNotFoundError(f"there is no secret {name!r}", name=name)
    return loaded


def require_data(change: Change, name: str, version: int) -> bytes:
    """Return the data of a live version; raises `SecretNotFoundError`, `VersionNotFoundError`."""
    require(change, name)
    data = read(change, change.records, name, version)
    if data is None:
        raise VersionNotFoundError(f"{name!r} has no live version {version}", name=name, version=version)
    return data


def put(
    change: Change, name: str, data: bytes, *, now: float, cas: int | None, attributes: Attributes, keep: int
) -> VersionInfo:
    """Make `data` the new current version; `keep` is `max_versions` for a new secret.

    Raises `ConflictError` when `cas` is given and is not the number of the current version (0: there is none).
    """
    stored = change.get(SECRET + name)
    if stored is None:
        history, data_before = History("", {}, keep), b""
    else:
        history, data_before = change.records.open_history(name, stored), change.records.open_data(name, stored)
    newest = history.newest
    current = newest.version if newest else 0
    _check_cas(name, current, cas)
    if current >= HIGHEST_VERSION:
        raise InvalidInputError(
            f"{name!r} has had {HIGHEST_VERSION:,} versions, and no more can be numbered; destroy it with its history"
        )
    if newest and not newest.destroyed:
        change.put(version_path(name, current), change.records.seal_version(name, current, data_before))
    new = VersionInfo(current + 1, round(now, 3), expires=attributes.expires)
    history.append(new)
    if attributes.custom is not None:
        history.custom = dict(attributes.custom)
    if attributes.max_versions is not None:
        history.max_versions = attributes.max_versions
    for number in history.retire():
        change.delete(version_path(name, number))
    change.put(SECRET + name, change.records.seal_history(name, history, new, data))
    return new


def check_cas(info: SecretInfo, cas: int | None) -> None:
    """Raise `ConflictError` unless `cas` is None or the number of the current version."""
    _check_cas(info.name, info.current, cas)


def _check_cas(name: str, current: int, cas: int | None) -> None:
    if cas is not None and cas != current:
        have = f"its current version is {current}" if current else "it does not exist"
        raise ConflictError(
            f"{name!r} was not written: cas={cas}, but {have}. Read it again, then decide again",
            name=name,
            version=current,
        )


def describe(change: Change, name: str, attributes: Attributes) -> SecretInfo:
    """Change custom metadata and retention, and no version."""
    info, data = require(change, name)
    info = _described(info, attributes)
    return _store(change, info, data)


def _described(info: SecretInfo, attributes: Attributes) -> SecretInfo:
    if attributes.custom is not None:
        info = info._replace(custom=dict(attributes.custom))
    if attributes.max_versions is not None:
        info = info._replace(max_versions=attributes.max_versions)
    return info


def _store(change: Change, info: SecretInfo, data: bytes) -> SecretInfo:
    """Write the head, and retire the versions beyond `max_versions`."""
    surplus = max(0, len(info.versions) - info.max_versions)
    for retired in info.versions[:surplus]:
        change.delete(version_path(info.name, retired.version))
    info = info._replace(versions=info.versions[surplus:])
    change.put(SECRET + info.name, change.records.seal_head(info, data))
    return info


def read(reader: Reader, records: Records, name: str, version: int) -> bytes | None:
    """Return the data of any version that is neither deleted nor destroyed, else None."""
    stored = reader.get(SECRET + name)
    if stored is None:
        return None
    info = records.open_info(name, stored)
    known = info.version(version)
    if known is None or known.state != "live":
        return None
    return records.open_data(name, stored) if version == info.current else read_old(reader, records, name, version)


def read_old(reader: Reader, records: Records, name: str, version: int) -> bytes:
    """Return the data of a version that is not current and whose metadata says that it is there."""
    stored = reader.get(version_path(name, version))
    if stored is None:
        raise TamperedError(
            f"the record of version {version} of {name!r} is missing although nobody destroyed it; run "
            "`strongroom verify` and restore the store from a backup",
            name=name,
            version=version,
        )
    return records.open_version(name, version, stored)


def delete(change: Change, name: str, numbers: Sequence[int] | None, *, now: float) -> list[int]:
    """Hide versions (None: the current one); returns those that were live."""
    return _mark(change, name, numbers, lambda v: v.state == "live", lambda v: v._replace(deleted=round(now, 3)))


def undelete(change: Change, name: str, numbers: Sequence[int] | None) -> list[int]:
    """Show deleted versions again (None: the current one); returns those that were hidden."""
    return _mark(change, name, numbers, lambda v: v.state == "deleted", lambda v: v._replace(deleted=None))


def destroy(change: Change, name: str, numbers: Sequence[int] | None) -> list[int]:
    """Remove the ciphertext of versions for good (None: of all); returns those that still had one."""
    info, _ = require(change, name)
    chosen = [version.version for version in info.versions] if numbers is None else numbers
    done = _mark(change, name, chosen, lambda v: not v.destroyed, lambda v: v._replace(destroyed=True))
    for number in done:
        change.delete(version_path(name, number))
    return done


def forget(change: Change, name: str) -> list[int]:
    """Remove every entry of a secret, its history too; returns the versions that it had."""
    info, _ = require(change, name)
    for version in info.versions:
        change.delete(version_path(name, version.version))
    change.delete(SECRET + name)
    return [version.version for version in info.versions]


def _mark(
    change: Change,
    name: str,
    numbers: Sequence[int] | None,
    applies: Callable[[VersionInfo], bool],
    mark: Callable[[VersionInfo], VersionInfo],
) -> list[int]:
    info, data = require(change, name)
    wanted = {info.current} if numbers is None else set(numbers)
    unknown = wanted - {version.version for version in info.versions}
    if unknown:
        raise VersionNotFoundError(
            f"{name!r} has no version {min(unknown)}; nothing was changed", name=name, version=min(unknown)
        )
    hit = [version.version for version in info.versions if version.version in wanted and applies(version)]
    if hit:
        chosen = set(hit)
        marked = tuple(mark(version) if version.version in chosen else version for version in info.versions)
        _store(change, info._replace(versions=marked), b"" if marked[-1].destroyed else data)
    return hit
