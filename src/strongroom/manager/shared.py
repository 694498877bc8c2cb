"""What all managers of an opened store have in common."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from strongroom.system.lazily import importing

if TYPE_CHECKING:
    from collections.abc import Callable

    from strongroom.access.access import Access
    from strongroom.audit.log import AuditLog
    from strongroom.caller import Caller
    from strongroom.engine.engine import Engine
    from strongroom.live.live import Live
    from strongroom.protocols import KeyProvider
    from strongroom.rotation.events import Observer
    from strongroom.rotation.rotators import Connect


class Shared:
    """What all managers of an opened store have in common."""

    def __init__(
        self, engine: Engine, audit: AuditLog, max_versions: int, connect_rotator: Connect | None,
        connect_key_provider: Callable[[str], KeyProvider] | None, observer: Observer | None, rotation_hook: str,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.audit = audit
        self.max_versions = max_versions
        """How many versions are kept of secrets that do not say otherwise."""
        self.connect_rotator = connect_rotator
        """Makes a rotator of its URL; without it only rotator objects can be used."""
        self.connect_key_provider = connect_key_provider
        """Makes a key provider of its URL; without it only provider objects can be used."""
        self.observer = observer
        """Is told of rotations that fail, as `strongroom.open` says."""
        self.rotation_hook = rotation_hook
        """The URL of a program or webhook that is told too."""
        self._lives: dict[tuple[Caller, int], Live] = {}
        self._lock = Lock()

    def live(self, access: Access) -> Live:
        """Return the live handles of a caller: one set, with one thread, whatever request it is."""
        with importing:
            from strongroom.live.live import Live

        caller = access.caller.without_request()
        known = caller, id(access.policy)
        with self._lock:
            if known not in self._lives:
                # It holds the policy, so that no other one can get its id.
                self._lives[known] = Live(access.bind(caller, access.policy))
            return self._lives[known]

    def close(self) -> None:
        """End the threads, then release the store and the log."""
        for live in list(self._lives.values()):
            live.close()
        self.engine.store.close()
        self.audit.close()
