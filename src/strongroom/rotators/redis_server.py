"""Where a Redis server is, and how all servers of a rotator are talked to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from strongroom.rotators.servers import authorities, tls_context

SAVE: Mapping[str, tuple[str, ...] | None] = {"aclfile": ("ACL", "SAVE"), "config": ("CONFIG", "REWRITE"), "no": None}
"""How a server keeps its users over a restart."""


class How(NamedTuple):
    """How all servers of a rotator are talked to."""

    options: Mapping[str, str]
    timeout: float
    """Seconds for a connection, and for an answer."""

    @property
    def save(self) -> tuple[str, ...] | None:
        """The command that writes the users down."""
        return SAVE[self.options.get("save", "aclfile")]

    def tls(self, host: str) -> str | None:
        """Return who vouches for a host; raises `ConfigError` for a file that cannot be read."""
        vouching = authorities(host, self.options)
        tls_context(vouching)
        return vouching


class Server(NamedTuple):
    """Where a server is."""

    host: str
    port: int
    how: How
    kind: str = "Redis"
    if_gone: str = ""
    """What to do when it is gone for good."""

    @property
    def name(self) -> str:
        """What messages call it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind} at {host}:{self.port}"
