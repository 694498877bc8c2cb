"""Django: settings whose value is always the current one.

from strongroom.integrations.django import live

DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "PASSWORD": live("POSTGRES_PASSWORD")}}

A secret with a user and a password, whose rotation moves it from one account to another, is both settings:

"USER": live("POSTGRES_PASSWORD", field="username"), "PASSWORD": live("POSTGRES_PASSWORD")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from strongroom import InvalidValueError, SecretsManager
from strongroom.integrations._credentials import credentials
from strongroom.integrations._values import default_manager
from strongroom.secret import STARS

if TYPE_CHECKING:
    from strongroom.live.live import LiveSecret


class LiveSetting:
    """Stands for a secret in settings: `str()` is its current value, its repr is not, and copies are itself.

    The store is opened when the value is first asked for, so that commands that need no secret need no key. Django
    hands it to psycopg 3, with and without a pool, for each new connection. Other drivers may want a plain `str`.
    """

    def __init__(self, name: str, secrets: SecretsManager | None, field: str | None = None) -> None:
        self._name = name
        self._secrets = secrets
        self._field = field

    @property
    def handle(self) -> LiveSecret:
        """The live handle. Raises what `strongroom.open` and `SecretsManager.secret` raise."""
        return (self._secrets or default_manager()).secret(self._name)

    def __str__(self) -> str:
        value = self.handle.value
        if not isinstance(value, Mapping):
            return str(value)
        if self._field is None:
            return credentials(value).password
        found = value.get(self._field)
        del value
        if not isinstance(found, str):
            raise InvalidValueError(f"{self._name!r} has no text in its field {self._field!r}", name=self._name)
        return found

    def __repr__(self) -> str:
        return f"LiveSetting({self._name!r}, {STARS})"

    # Django copies the settings of a connection for threads and for test databases.

    def __copy__(self) -> LiveSetting:
        return self

    def __deepcopy__(self, memo: object) -> LiveSetting:
        return self


def live(name: str, secrets: SecretsManager | None = None, *, field: str | None = None) -> LiveSetting:
    """Return a setting for the secret `name`; `secrets` is by default the manager of the default store.

    Of a secret with several fields it is the password, or `field`. Raises `InvalidValueError`, when it is used, for one
    without it.
    """
    return LiveSetting(name, secrets, field)
