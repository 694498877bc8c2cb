"""dynaconf: a loader that reads settings from the default store.

    settings = Dynaconf(loaders=["dynaconf.loaders.env_loader", "strongroom.integrations.dynaconf"])

A later loader wins. The setting SECRETS_PREFIX_FOR_DYNACONF chooses the secrets whose names start with it, and is
taken off. `auth/password` is the setting `AUTH.password`.
"""

from __future__ import annotations

from typing import Any

from strongroom import InvalidValueError, MissingExtraError
from strongroom.integrations._redaction import leaves
from strongroom.integrations._values import default_manager, read
from strongroom.system.frames import leaves_no_values

try:
    from dynaconf.utils.parse_conf import converters
except ImportError:
    raise MissingExtraError("this needs dynaconf: pip install 'strongroom[dynaconf]'") from None


@leaves_no_values
def load(obj: Any, env: str | None = None, silent: bool = True, key: str | None = None, **_: Any) -> None:
    """Set the values that secrets have now on `obj`, or only that of `key`.

    Errors are raised whatever `silent` says: settings without their secrets would be wrong silently. Raises what
    `strongroom.open` and the reading methods of `SecretsManager` raise, and `InvalidValueError` for a value that
    begins with one of dynaconf's converters (`@format`, `@jinja` …): dynaconf would evaluate it.
    """
    secrets = default_manager()
    prefix = obj.get("SECRETS_PREFIX_FOR_DYNACONF", "")
    for name in secrets.list_secrets(prefix):
        setting = name.removeprefix(prefix).strip("/").replace("/", "__")
        if setting and key in (None, setting):
            value = read(secrets, name)
            if value is not None:
                _check(name, value)
                obj.set(setting, value, loader_identifier="strongroom")


def _check(name: str, value: Any) -> None:
    if any(isinstance(text, str) and text.partition(" ")[0] in converters for text in leaves(value)):
        del value  # a traceback that captures local variables would show it
        raise InvalidValueError(f"{name!r} begins with a converter of dynaconf, which would evaluate it", name=name)
