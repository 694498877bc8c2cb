"""The rotators of one store: made of their URLs, and asked with a deadline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from strongroom.access.access import Access
from strongroom.errors import ConflictError, NotFoundError, RotationError, SecretNotFoundError, StrongroomError
from strongroom.protocols import Rotator
from strongroom.records.data import decode_data
from strongroom.rotation.calls import Calls
from strongroom.rotation.entry import Entry
from strongroom.rotation.source import Source
from strongroom.rotation.state import State

Read = Callable[[str], Mapping[str, Any]]
"""Returns the fields of another secret, on record; a rotator may need an administrator's password."""
Connect = Callable[[str, Read], Rotator]


class Rotators:
    """Finds the rotator of a secret."""

    def __init__(self, access: Access, connect: Connect | None, calls: Calls) -> None:
        """`connect` makes a rotator of its URL."""
        self._access = access
        self._connect = connect
        self._calls = calls

    @property
    def timeout(self) -> float:
        """Seconds that a step may take, unless its rotator says otherwise."""
        return self._calls.timeout

    def source(self, name: str, rotator: Rotator) -> Source:
        """Return a rotator as a rotation of `name` asks it."""
        return Source(self._calls, name, rotator)

    def at(self, name: str, url: str) -> Source:
        """Return the source that a URL leads to; raises `ConfigError`."""
        return self.source(name, self.made(url))

    def attached(self, state: State) -> Source:
        """Return the source of a secret; raises `NotFoundError` when no rotator is attached."""
        if state.url is None:
            raise NotFoundError(f"{state.name!r} has no rotator: pass one, or attach one", name=state.name)
        return self.at(state.name, state.url)

    def under_way(self, state: State) -> Source:
        """Return the source of a rotation that is under way; the error says the way out when there is none."""
        try:
            return self.attached(state)
        except StrongroomError as error:
            failure = error
        name = state.name
        raise type(failure)(
            f"{failure}. `strongroom rotate {name} --attach URL` says where the rotator is now, `strongroom rotate "
            f"abort {name} --force` ends the rotation and leaves its source as it is",
            name=name,
        )

    def none(self, name: str) -> Source:
        """Return what stands where a source is not asked."""
        return self.source(name, _Unused())

    def check_not_hanging(self, entry: Entry, stage: str) -> None:
        """Raise `ConflictError` while an earlier call for this secret has not come back."""
        if self._calls.hangs(entry.name):
            entry.refuse(stage, ConflictError(
                f"an earlier call to the rotator of {entry.name!r} has not come back, and may still change the source; "
                "wait for it, or end this process",
                name=entry.name,
            ))  # fmt: skip

    def made(self, url: str) -> Rotator:
        """Return the rotator of a URL; raises `ConfigError`."""
        if self._connect is None:
            raise NotFoundError("this manager was made without rotators; use strongroom.open()")
        rotator = self._connect(url, self._read)
        withhold = getattr(rotator, "withhold", None)
        if withhold is not None:
            withhold(self._key_variables())
        return rotator

    def _key_variables(self) -> set[str]:
        """Return the environment variables that hold a key of the store: this process's, and any recipient's."""
        engine = self._access.engine
        labels = [engine.provider.url, *(recipient.label for recipient in engine.unlocked.header.recipients)]
        return {label.removeprefix("env:") for label in labels if label.startswith("env:")}

    def _read(self, name: str) -> Mapping[str, Any]:
        data = self._access.read(name, None)
        if data is None:
            raise SecretNotFoundError(f"there is no secret {name!r}, which a rotator needs", name=name)
        return decode_data(data)


class _Unused:
    timeout = None

    def __getattr__(self, name: str) -> Any:
        raise RotationError("this rotation was to end without its rotator")
