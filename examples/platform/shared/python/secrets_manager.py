"""Where the services have always taken their secrets from; strongroom answers now.

from shared.python.secrets_manager import get_secret_or_env
"""

from __future__ import annotations

from functools import cache

import strongroom
from strongroom import SecretsManager, get_secret_or_env

__all__ = ["get_secret_or_env", "secrets"]


@cache
def secrets() -> SecretsManager:
    """Return this process's manager, for what is new: live handles and versions."""
    return strongroom.open()
