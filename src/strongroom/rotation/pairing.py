"""A second account for a secret that has one: so that two can take turns, and no log-in is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from strongroom.engine import versions
from strongroom.engine.change import Change
from strongroom.engine.versions import Attributes
from strongroom.errors import InvalidInputError, RotationError
from strongroom.records.data import decode_data, encode
from strongroom.rotation.entry import Entry, Live
from strongroom.rotation.source import Source

LACKS_USERNAME = (
    "does not say whose password it holds, and of two accounts it must: --add-username (add_username=True) gives it "
    "the field username beside what it has. get_secret goes on to return the password, and programs must log in with "
    "username too; `strongroom run` then gives them NAME_VALUE and NAME_USERNAME in place of NAME. A URL with user and "
    "password would stay a text"
)


class SecondAccount(NamedTuple):
    """What makes a second account, and what comes after."""

    statements: tuple[str, ...]
    """What the administrator runs at the source."""
    url: str
    """The rotator of both accounts."""
    lacks_username: bool
    """The secret does not say whose password it holds, as that of two accounts must."""


def plan(source: Source, data: bytes, other: str) -> SecondAccount:
    """Ask a rotator what a second account takes; raises `RotationError` for one that has none."""
    current = decode_data(data)
    if not other or not other.isprintable():
        raise InvalidInputError("the second account is named by printable text")
    source.check(current)
    statements, url = source.second_account(current, other)
    return SecondAccount(tuple(statements), url, not _names_a_user(current))


def pair(
    entry: Entry, source: Source, live: Live, other: str, now: float, keep: int, *, add_username: bool
) -> SecondAccount:
    """Make the second account, and give the secret a field `username` where it lacks one. See `Rotation`."""
    second = plan(source, live.data, other)
    if second.lacks_username and not add_username:
        raise InvalidInputError(f"{entry.name!r} {LACKS_USERNAME}. Nothing was changed", name=entry.name)
    renewed = with_username(live.data, source.user) if second.lacks_username else None
    source.make_second_account(decode_data(live.data), other)
    if renewed is not None:
        data, version = renewed, live.version.version
        entry.change("paired", lambda change: write(change, entry.name, data, version, now, keep))
    return second


def with_username(data: bytes, user: str | None) -> bytes:
    """Return the secret with the field `username` beside what it has."""
    if user is None:
        raise RotationError(
            "the rotator does not say whose password the secret holds: set it again with the field username"
        )
    return encode({**decode_data(data), "username": user})


def write(change: Change, name: str, data: bytes, version: int, now: float, keep: int) -> None:
    """Store the secret with its new field; raises `ConflictError` when it was written meanwhile."""
    versions.put(change, name, data, now=now, cas=version, attributes=Attributes(), keep=keep)


def _names_a_user(data: Mapping[str, Any]) -> bool:
    """True for a secret that follows the account whose turn it is: by the field `username`, or within a URL."""
    if data.get("username"):
        return True
    text = data.get("password", data.get("value"))
    try:
        return isinstance(text, str) and "://" in text and bool(urlsplit(text).username)
    except ValueError:
        return False
