"""`env:NAME`: the master key is a Fernet key in an environment variable."""

from __future__ import annotations

import os

from strongroom.crypto.master_key import parse_key
from strongroom.errors import ConfigError, InvalidKeyError, NoKeyError
from strongroom.key_providers import master
from strongroom.system.frames import methods_leave_no_values


@methods_leave_no_values
class EnvKeyProvider:
    """Reads the variable each time it is asked, and keeps no copy of the master key."""

    def __init__(self, variable: str) -> None:
        if not variable or "=" in variable or not variable.isprintable():
            raise ConfigError("the key provider `env:` needs the name of a variable, such as env:SECRETS_MASTER_KEY")
        self.variable = variable
        self.url = f"env:{variable}"

    def __repr__(self) -> str:
        return f"EnvKeyProvider({self.variable})"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`."""
        return master.wrap(self._master(), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """See `strongroom.protocols.KeyProvider`."""
        return master.unwrap(self._master(), wrapped, context, self.url)

    def _master(self) -> bytes:
        text = os.environ.get(self.variable)
        if not text:
            raise NoKeyError(
                f"no master key: the variable {self.variable} is {'empty' if text == '' else 'not set'}. Export it, or "
                "name a key with --key or STRONGROOM_KEY, such as file:master.key"
            )
        try:
            return parse_key(text)
        except ValueError as error:
            problem = str(error)
        raise InvalidKeyError(
            f"{self.variable} does not hold a Fernet key: {problem}. Make one with `strongroom keygen`"
        )


def connect(rest: str) -> EnvKeyProvider:
    """Return the provider for `env:rest`."""
    return EnvKeyProvider(rest)
