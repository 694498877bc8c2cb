"""keyring: a backend that keeps passwords in a store.

    keyring.set_keyring(StrongroomKeyring())

or PYTHON_KEYRING_BACKEND=strongroom.integrations.keyring.StrongroomKeyring in the environment.
"""

from __future__ import annotations

from urllib.parse import quote

from strongroom import MissingExtraError, SecretsManager
from strongroom.integrations._values import default_manager
from strongroom.system.frames import methods_leave_no_values

try:
    from keyring.backend import KeyringBackend
    from keyring.errors import PasswordDeleteError
except ImportError:
    raise MissingExtraError("this needs keyring: pip install 'strongroom[keyring]'") from None


@methods_leave_no_values
class StrongroomKeyring(KeyringBackend):
    """Keeps the password of a user at a service as the secret `keyring/SERVICE/USER`, both percent-encoded.

    `secrets` is by default the manager of the default store. Methods raise what those of `SecretsManager` raise.
    """

    # Below every other backend, so that keyring never chooses this one by itself.
    priority = -1  # type: ignore[assignment]

    def __init__(self, secrets: SecretsManager | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._opened = secrets

    @property
    def _secrets(self) -> SecretsManager:
        return self._opened or default_manager()

    def get_password(self, service: str, username: str) -> str | None:
        """Return the password, or None."""
        found: str | None = self._secrets.get_secret(_name(service, username))
        return found

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a new password."""
        self._secrets.set_secret(_name(service, username), password)

    def delete_password(self, service: str, username: str) -> None:
        """Delete the password; raises `PasswordDeleteError` when there is none."""
        if not self._secrets.delete_secret(_name(service, username)):
            raise PasswordDeleteError("there is no such password")


def _name(service: str, username: str) -> str:
    return f"keyring/{quote(service, safe=' @:')}/{quote(username, safe=' @:')}"
