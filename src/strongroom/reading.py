"""What one read of a secret returns: its fields and what is known of them, or why they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from strongroom.secret import STARS

if TYPE_CHECKING:
    from strongroom.info import VersionInfo


class Reading:
    """One version of a secret as of one moment; its repr does not show the value.

    A reading is false when the version is missing, and `missing` says why.
    """

    __slots__ = ("custom", "data", "info", "missing", "name")

    def __init__(
        self, name: str, info: VersionInfo | None, custom: Mapping[str, str], data: dict[str, Any] | None,
        missing: str | None,
    ) -> None:  # fmt: skip
        self.name = name
        self.info = info
        """Number, creation, deletion and expiry of the version; None when there never was one, or it is retired."""
        self.custom = custom
        """The custom metadata of the secret."""
        self.data = data
        """The fields, a plain value is the field `value`; None when the version is missing."""
        self.missing = missing
        """`missing` (there is none), `deleted`, `destroyed` or `expired`; None when the version was read."""

    def __bool__(self) -> bool:
        return self.data is not None

    def __repr__(self) -> str:
        version = None if self.info is None else self.info.version
        return f"Reading({self.name!r}, version {version}, {self.missing or STARS})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Reading cannot be pickled, because that would write its value in the clear")
