"""What integrations read, and from which manager."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import strongroom
from strongroom import SecretsManager
from strongroom.system.frames import leaves_no_values


@leaves_no_values
def read(secrets: SecretsManager, name: str, version: int | None = None) -> Any:
    """Return the value of a secret, or a mapping when it has several fields; None when it is missing.

    Raises what `SecretsManager.get_data` raises.
    """
    data = secrets.get_data(name, version=version)
    return data["value"] if data is not None and data.keys() == {"value"} else data


@lru_cache(maxsize=1)
def default_manager() -> SecretsManager:
    """Return the manager of the default store, opened once in each process. Raises what `strongroom.open` raises."""
    return strongroom.open()
