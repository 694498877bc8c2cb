"""A secret's metadata as it is stored, for writers: a version joins and the oldest leave without reading the others.

A secret may keep 10,000 versions. The format has all of them in one piece of JSON, which each write encrypts anew; to
parse and render them too would cost a hundred times as much.
"""

from __future__ import annotations

import json
from functools import lru_cache

from strongroom.info import VersionInfo

_START = '{"v":['
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class History:
    """The versions of a secret, oldest first, its custom metadata and its `max_versions`."""

    __slots__ = ("_rows", "custom", "max_versions")

    def __init__(self, rows: str, custom: dict[str, str], max_versions: int) -> None:
        """`rows` are those of the versions, with commas between them."""
        self._rows = rows
        self.custom = custom
        self.max_versions = max_versions

    @classmethod
    def parse(cls, document: bytes) -> History:
        """Read what `text` returned, or other JSON of the same fields."""
        text = document.decode()
        end = text.find("]]", len(_START)) + 1
        rows = text[len(_START) : end]
        if text.startswith(_START) and end and '"' not in rows and text.startswith("],", end):
            rest = json.loads("{" + text[end + 2 :])
            return cls(rows, rest["c"], rest["m"])
        fields = json.loads(text)
        return cls(",".join(map(_to_json, fields["v"])), fields["c"], fields["m"])

    def text(self) -> str:
        """Return the JSON of a secret's metadata."""
        custom = _to_json(dict(self.custom)) if self.custom else "{}"
        return f'{_START}{self._rows}],"c":{custom},"m":{self.max_versions}}}'

    @property
    def newest(self) -> VersionInfo | None:
        """The newest version, None when there is none."""
        return _version(self._rows[self._rows.rindex("[") :]) if self._rows else None

    def append(self, version: VersionInfo) -> None:
        """Add a version."""
        self._rows += f",{row(version)}" if self._rows else row(version)

    def retire(self) -> list[int]:
        """Remove the versions beyond `max_versions`, and return their numbers."""
        surplus, start, numbers = self._rows.count("[") - self.max_versions, 0, []
        for _ in range(surplus):
            end = self._rows.index("[", start + 1)
            numbers.append(_version(self._rows[start:end].rstrip(", \n")).version)
            start = end
        self._rows = self._rows[start:]
        return numbers


def row(version: VersionInfo) -> str:
    """Return the JSON of one version; written by hand, the rows of ten take half as long."""
    number, created, deleted, destroyed, expires = version
    return f"[{number},{_time(created)},{_time(deleted)},{destroyed:d},{_time(expires)}]"


def _version(text: str) -> VersionInfo:
    number, created, deleted, destroyed, expires = json.loads(text)
    return VersionInfo(number, created, deleted, bool(destroyed), expires)


@lru_cache(4096)
def _time(seconds: float | None) -> str:
    # Kept, because a change of many versions says again when the others were made.
    return "null" if seconds is None else repr(seconds)
