"""The version before the current one, for as long as others may still use it."""

from __future__ import annotations

from typing import Any

from strongroom.access.access import Access
from strongroom.info import VersionInfo
from strongroom.model import SECRET
from strongroom.records.data import decode_value
from strongroom.rotation.state import GRACE, load
from strongroom.system.moment import now


class Previous:
    """What lies before the version `of`; read once for each change of the secret."""

    __slots__ = ("_changed", "_grace", "_info", "_stored", "_value", "of")

    def __init__(self, of: int, stored: bytes | None) -> None:
        self.of = of
        self._stored = stored
        self._info: VersionInfo | None = None
        self._value: Any = None
        self._changed = 0.0
        self._grace = GRACE

    def is_of(self, version: int, stored: bytes | None) -> bool:
        """True when this still is what lies before a version, with the secret's record as it is stored."""
        return (self.of, self._stored) == (version, stored)

    def values(self, grace: float | None) -> list[Any]:
        """Return the value, or nothing when there is none or `grace` seconds have gone by since it was replaced."""
        at = now()
        allowed = self._grace if grace is None else grace
        # Times of versions are rounded, so one that is just made may be a little ahead.
        gone_by = max(0.0, at - self._changed)
        if self._info is None or not self._info.readable_at(at) or gone_by >= allowed:
            return []
        return [self._value]

    def read(self, access: Access, name: str) -> None:
        """Read it, on record."""
        with access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + name)
            info = None if stored is None else unlocked.records.open_info(name, stored)
            state = load(view, unlocked.records, name)
        current, before = (info.version(self.of), info.version(self.of - 1)) if info else (None, None)
        if current is None or before is None or not before.readable_at(now()):
            return
        data = access.read(name, before.version)
        if data is not None:
            self._info, self._value, self._changed = before, decode_value(data), current.created
        if state is not None and state.grace is not None:
            self._grace = state.grace


def take_up(access: Access, name: str, of: int, held: Previous | None) -> Previous:
    """Return what lies before the version `of`: `held`, unless the secret has changed since."""
    stored = access.engine.store.get(SECRET + name)
    if held is not None and held.is_of(of, stored):
        return held
    found = Previous(of, stored)
    found.read(access, name)
    return found
