"""Airflow: a secrets backend for connections, variables and options of its configuration.

[secrets]
backend = strongroom.integrations.airflow.StrongroomBackend
backend_kwargs = {"connections_prefix": "airflow/connections"}
"""

from __future__ import annotations

import json
from typing import Any

from strongroom import InvalidNameError, MissingExtraError, SecretsManager, StrongroomError
from strongroom.integrations._values import default_manager, read
from strongroom.system.frames import methods_leave_no_values

try:
    from airflow.secrets.base_secrets import BaseSecretsBackend
except ImportError:
    raise MissingExtraError("this needs Airflow: pip install 'strongroom[airflow]'") from None


@methods_leave_no_values
class StrongroomBackend(BaseSecretsBackend):
    """Reads the secret PREFIX/ID, on record each time; a prefix of None leaves that kind to other backends.

    A connection is a URI, a JSON text, or a secret with Airflow's fields (`conn_type`, `host`, `login`, `password` …).
    `secrets` is by default the manager of the default store, opened when something is first asked for.

    Where Airflow has asked this backend, an error of the store ends the look-up as AirflowSecretsBackendAccessDenied:
    after any other exception Airflow would go on to the next backend, without a word for connections, and a damaged
    record would be answered from elsewhere.
    """

    def __init__(
        self,
        connections_prefix: str | None = "airflow/connections",
        variables_prefix: str | None = "airflow/variables",
        config_prefix: str | None = "airflow/config",
        secrets: SecretsManager | None = None,
    ) -> None:
        super().__init__()
        self._connections, self._variables, self._config = connections_prefix, variables_prefix, config_prefix
        self._opened = secrets

    def get_conn_value(self, conn_id: str, team_name: str | None = None) -> str | None:
        """Return the connection as URI or JSON, or None. Teams share connections."""
        return self._text(self._connections, conn_id)

    def get_variable(self, key: str, team_name: str | None = None) -> str | None:
        """Return the variable, or None. Teams share variables."""
        return self._text(self._variables, key)

    def get_config(self, key: str) -> str | None:
        """Return the value of an option that Airflow's configuration names `…_secret = key`, or None."""
        return self._text(self._config, key)

    def _text(self, prefix: str | None, name: str) -> str | None:
        if prefix is None:
            return None
        try:
            value = read(self._opened or default_manager(), f"{prefix}/{name}")
        except InvalidNameError:
            return None
        except StrongroomError as error:
            # Not imported above: Airflow loads its backends while it loads itself.
            from airflow.sdk.exceptions import AirflowSecretsBackendAccessDenied

            raise AirflowSecretsBackendAccessDenied(f"strongroom: {error}") from None
        return _as_text(value)


def _as_text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode(errors="surrogateescape")
    return value if value is None or isinstance(value, str) else json.dumps(value)
