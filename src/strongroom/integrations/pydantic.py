"""pydantic-settings: a source that reads fields from a store.

class Settings(BaseSettings):
    postgres_password: Secret[str]

    @classmethod
    def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **others):
        return init_settings, StrongroomSource(settings_cls), env_settings
"""

from __future__ import annotations

from typing import Any

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations._values import default_manager, read
from strongroom.system.frames import leaves_no_values

try:
    from pydantic import AliasChoices
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
except ImportError:
    raise MissingExtraError("this needs pydantic-settings: pip install 'strongroom[pydantic]'") from None


class StrongroomSource(PydanticBaseSettingsSource):
    """Gives each field the secret of its alias, or of its name in capitals or as it is, after `prefix`.

    Only secrets that the store has are read, and so on record. Values are those of the moment when the settings are
    made. `secrets` is by default the manager of the default store. Declare the fields as `strongroom.Secret`, which
    does not show its value, or as `str`.

    Calling it raises what `SecretsManager.list_secrets` and `SecretsManager.get_data` raise.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], secrets: SecretsManager | None = None, prefix: str = ""
    ) -> None:
        super().__init__(settings_cls)
        self._secrets = secrets or default_manager()
        self._prefix = prefix

    def __repr__(self) -> str:
        return f"StrongroomSource(prefix={self._prefix!r})"

    @leaves_no_values
    def __call__(self) -> dict[str, Any]:
        """Return the values that were found."""
        there = set(self._secrets.list_secrets(self._prefix))
        found = {}
        for field_name, field in self.settings_cls.model_fields.items():
            for key, name in _names(field, field_name):
                if key not in found and self._prefix + name in there:
                    found[key] = read(self._secrets, self._prefix + name)
        return {key: value for key, value in found.items() if value is not None}

    @leaves_no_values
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return value, key and False; pydantic-settings asks each source for this method."""
        for key, name in _names(field, field_name):
            value = read(self._secrets, self._prefix + name)
            if value is not None:
                return value, key, False
        return None, field_name, False


def _names(field: FieldInfo, field_name: str) -> list[tuple[str, str]]:
    """Return the keys that pydantic takes for a field, each with the name that a secret may have for it."""
    alias = field.validation_alias
    if alias is None:
        return [(field_name, field_name.upper()), (field_name, field_name)]
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return [(choice, choice) for choice in choices if isinstance(choice, str)]
