"""What a process holds of a store, and when to look again: for programs that are given secrets from outside."""

from __future__ import annotations

from time import monotonic
from typing import Any

from strongroom.errors import SecretNotFoundError
from strongroom.manager.manager import SecretsManager
from strongroom.system.frames import methods_leave_no_values

TICK = 0.05
"""Seconds between two looks at the store's counter of commits."""
EXPIRY = 30.0
"""Seconds after which to look again although nobody wrote, as a secret may have expired."""


@methods_leave_no_values
class Watch:
    """Reads through live handles: a version is on record when it is taken up, not at each look."""

    def __init__(self, secrets: SecretsManager) -> None:
        self._secrets = secrets
        self._seen: object = None
        self._looked = 0.0

    def due(self) -> bool:
        """True when somebody has written to the store since `looking`, or a secret may have expired."""
        return self._state() != self._seen or monotonic() - self._looked > EXPIRY

    def looking(self) -> None:
        """Remember the store's state; call it before reading, so that a write in between is not missed."""
        self._seen, self._looked = self._state(), monotonic()

    def again(self) -> None:
        """Make `due` true: what was read could not be used."""
        self._seen = None

    def list_secrets(self, prefix: str = "") -> list[str]:
        """Return the names, as `SecretsManager.list_secrets` does."""
        return self._secrets.list_secrets(prefix)

    def get_data(self, name: str) -> dict[str, Any] | None:
        """Return the fields of the current version, None when the secret is missing."""
        try:
            return self._secrets.secret(name).data
        except SecretNotFoundError:
            return None

    def _state(self) -> object:
        return self._secrets.commit_mark()
