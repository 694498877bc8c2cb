"""`OpenedStore`: a store that is open, which owns the driver, the audit log and the threads of live handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.access.access import Access
from strongroom.audit.log import AuditLog
from strongroom.caller import Caller
from strongroom.engine.engine import Engine
from strongroom.manager.manager import SecretsManager
from strongroom.manager.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.protocols import KeyProvider, Policy
    from strongroom.rotation.events import Observer
    from strongroom.rotation.rotators import Connect


class OpenedStore(SecretsManager):
    """A store that is open, and the manager of whoever opened it. A context manager that closes itself."""

    def __init__(
        self, engine: Engine, audit: AuditLog, caller: Caller, *, max_versions: int = 10, policy: Policy | None = None,
        connect_rotator: Connect | None = None, connect_key_provider: Callable[[str], KeyProvider] | None = None,
        on_rotation_event: Observer | None = None, rotation_hook: str = "",
    ) -> None:  # fmt: skip
        """Made by `strongroom.open` and `strongroom.init`; without a policy every actor may do everything."""
        shared = Shared(
            engine, audit, max_versions, connect_rotator, connect_key_provider, on_rotation_event, rotation_hook
        )
        super().__init__(shared, Access(engine, audit, caller, policy))

    def __enter__(self) -> OpenedStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the store, the log and all live handles, those of bound managers too; closing twice is no error."""
        self._shared.close()
