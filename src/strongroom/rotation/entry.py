"""One secret and its rotation, as the store has them now, and the changes to them, which are on record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn

from strongroom.access.access import Access
from strongroom.engine.change import Change
from strongroom.engine.unlock import Unlocked
from strongroom.errors import SecretNotFoundError, StrongroomError
from strongroom.info import SecretInfo, VersionInfo
from strongroom.model import SECRET
from strongroom.protocols import Reader
from strongroom.records.data import decode_data
from strongroom.rotation.state import State, load


class Live(NamedTuple):
    """A secret with a live current version."""

    state: State
    version: VersionInfo
    data: bytes


class Entry:
    """What a rotation reads and writes in the store."""

    def __init__(self, access: Access, name: str) -> None:
        self.access = access
        self.name = name

    def state(self) -> State | None:
        """Return the rotation, None when there is neither a rotation nor a rotator."""
        with self.access.engine.view() as (view, unlocked):
            return load(view, unlocked.records, self.name)

    def has_rotator(self) -> bool:
        """True when a rotator is attached."""
        state = self.state()
        return state is not None and state.url is not None

    def info(self) -> SecretInfo | None:
        """Return the secret's metadata, None when it is gone."""
        with self.access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + self.name)
            return None if stored is None else unlocked.records.open_info(self.name, stored)

    def version(self) -> int:
        """Return the number of the current version, 0 when the secret is gone."""
        info = self.info()
        return 0 if info is None else info.current

    def current_if_any(self) -> dict[str, Any] | None:
        """Return the fields of the current version, None when it is destroyed or gone."""
        info = self.info()
        if info is None or info.versions[-1].destroyed:
            return None
        with self.access.engine.view() as (view, unlocked):
            stored = view.get(SECRET + self.name)
            return None if stored is None else decode_data(unlocked.records.open_data(self.name, stored))

    def current(self) -> dict[str, Any]:
        """Return the fields of the current version; raises `SecretNotFoundError`."""
        current = self.current_if_any()
        if current is None:
            raise SecretNotFoundError(f"there is no secret {self.name!r} any more, or it is destroyed", name=self.name)
        return current

    def read_live(self) -> Live:
        """Return the rotation, the current version and its data, for whoever may update it.

        Raises `SecretNotFoundError` when it is not live.
        """

        def step(view: Reader, unlocked: Unlocked) -> Live:
            name, stored = self.name, view.get(SECRET + self.name)
            info = None if stored is None else unlocked.records.open_info(name, stored)
            if stored is None or info is None or info.versions[-1].state != "live":
                raise SecretNotFoundError(f"there is no secret {name!r}, or it is deleted", name=name)
            data = unlocked.records.open_data(name, stored)
            return Live(load(view, unlocked.records, name) or State(name), info.versions[-1], data)

        return self.access.view("ROTATE", "update", self.name, step)

    def change(self, stage: str, step: Callable[[Change], Any]) -> Any:
        """Run a step of `steps` in a transaction."""
        return self.access.change("ROTATE", "update", self.name, step, stage=stage)

    def refuse(self, stage: str, error: StrongroomError) -> NoReturn:
        """Raise an error that is on record."""
        self.failed(stage, error)
        raise error

    def failed(self, stage: str, error: Exception) -> None:
        """Record that a stage was not reached. That the log fails must not hide the error that it is about."""
        with suppress(StrongroomError):
            self.access.refused("ROTATE", self.name, getattr(error, "code", type(error).__name__), stage=stage)
