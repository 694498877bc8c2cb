"""Django: settings whose value is always the current one.

from strongroom.integrations.django import live

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "PASSWORD": live("POSTGRES_PASSWORD")}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom import SecretsManager
from strongroom.integrations.values import default_manager
from strongroom.secret import STARS

if TYPE_CHECKING:
    from strongroom.live import LiveSecret


class LiveSetting:
    """Stands for a secret in settings: `str()` is its current value, its repr is not, and copies are itself.

    The store is opened when the value is first asked for, so that commands that need no secret need no key. Django
    hands it to psycopg 3, with and without a pool, for each new connection. Other drivers may want a plain `str`.
    """

    def __init__(self, name: str, secrets: SecretsManager | None) -> None:
        self._name = name
        self._secrets = secrets

    @property
    def handle(self) -> LiveSecret:
        """The live handle. Raises what `strongroom.open` and `SecretsManager.secret` raise."""
        return (self._secrets or default_manager()).secret(self._name)

    def __str__(self) -> str:
        return str(self.handle)

    def __repr__(self) -> str:
        return f"LiveSetting({self._name!r}, {STARS})"

    # Django copies the settings of a connection for threads and for test databases.

    def __copy__(self) -> LiveSetting:
        return self

    def __deepcopy__(self, memo: object) -> LiveSetting:
        return self


def live(name: str, secrets: SecretsManager | None = None) -> LiveSetting:
    """Return a setting for the secret `name`; `secrets` is by default the manager of the default store."""
    return LiveSetting(name, secrets)
